"""Layers of half precision that a runtime computes in a wider type, by the graph that it runs.

A runtime without a kernel for 16-bit floating point puts casts around one for float32. What the
executed graph says of each step's outputs is compared with what the model says of the same
tensors; no table of processors is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprof.analysis.interruptions import Times
from onnxprof.analysis.once import once
from onnxprof.records.elements.table import Element, Kind, by_name
from onnxprof.records.layer import LayerTable
from onnxprof.records.step import Step

_HALF_BITS = 16
#: Operators that only change the type of a tensor.
_CASTS = ("Cast", "Convert")


@dataclass(frozen=True, slots=True)
class Widening:
    """How many layers of half precision there are, and how many are computed in a wider type."""

    layers: int
    widened: int
    declared: str
    """The type of most of them: `float16`."""
    computed: str
    cast_share: float
    """Of the steps' time, in casts that belong to no layer."""

    @property
    def words(self) -> str:
        """`7 of 9 layers of float16 are computed in float32`."""
        return f"{self.widened} of {self.layers} layers of {self.declared} are computed in" + (
            f" {self.computed}"
        )


def computed_in(step: Step | None, table: LayerTable) -> str:
    """The wider type in which a step computes layers of half precision; empty where it does not."""
    if step is None or not step.layers:
        return ""
    halves = once(_halves, table)
    for tensor in step.outputs:
        declared, executed = halves.get(tensor.name), by_name(tensor.dtype)
        if declared is None or executed is None or executed.kind is not Kind.FLOAT:
            continue
        if executed.bits > declared.bits:
            return executed.name
    return ""


def widening(steps: Sequence[Step], table: LayerTable, times: Times) -> Widening | None:
    """What a run's steps do with layers of half precision; None where all stay in their type."""
    halves = once(_halves, table)
    yields = {layer.name: [t.name for t in layer.outputs] for layer in table.nodes}
    half = {name for name, outputs in yields.items() if any(o in halves for o in outputs)}
    found = [(step, computed_in(step, table)) for step in steps]
    widened = {layer for step, wide in found if wide for layer in step.layers} & half
    if not widened:
        return None
    types = Counter(halves[o].name for name in half for o in yields[name] if o in halves)
    wide = Counter(name for _, name in found if name)
    run = half & {layer for step in steps for layer in step.layers}
    casts = [not step.layers and step.op_type in _CASTS for step in steps]
    share = float(times[casts].sum()) / max(1.0, float(times.sum()))
    return Widening(
        len(run), len(widened), types.most_common(1)[0][0], wide.most_common(1)[0][0], share
    )


def _halves(table: LayerTable) -> Mapping[str, Element]:
    """Outputs of layers that the model declares in half precision."""
    return {
        tensor.name: element
        for layer in table.nodes
        for tensor in layer.outputs
        if (element := by_name(tensor.dtype)) is not None
        and element.kind is Kind.FLOAT
        and element.bits == _HALF_BITS
    }
