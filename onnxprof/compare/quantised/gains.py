"""Layer by layer: what quantising gained, what conversions cost, and what blocks fusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from onnxprof.analysis.step_times import divided
from onnxprof.compare.quantised.counterpart import Counterpart
from onnxprof.compare.quantised.graph import Graph
from onnxprof.compare.quantised.match import Evidence
from onnxprof.compare.quantised.operators import QUANTISERS, is_integer
from onnxprof.records.layer import Layer


@dataclass(frozen=True, slots=True)
class LayerError:
    """What quantising a layer does to its output, on one set of inputs of the network."""

    sqnr_db: float | None
    """Signal over noise with all layers before it quantised, too; None where nothing differs."""
    own_sqnr_db: float | None
    """The same with the float network's values as inputs of the layer: what it costs by itself.
    Rounding these values to the grid of a quantised input is part of it."""
    max_abs: float
    """The largest difference of an element, with all layers before it quantised, too."""


@dataclass(frozen=True, slots=True)
class LayerGain:
    """A block of float layers, and what the quantised network spends on them."""

    layers: tuple[str, ...]
    float_ns: float | None
    """None, as `quantised_ns`, where that side ran none of them."""
    quantised_ns: float | None
    conversions_ns: float
    """Steps of their own that quantise or dequantise for these layers; not in `quantised_ns`."""
    ran_as: tuple[str, ...]
    """Operators of the quantised network's steps, in order, each once."""
    evidence: Evidence | None
    """`structure` if any of them was matched without names; None without a counterpart."""
    error: LayerError | None = None

    @property
    def gained_ns(self) -> float | None:
        """Float time less quantised time, conversions included."""
        if self.float_ns is None or self.quantised_ns is None:
            return None
        return self.float_ns - self.quantised_ns - self.conversions_ns


class Reason(StrEnum):
    """Why a layer that quantising was meant for ran in floats."""

    NOT_FUSED = "not fused"
    """Between DequantizeLinear and QuantizeLinear, but no integer kernel took them in."""
    OUTPUT = "output not quantised"
    INPUT = "input not quantised"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A layer with quantised inputs or outputs that ran in floats."""

    layer: str
    """The layer of the float network."""
    operator: str
    reason: Reason
    ns: float
    conversions: tuple[str, ...]
    """Names of the steps that quantise or dequantise for it."""
    conversions_ns: float


@dataclass(frozen=True, slots=True)
class Conversion:
    """A step that only quantises or dequantises."""

    step: str
    operator: str
    layer: str
    """The float layer that it serves; empty if none is known."""
    ns: float


@dataclass(frozen=True, slots=True)
class Gains:
    """A quantised network against its float original."""

    float_side: int
    """0 if A is the float network, 1 if B is."""
    layers: int
    """Float layers that data flows through."""
    matched: int
    """Those of them that have a counterpart."""
    by_structure: int
    """Those among the matched that names say nothing of."""
    part_of_time: float
    """The part of the float layers' time in blocks that both sides ran."""
    rows: tuple[LayerGain, ...]
    """Blocks in the order of the float network."""
    conversions: tuple[Conversion, ...]
    blocked: tuple[Blocked, ...]

    @property
    def conversions_ns(self) -> float:
        """Time of all steps that only quantise or dequantise."""
        return sum(conversion.ns for conversion in self.conversions)

    def with_errors(self, errors: Mapping[str, LayerError]) -> Gains:
        """The same with the error of each block: that of its last layer, whose output leaves it."""
        rows = tuple(replace(row, error=_last_error(row.layers, errors)) for row in self.rows)
        return replace(self, rows=rows)


def _last_error(layers: Sequence[str], errors: Mapping[str, LayerError]) -> LayerError | None:
    return next((errors[name] for name in reversed(layers) if name in errors), None)


#: (float layers, nanoseconds of the float side, nanoseconds of the quantised side)
BlockTime = tuple[tuple[str, ...], float | None, float | None]


