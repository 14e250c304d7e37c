"""Quantised networks: conversions that block a fusion, and layers that are slower than floats."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.compare.ratios import ratios
from onnxprof.compare.replicates import latency_group, row_group
from onnxprof.compare.verdict import THRESHOLD, Side, Verdict, decides_layers, verdict
from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.peers import faster, peers, system_of
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.records.layer import Layer
from onnxprof.records.run import Run

_CONVERTING = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"))
_PRODUCTS = ("Conv", "MatMul", "Gemm")
_ENDING = re.compile(r"(_quant|_quantized|_quantised|_MatMul|_q)$")
#: The part of the float network's products that must be there under their names.
_LEAST = 0.5


def _alone(case: Case) -> Iterator[Finding]:
    steps = [n for n in range(len(case.step_ns)) if _converts(case, n)]
    if not steps:
        return
    blocked = list(_blocked(case, set(case.layers_of(steps))))
    what = f", around {len(blocked)} × a product in floats" if blocked else ""
    yield Finding(
        "quantise-alone",
        f"{len(steps)} × QuantizeLinear or DequantizeLinear as a step of its own{what}",
        "Quantise both sides of these layers, or neither: a pair that no integer kernel takes in"
        " only converts",
        (*blocked, *case.layers_of(steps)),
        tuple(steps),
        (*case.times(steps), Figure("layers in floats between them", len(blocked), Unit.COUNT)),
        case.gain(steps, 0.0, 1.05),
    )


def _converts(case: Case, number: int) -> bool:
    """Whether a step quantises or dequantises data, not constants, and does nothing else."""
    operators = case.operators(number)
    if not operators or not set(operators) <= _CONVERTING:
        return False
    layers = (case.layers[name] for name in case.run.steps[number].layers if name in case.layers)
    return any(one.inputs and one.inputs[0].name not in case.constants for one in layers)


def _blocked(case: Case, alone: set[str]) -> Iterator[str]:
    """Products that read what such a step yields, and ran without it."""
    for layer in case.run.table.nodes:
        if layer.op_type not in _PRODUCTS:
            continue
        makers = (case.makers.get(t.name) for t in layer.inputs)
        if any(maker is not None and maker.name in alone for maker in makers):
            yield layer.name


def is_quantised(run: Run) -> bool:
    """Whether a network computes, or is marked to compute, in integers."""
    kinds = {layer.op_type for layer in run.table.nodes}
    return bool(kinds & _CONVERTING) or any("QLinear" in k or k.endswith("Integer") for k in kinds)


def _against_float(case: Case) -> Iterator[Finding]:
    if not is_quantised(case.run):
        return
    for other in peers(case, lambda run: _is_float_form(case.run, run)):
        if gain := faster(case, other):
            yield Finding(
                "int8-slower",
                f"the float network {other.request.model_name} is faster as a whole",
                "Run the float network, or quantise only the layers that gain",
                evidence=(
                    Figure("quantised", case.total_ns, Unit.NS),
                    Figure("float", reconcile(other).total_ns, Unit.NS),
                ),
                gain=gain,
            )
        yield from _slower_layers(case, other)


def _is_float_form(run: Run, other: Run) -> bool:
    a, b = run.request, other.request
    alike = system_of(run) == system_of(other) and a.device_id == b.device_id
    sizes = a.batch == b.batch and sorted(a.dims) == sorted(b.dims) and a.threads == b.threads
    if not (
        alike and sizes and a.granularity == b.granularity and a.setup == b.setup
    ) or is_quantised(other):
        return False
    theirs = {layer.name for layer in other.table.nodes if layer.op_type in _PRODUCTS}
    ours = {plain_name(layer.name) for layer in run.table.nodes}
    return bool(theirs) and len(theirs & ours) >= _LEAST * len(theirs)


def plain_name(name: str) -> str:
    """A layer's name without what tools of quantisation add at its end."""
    while (shorter := _ENDING.sub("", name)) != name and shorter:
        name = shorter
    return name


def _slower_layers(case: Case, other: Run) -> Iterator[Finding]:
    """Steps of one product on both sides, as far as their other layers have counterparts."""
    if not case.step_ns or other.timings is None or not other.timings.step_ns.size:
        return
    theirs = {name: n for n, step in enumerate(other.steps) for name in step.layers}
    pairs = []
    for number in range(len(case.step_ns)):
        layer = _product(case, number)
        match = theirs.get(plain_name(layer.name)) if layer else None
        if layer is not None and match is not None:
            pairs.append((number, match, layer.name))
    if not pairs:
        return
    ours, matched = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    groups = [
        row_group(run, [(number,) for number in numbers])
        for run, numbers in ((case.run, ours), (other, matched))
    ]
    times = [
        np.array([ns[number] for number in numbers], np.float64)
        for ns, numbers in ((case.step_ns, ours), (divided(other).whole_ns, matched))
    ]
    sides = [Side.of([r], latency_group(r).times_ns.shape[1]) for r in (case.run, other)]
    if not decides_layers(*sides):
        return
    bounds = zip(*ratios(*groups).of_times(*times).interval(), strict=True)
    for (number, _, name), (low, high), a, b in zip(pairs, bounds, *times, strict=True):
        if a > 0 and b > 0 and _is_faster(b / a, (float(low), float(high))):
            yield _slower(case, number, name, float(b), (float(low), float(high)))


def _is_faster(ratio: float, interval: tuple[float, float]) -> bool:
    known = bool(np.isfinite(interval).all())
    return known and verdict(ratio, interval, THRESHOLD) is Verdict.FASTER


def _slower(
    case: Case, number: int, name: str, float_ns: float, interval: tuple[float, float]
) -> Finding:
    ns, (low, high) = case.step_ns[number], interval
    return Finding(
        "int8-slower",
        f"{name} takes {ns / float_ns:.2f} times as long as in floats",
        "Leave this layer in floats",
        *((name,), (number,)),
        (*case.times((number,)), Figure("in floats", float_ns, Unit.NS)),
        Gain(max(0.0, ns * (1 - high)), ns * (1 - low)),
    )


def _product(case: Case, number: int) -> Layer | None:
    layers = (case.layers.get(name) for name in case.run.steps[number].layers)
    found = [one for one in layers if one and any(kind in one.op_type for kind in _PRODUCTS)]
    return found[0] if len(found) == 1 else None


RULES = (
    Rule(
        "quantise-alone",
        "steps that quantise or dequantise data and do nothing else; where a product reads what"
        " they yield, it ran in floats",
        "0 to 1.05 of their time: the values may have to be converted somewhere",
        _alone,
    ),
    Rule(
        "int8-slower",
        "a quantised network, or a layer of one, against a stored run of its float form on the same"
        " system, with the verdict `faster`; layers are matched by name",
        "the 95 % interval of the ratio of both times",
        _against_float,
    ),
)
