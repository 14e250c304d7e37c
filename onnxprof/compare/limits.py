"""What a reader of an alignment must know: what limits verdicts, and what the table lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.compare.table import Column, Row
from onnxprof.compare.verdict import Caveat, Remark, Side, limits, ordered
from onnxprof.records.step import Confidence

#: A step of more layers than this that is also most of the network hides what is in it.
_COARSE = 8


def side(column: Column) -> Side:
    """What limits the verdicts on a column."""
    return Side.of([column.run], column.processes)


def remarks(columns: Sequence[Column], rows: Sequence[Row], baseline: int) -> tuple[Remark, ...]:
    """The caveats of an alignment, the weightiest first."""
    sides = [side(column) for column in columns]
    return ordered([*limits(sides, baseline), *_lacking(columns, rows, baseline)])


def _lacking(columns: Sequence[Column], rows: Sequence[Row], baseline: int) -> Iterator[Remark]:
    """What the table does not have, or has from elsewhere."""
    plain = [c for c in columns if not c.quantised]
    base = plain[0] if plain and columns[baseline].quantised else columns[baseline]
    digest = base.run.request.model_sha256
    inferred = _inferred(rows, len(columns))
    found = {
        Caveat.MODELS_DIFFER: [
            c.run.request.model_sha256 != digest and not c.quantised for c in columns
        ],
        Caveat.QUANTISED: [c.quantised for c in columns],
        Caveat.ONE_STEP: [c.whole for c in columns],
        Caveat.NO_STEP_TIMES: [not _traced(c) for c in columns],
        Caveat.NO_LATENCY: [c.total_ns is None for c in columns],
        Caveat.AVERAGED: [bool(c.run.origin and c.run.origin.averaged) for c in columns],
        Caveat.COARSE: [_coarse(c, rows) for c in columns],
        Caveat.INFERRED: [i in inferred for i in range(len(columns))],
    }
    for kind, told in found.items():
        if any(told):
            yield Remark(kind, tuple(i for i, holds in enumerate(told) if holds))


def _traced(column: Column) -> bool:
    timings = column.run.timings
    return timings is not None and timings.step_ns.size > 0


def _coarse(column: Column, rows: Sequence[Row]) -> bool:
    """Whether one step holds more than half of all layers that have a row."""
    layers = sum(len(row.layers) for row in rows)
    largest = max((len(step.layers) for step in column.run.steps), default=0)
    return not column.whole and largest > max(_COARSE, layers / 2)


def _inferred(rows: Sequence[Row], columns: int) -> set[int]:
    return {
        i
        for i in range(columns)
        if any(row.cells[i].confidence is Confidence.INFERRED for row in rows)
    }