def gains(
    blocks: Iterable[BlockTime], runs: Sequence[Counterpart], float_side: int
) -> Gains | None:
    """What is told of these blocks by runs of the quantised network; None without a match."""
    first = runs[0]
    if first.match is None:
        return None
    times = _step_ns(runs)
    conversions = tuple(_conversion(first, number, times) for number in first.conversions)
    evidence = {n: g.evidence for g in first.match.groups for n in g.float_layers}
    rows = tuple(_row(block, first, conversions, evidence) for block in blocks)
    both = [row for row in rows if row.float_ns is not None and row.quantised_ns is not None]
    whole = sum(row.float_ns or 0.0 for row in rows)
    return Gains(
        float_side,
        len(evidence) + len(first.match.only_float),
        len(evidence),
        sum(told is Evidence.STRUCTURE for told in evidence.values()),
        sum(row.float_ns or 0.0 for row in both) / whole if whole else 0.0,
        rows,
        conversions,
        tuple(_blocked(first, conversions, times)),
    )


def _step_ns(runs: Sequence[Counterpart]) -> dict[str, float]:
    """Nanoseconds of each step, of several runs the mean."""
    found: dict[str, float] = {}
    for its in runs:
        for step, ns in zip(its.told.steps, divided(its.told).whole_ns, strict=True):
            found[step.name] = found.get(step.name, 0.0) + float(ns) / len(runs)
    return found


def _conversion(its: Counterpart, number: int, times: Mapping[str, float]) -> Conversion:
    step = its.told.steps[number]
    return Conversion(step.name, step.op_type, its.served(number), times[step.name])


def _row(
    block: BlockTime,
    its: Counterpart,
    conversions: Sequence[Conversion],
    evidence: Mapping[str, Evidence],
) -> LayerGain:
    layers, float_ns, quantised_ns = block
    names = set(layers)
    steps = [step.op_type for step in its.run.steps if names.intersection(step.layers)]
    told = [evidence[name] for name in layers if name in evidence]
    return LayerGain(
        layers,
        float_ns,
        quantised_ns,
        sum(c.ns for c in conversions if c.layer in names),
        tuple(dict.fromkeys(steps)),
        max(told, key=list(Evidence).index) if told else None,
    )


def _blocked(
    its: Counterpart, conversions: Sequence[Conversion], times: Mapping[str, float]
) -> list[Blocked]:
    """Layers beside quantising or dequantising nodes whose steps took none of these in."""
    graph = Graph.of(its.told.table)
    nodes = {node.name: node for node in graph.nodes}
    assert its.match is not None
    found = []
    names = {n: g.float_layers for g in its.match.groups for n in g.quantised_layers}
    for step in its.told.steps:
        if is_integer(step.op_type) or any(name in its.match.beside for name in step.layers):
            continue
        own = [nodes[name] for name in step.layers if name in nodes and name in names]
        reason = _reason(graph, own)
        if reason is None:
            continue
        layers = names[own[0].name]
        beside = [c for c in conversions if c.layer in layers]
        steps = tuple(c.step for c in beside)
        cost = sum(c.ns for c in beside)
        found.append(Blocked(layers[0], step.op_type, reason, times[step.name], steps, cost))
    return found


#: Operators that runtimes have integer kernels for; others run in floats, whatever is beside them.
_MEANT = frozenset(
    {"Conv", "ConvTranspose", "MatMul", "Gemm", "Add", "Mul", "AveragePool", "GlobalAveragePool"}
    | {"Concat", "MaxPool", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Softmax", "Resize"}
)


def _reason(graph: Graph, nodes: Sequence[Layer]) -> Reason | None:
    """Why a step of these nodes is no integer kernel; None where it was never to be one."""
    inside = {t.name for node in nodes for t in node.outputs}
    ins = [n for node in nodes for n in graph.data(node) if n not in inside]
    outs = [
        reader
        for node in nodes
        for t in node.outputs
        for reader in graph.readers.get(t.name, ())
        if reader not in nodes
    ]
    given = [(m := graph.maker.get(n)) is not None and m.op_type in QUANTISERS for n in ins]
    taken = [reader.op_type == "QuantizeLinear" for reader in outs]
    if not (any(given) or (taken and all(taken))):
        return None
    if given and all(given) and taken and all(taken):
        return Reason.NOT_FUSED
    if not any(node.op_type in _MEANT for node in nodes):
        return None
    return Reason.OUTPUT if given and all(given) else Reason.INPUT


def sqnr_db(reference: np.ndarray, value: np.ndarray) -> float | None:
    """Signal over quantisation noise in decibels; None where nothing differs.

    10 log10 of the reference's sum of squares over that of the differences; -inf for noise
    without a signal.
    """
    signal, noise = (
        float(np.sum(np.square(array, dtype=np.float64)))
        for array in (reference, np.asarray(reference, np.float64) - value)
    )
    if noise == 0.0:
        return None
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")
