"""The cells of a table of layers that changed."""

from __future__ import annotations

from dataclasses import dataclass

from onnxprof.compare.changes import CONVERSIONS, Pair, Row
from onnxprof.gate.report.words import changed_ns
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable, shortened


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit for a table: its name, its nanoseconds, and decimals for five digits."""

    unit: str
    ns: float
    digits: int

    @classmethod
    def of(cls, pair: Pair) -> Scale:
        """The unit that suits the latencies of both versions."""
        longest = max(pair.latency.a_ns or 0.0, pair.latency.b_ns or 0.0)
        unit, ns = ("µs", 1e3) if longest < 1e6 else ("ms", 1e6)
        return cls(unit, ns, max(0, 5 - len(str(int(longest / ns)))))

    def text(self, ns: float | None, sign: str = "") -> str:
        """The figure without its unit; nothing for None."""
        return "" if ns is None else f"{ns / self.ns:{sign}.{self.digits}f}"


def heads(scale: Scale) -> tuple[str, ...]:
    """The columns of the table."""
    times = (f"{what} {scale.unit}" for what in ("old", "new", "change"))
    return ("layer", *times, "of latency", "new / old", "verdict")


def cells(row: Row, pair: Pair, scale: Scale, longest: int) -> tuple[str, ...]:
    """The texts of a row, in the order of the heads; the name with at most so many characters."""
    change = changed_ns(row)
    part = change / (pair.latency.a_ns or 1.0)
    return (
        name(row, longest),
        scale.text(row.a_ns),
        scale.text(row.b_ns),
        scale.text(change, "+"),
        f"{'+' if part >= 0 else '-'}{percent(abs(part))}",
        "" if row.ratio is None else f"{row.ratio:.3f}",
        verdict(row),
    )


def verdict(row: Row) -> str:
    """The row's verdict, where sides are versions."""
    return row.verdict.value.replace("only in A", "only in old").replace("only in B", "only in new")


def name(row: Row, longest: int) -> str:
    """The row's layer, and how many others its step holds."""
    counted = len(row.layers) > 1 and row.name != CONVERSIONS
    more = f" +{len(row.layers) - 1}" if counted else ""
    return shortened(printable(row.name), longest - len(more)) + more
