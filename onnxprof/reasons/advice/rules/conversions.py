"""Steps that move or convert data and compute nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Finding, Rewrite
from onnxprof.reasons.advice.base.rule import REMOVED, Rule
from onnxprof.reasons.advice.rules.fusion import producer
from onnxprof.records.layer import Layer

_CONVERTING = frozenset(("Transpose", "Cast", "CastLike"))
#: Parts of the names of steps that belong to no layer and change a layout, a type or a place.
_INSERTED = ("reorder", "transpose", "cast", "convert", "memcpy", "copy", "permute", "reformat")
_WHY = {
    "cast": "Keep tensors in one type from end to end",
    "convert": "Keep tensors in one type from end to end",
    "memcpy": "Keep the layers around them on one device",
    "copy": "Keep the layers around them on one device",
}
_LAYOUT = (
    "Keep layers of one layout together: a layer that the blocked or channels-last layout does"
    " not take makes the runtime convert before and after it"
)


def _nothing(case: Case) -> Iterator[Finding]:
    steps = [n for n in range(len(case.step_ns)) if _does_nothing(case, case.sole(n))]
    if steps:
        operators = ", ".join(dict.fromkeys(o for n in steps for o in case.operators(n)))
        yield Finding(
            "no-op",
            f"{len(steps)} × {operators}, which does nothing",
            "Remove them from the model",
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain_of_removal(steps),
            rewrite=Rewrite.NO_OPS,
        )


def _does_nothing(case: Case, layer: Layer | None) -> bool:
    if layer is None or layer.domain not in ("", "ai.onnx"):
        return False
    if not any(t.name in case.readers for t in layer.outputs):
        return False  # it gives an output of the model its name
    if layer.op_type == "Identity":
        return True
    known = layer.inputs and layer.outputs and layer.inputs[0].dtype
    return bool(layer.op_type == "Cast" and known == layer.outputs[0].dtype and known)


def _cancelling(case: Case) -> Iterator[Finding]:
    if steps := _pairs(case):
        yield Finding(
            "cancelling-transposes",
            f"{len(steps)} × Transpose, pairs that undo one another",
            "Remove them from the model",
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain_of_removal(steps),
            rewrite=Rewrite.TRANSPOSES,
        )


def _pairs(case: Case) -> list[int]:
    """Steps that only transpose, of which one undoes the other."""
    at = {layer.name: n for n in range(len(case.step_ns)) if (layer := case.sole(n))}
    steps: list[int] = []
    for name, number in at.items():
        layer = case.layers[name]
        maker = producer(case, layer) if layer.op_type == "Transpose" else None
        if maker is not None and maker.name in at and _inverse(maker, layer):
            steps += [at[maker.name], number]
    return sorted(set(steps))


def _inverse(first: Layer, second: Layer) -> bool:
    a, b = _order(first), _order(second)
    return len(a) == len(b) > 0 and all(a[b[axis]] == axis for axis in range(len(b)))


def _order(layer: Layer) -> tuple[int, ...]:
    """The axes of a Transpose; empty for anything else, and where they are not known."""
    text = dict(layer.attributes).get("perm", "")
    parts = text.strip("[]").split(",") if text else []
    axes = tuple(int(part) for part in parts if part.strip().isdecimal())
    whole = len(axes) == len(parts) and sorted(axes) == list(range(len(axes)))
    return axes if layer.op_type == "Transpose" and whole else ()


def _moving(case: Case) -> Iterator[Finding]:
    found: dict[str, list[int]] = defaultdict(list)
    cancelling = frozenset(_pairs(case))
    for number in range(len(case.step_ns)):
        if number in cancelling or _does_nothing(case, case.sole(number)):
            continue
        if kind := _kind(case, number):
            found[kind].append(number)
    for op_type, steps in found.items():
        inserted = [n for n in steps if not case.run.steps[n].layers]
        whose = "that the runtime put in" if inserted else "of the model"
        reason = next((why for part, why in _WHY.items() if part in op_type.lower()), _LAYOUT)
        yield Finding(
            "data-movement",
            f"{len(steps)} × {op_type} {whose}, which only moves data",
            reason,
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain(steps, 0.0, 1.0),
        )


def _kind(case: Case, number: int) -> str:
    """What a step that only moves data is called; empty for any other step."""
    step, operators = case.run.steps[number], case.operators(number)
    if operators and set(operators) <= _CONVERTING:
        return "+".join(operators)
    named = step.op_type.lower()
    return step.op_type if not step.layers and any(part in named for part in _INSERTED) else ""


RULES = (
    Rule(
        "no-op",
        "steps of Identity, or of a Cast to the type that its input has",
        REMOVED,
        _nothing,
    ),
    Rule(
        "cancelling-transposes",
        "a Transpose behind a Transpose that it undoes, with nothing else reading between",
        REMOVED,
        _cancelling,
    ),
    Rule(
        "data-movement",
        "steps that change a layout, a type or a place: of the model, or put in by the runtime",
        "0 to all of their time: some may have to stay",
        _moving,
    ),
)
