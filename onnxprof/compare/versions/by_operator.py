"""A comparison by operator: what all layers of one kind took on either side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onnxprof.compare.changes import Pair
from onnxprof.compare.verdict import Verdict


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """All blocks of layers that are named after a layer of this operator."""

    operator: str
    blocks: int
    a_ns: float
    b_ns: float
    slower: int = 0
    """Blocks of them that are slower in B."""
    faster: int = 0

    @property
    def lost_ns(self) -> float:
        """What B takes more."""
        return self.b_ns - self.a_ns


def by_operator(pair: Pair) -> list[OperatorTime]:
    """The operators of a pair, those that changed the most first."""
    operators = {layer.name: layer.op_type for run in pair.a + pair.b for layer in run.table.nodes}
    rows = [(operators.get(row.name, row.name), row) for row in pair.rows]
    counts = Counter(name for name, _ in rows)
    found = [
        OperatorTime(
            name,
            count,
            sum(row.a_ns or 0.0 for operator, row in rows if operator == name),
            sum(row.b_ns or 0.0 for operator, row in rows if operator == name),
            sum(row.verdict is Verdict.SLOWER for operator, row in rows if operator == name),
            sum(row.verdict is Verdict.FASTER for operator, row in rows if operator == name),
        )
        for name, count in counts.items()
    ]
    return sorted(found, key=lambda each: -abs(each.lost_ns))
