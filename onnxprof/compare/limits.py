"""What limits an alignment: which differences can be told at all, and what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.compare.table import Column, Remark, RemarkKind, Row
from onnxprof.records.step import Confidence
from onnxprof.records.warning import WarningKind

#: A step of more layers than this that is also most of the network hides what is in it.
_COARSE = 8


def decided(a: Column, b: Column) -> tuple[bool, bool]:
    """Whether anything can be told of the medians, and of the layers.

    By the rules of `compare`: one process on a busy machine proves nothing, nor do layers
    where the timer of one side alone adds to them.
    """
    lone = min(a.processes, b.processes) == 1 and (_busy(a) or _busy(b))
    inflated = _timer(a) != _timer(b) and (_inflated(a) or _inflated(b))
    return not lone, not (lone or inflated)


def _timer(column: Column) -> tuple[str, str]:
    """Each runtime's profiler has a cost of its own."""
    return column.run.request.backend, column.run.timer


def _busy(column: Column) -> bool:
    return _warns(column, WarningKind.BUSY_MACHINE)


def _inflated(column: Column) -> bool:
    return _warns(column, WarningKind.TIMER_INFLATION)


def _warns(column: Column, kind: WarningKind) -> bool:
    return any(warning.kind is kind for warning in column.run.warnings)


def remarks(columns: Sequence[Column], rows: Sequence[Row], baseline: int) -> Iterator[Remark]:
    """The caveats of an alignment, what matters most first."""
    first = columns[baseline]
    others = [column for column in columns if column is not first]
    told = [decided(first, column)[0] for column in others]
    lone = [column for column, tells in zip(others, told, strict=True) if not tells]
    found = (
        (RemarkKind.WRONG_OUTPUTS, [c for c in columns if c.wrong]),
        (RemarkKind.MODELS_DIFFER, [c for c in others if _digest(c) != _digest(first)]),
        (RemarkKind.ONE_STEP, [c for c in columns if c.whole]),
        (RemarkKind.NO_STEP_TIMES, [c for c in columns if not _traced(c)]),
        (RemarkKind.NO_LATENCY, [c for c in columns if c.total_ns is None]),
        (RemarkKind.AVERAGED, [c for c in columns if c.run.origin and c.run.origin.averaged]),
        (RemarkKind.COARSE, [c for c in columns if _coarse(c, rows)]),
        (RemarkKind.INFERRED, _inferred(columns, rows)),
        (RemarkKind.TIMER_INFLATION, [c for c in columns if _inflated(c)]),
        (RemarkKind.NOT_DECIDED, lone),
        (RemarkKind.BUSY_MACHINE, [c for c in columns if _busy(c)] if any(told) else []),
        (
            RemarkKind.SINGLE_PROCESS,
            [c for c in columns if c.processes == 1] if any(told) else [],
        ),
    )
    for kind, about in found:
        if kind in (RemarkKind.BUSY_MACHINE, RemarkKind.SINGLE_PROCESS):
            about = [c for c in about if not any(c is its for its in lone)]
        if about:
            yield Remark(
                kind, tuple(i for i, c in enumerate(columns) if any(c is its for its in about))
            )


def _digest(column: Column) -> str:
    return column.run.request.model_sha256


def _traced(column: Column) -> bool:
    timings = column.run.timings
    return timings is not None and timings.step_ns.size > 0


def _coarse(column: Column, rows: Sequence[Row]) -> bool:
    """Whether one step holds more than half of all layers that have a row."""
    layers = sum(len(row.layers) for row in rows)
    largest = max((len(step.layers) for step in column.run.steps), default=0)
    return not column.whole and largest > max(_COARSE, layers / 2)


def _inferred(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    return [
        column
        for i, column in enumerate(columns)
        if any(row.cells[i].confidence is Confidence.INFERRED for row in rows)
    ]
