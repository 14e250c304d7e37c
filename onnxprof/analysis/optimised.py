"""What a runtime made of a graph: executed steps beside the layers they came from, and the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from onnxprof.analysis.reconcile import Reconciliation, Status, reconcile
from onnxprof.analysis.step_times import estimates
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.run import Run
from onnxprof.records.step import Step


class Fate(StrEnum):
    """What became of a layer of the file."""

    ALONE = "alone"
    """A step does its work and no other layer's."""
    FUSED = "fused"
    """A step does its work and that of other layers."""
    FOLDED = "folded"
    """Computed while loading."""
    NOT_EXECUTED = "not executed"
    """No step computes it: nothing depends on it, or it changes nothing."""
    UNKNOWN = "unknown"
    """No step is tied to it, and one whose ties were refuted may have computed it."""


@dataclass(frozen=True, slots=True)
class Part:
    """An executed step and the layers that it came from."""

    number: int
    """From 1, in the order of execution."""
    step: Step
    layers: tuple[Layer, ...]
    share: float | None
    """Of the un-profiled latency; None where it is not known."""

    @property
    def is_inserted(self) -> bool:
        """Whether the runtime added the step: it does the work of no layer."""
        return not self.layers and not self.step.is_refuted

    @property
    def fate(self) -> Fate:
        """What became of its layers."""
        return Fate.ALONE if len(self.layers) == 1 else Fate.FUSED


@dataclass(frozen=True, slots=True)
class Gone:
    """A layer that no step does the work of."""

    layer: Layer
    fate: Fate


@dataclass(frozen=True, slots=True)
class Optimised:
    """A run's executed graph beside the file's."""

    run: Run
    parts: tuple[Part, ...]
    gone: tuple[Gone, ...]

    @property
    def layers(self) -> int:
        """Layers of the file that are nodes."""
        return len(self.run.table.nodes)

    @property
    def inserted(self) -> Counter[str]:
        """How many steps of which operator were inserted."""
        return Counter(part.step.op_type for part in self.parts if part.is_inserted)

    def fates(self) -> Counter[Fate]:
        """How many layers came to what."""
        seen = {layer.name: part.fate for part in self.parts for layer in part.layers}
        return Counter(seen.values()) + Counter(each.fate for each in self.gone)


#: What the timing table calls a layer that no step has.
_FATES = {
    Status.FOLDED: Fate.FOLDED,
    Status.CONSTANT: Fate.FOLDED,
    Status.NOT_EXECUTED: Fate.NOT_EXECUTED,
    Status.UNTIMED: Fate.UNKNOWN,
    Status.UNKNOWN: Fate.UNKNOWN,
}


def optimised(run: Run) -> Optimised:
    """The steps of a run and where its layers are. Raises StoreError for a run without times."""
    table = reconcile(run)
    return Optimised(run, tuple(_parts(run, table.total_ns)), tuple(_gone(table)))


def _parts(run: Run, total: int) -> Iterator[Part]:
    by_name = {layer.name: layer for layer in reversed(run.table.nodes)}
    times = [] if run.timings is None else estimates(run.steps, run.timings).tolist()
    for number, step in enumerate(run.steps, 1):
        layers = tuple(by_name[name] for name in step.layers if name in by_name)
        known = total and len(times) == len(run.steps)
        yield Part(number, step, layers, times[number - 1] / total if known else None)


def _gone(table: Reconciliation) -> Iterator[Gone]:
    for row in table.rows:
        layer = row.layer
        if layer is not None and layer.kind is LayerKind.NODE and row.status in _FATES:
            yield Gone(layer, _FATES[row.status])
