"""Comparisons and alignments as workbooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from onnxprof.publish.comparing import alignment_text, changes, over_batches, versions
from onnxprof.publish.scaling import data as scaling_data
from onnxprof.publish.text.csv import dims_text
from onnxprof.publish.workbook.book import Sheet, sheet_of_csv, workbook

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.compare.over_batches import Batches
    from onnxprof.compare.scaling import Scaling
    from onnxprof.compare.table import Alignment
    from onnxprof.compare.versions.bisecting import Bisection
    from onnxprof.records.run import Run

_SIDES = ("side", "model", "batch", "phase", "dims", "backend", "device", "created", "command")
_COLUMNS = ("label", "version", "device", "timer", "total ms", "created", "command")


def comparison_book(comparison: Comparison) -> bytes:
    """The workbook of `compare`: verdicts on models and layers, what was compared, caveats."""
    return workbook(_sheets(comparison))


def versions_book(comparison: Comparison, bisection: Bisection | None) -> bytes:
    """The workbook of `compare --runtime`: also times by operator, and versions that were tried."""
    verdicts, *others = _sheets(comparison)
    sheets = [verdicts, sheet_of_csv("operators", versions.operators_csv(comparison)), *others]
    if bisection is not None:
        texts = [[text] for text in versions.outcome(bisection)]
        sheets.insert(0, sheet_of_csv("versions", versions.to_csv(comparison, bisection)))
        sheets.insert(1, Sheet("outcome", (versions.heading(bisection),), texts))
    return workbook(sheets)


def _sheets(comparison: Comparison) -> list[Sheet]:
    sides = [
        (side, *_asked(run))
        for pair in comparison.pairs
        for side, runs in (("A", pair.a), ("B", pair.b))
        for run in runs
    ]
    sides += [
        (f"only in {side}", *_asked(run))
        for side, runs in (("A", comparison.unmatched_a), ("B", comparison.unmatched_b))
        for run in runs
    ]
    notes = [[text] for text in _notes(comparison)]
    return [
        sheet_of_csv("verdicts", changes.to_csv(comparison)),
        Sheet("runs", _SIDES, sides),
        Sheet("caveats", ("caveat",), notes),
    ]


def _asked(run: Run) -> tuple[str | int, ...]:
    asked = run.request
    work = asked.batch, asked.phase, dims_text(asked.dims)
    return (
        *(asked.model_name, *work, asked.backend, asked.device_id),
        *(run.created, run.command),
    )


def _notes(comparison: Comparison) -> Iterator[str]:
    for pair in comparison.pairs:
        name = pair.a[0].request.model_name
        for text in (*changes.difference_texts(pair), *changes.caveats(pair)):
            yield f"{name}: {text}"


def alignment_book(found: Alignment | Batches) -> bytes:
    """The workbook of `align`, also over batches."""
    from onnxprof.compare.table import Alignment

    if not isinstance(found, Alignment):
        return workbook([sheet_of_csv("batches", over_batches.to_csv(found))])
    columns = [
        (
            *(each.label, each.version, each.run.device.name, each.run.timer),
            None if each.total_ns is None else each.total_ns / 1e6,
            *(each.run.created, each.run.command),
        )
        for each in found.columns
    ]
    blocks = sheet_of_csv("blocks", alignment_text.to_csv(found))
    return workbook([blocks, Sheet("runs", _COLUMNS, columns)])


def scaling_book(every: Sequence[Scaling]) -> bytes:
    """The workbook of one system over sizes, for `align --over`."""
    return workbook([sheet_of_csv("scaling", scaling_data.to_csv(every))])
