"""Measured units whose layers follow from execution order alone.

onnxruntime calls a fusion `BiasGelu_token_1`. When the next unit with known layers runs, every
layer that it depends on is done: the unclaimed ones are the work of the units right before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnxprof.provenance.congruence import constant_tensors
from onnxprof.provenance.names import Evidence
from onnxprof.provenance.order import Layers
from onnxprof.provenance.topology import Graph


@dataclass(frozen=True, slots=True)
class _Form:
    """Marks of a fusion: an operator that it contains, and the operator that it ends with."""

    inside: frozenset[str]
    last: frozenset[str]


#: By how the runtime's operators end.
_FORMS = {
    "Gelu": _Form(frozenset({"Erf", "Gelu", "Tanh", "Sigmoid"}), frozenset({"Mul", "Gelu"})),
    "LayerNormalization": _Form(
        frozenset({"Sqrt", "LayerNormalization"}),
        frozenset({"Add", "Mul", "LayerNormalization"}),
    ),
}


def filled(graph: Graph, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of units in execution order, with layers for units marked `fills`."""
    made = list(evidence)
    if not any(entry.fills for entry in made):
        return made
    layers, constant = Layers(graph), constant_tensors(graph)
    claimed = {name for entry in made for name in entry.layers}
    free = [n for n in graph.nodes if n.name not in claimed and not constant.issuperset(n.outputs)]
    operators = {node.name: node.op_type for node in free}
    last = [node.name for node in graph.nodes if set(node.outputs) & set(graph.outputs)]
    waiting: list[int] = []
    done = 0
    for unit, entry in enumerate([*made, Evidence("", tuple(last))]):
        if not entry.layers:
            waiting += [unit] if entry.fills else []
            continue
        needed = layers.needed(entry.layers) & ~done
        left = [name for name in operators if layers.needed((name,)) & ~done & ~needed == 0]
        _share(made, waiting, [name for name in left if not layers.has(done, name)], operators)
        waiting, done = [], done | needed
    return made


def _share(
    made: list[Evidence], units: Sequence[int], left: list[str], operators: dict[str, str]
) -> None:
    """Divide layers, in order, among units; where no operator separates them, all get all."""
    forms = [_form(made[unit]) for unit in units]
    start = 0
    for number, unit in enumerate(units):
        end = _end(left[start:], forms[number : number + 2], operators)
        last = number == len(units) - 1
        part = left[start:] if last or not end else left[start : start + end]
        made[unit] = replace(made[unit], layers=tuple(part))
        start += end


def _form(entry: Evidence) -> _Form:
    fits = (form for name, form in _FORMS.items() if any(o.endswith(name) for o in entry.operators))
    own = frozenset(entry.operators)
    return next(fits, _Form(own, own))


def _end(left: Sequence[str], forms: Sequence[_Form], operators: dict[str, str]) -> int:
    """How many of the layers belong to the first form, given the next one; 0 if not known."""
    if len(forms) < 2:
        return 0
    kinds = [operators[name] for name in left]
    own = next((i for i, kind in enumerate(kinds) if kind in forms[0].inside), None)
    if own is None:
        return 0
    other = next((i for i in range(own + 1, len(kinds)) if kinds[i] in forms[1].inside), None)
    if other is None:
        return 0
    ends = [i for i in range(own, other) if kinds[i] in forms[0].last]
    return ends[-1] + 1 if ends else 0
