"""Multiply-accumulates of a network at the sizes of one of its layer tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnxprof.cost.count import total
from onnxprof.publish.text.numbers import count
from onnxprof.records.cost import LayerCost, Limit, limit
from onnxprof.records.layer import LayerTable


@dataclass(frozen=True, slots=True)
class Macs:
    """A sum of the cost model, with the sizes that it holds for."""

    count: int
    mark: str
    """What kind of figure it is: empty for an exact one, `≥` where a layer's cost is unknown."""
    size: str
    """`batch 8, sequence=16`."""

    @property
    def text(self) -> str:
        """`1.21 G`; empty where nothing is known of it."""
        if not self.count and self.mark in (Limit.AT_LEAST, Limit.NEITHER):
            return ""
        return f"{self.mark}{count(self.count)}"

    @property
    def sentence(self) -> str:
        """`1.21 G MACs at batch 8, sequence=16`."""
        return f"{self.text} MACs at {self.size}" if self.text else "MACs not known"


def macs_of(costs: Iterable[LayerCost], table: LayerTable) -> Macs:
    """The sum over these costs, which are those of the table's layers."""
    found = total(costs)
    mark = limit(found.operations_at_least, bool(found.bounded.macs))
    return Macs(found.operations.macs, mark.value, size_text(table))


def size_text(table: LayerTable) -> str:
    """The sizes that a table was made for: `batch 8, sequence=16`."""
    return ", ".join([f"batch {table.batch}", *(f"{name}={size}" for name, size in table.dims)])
