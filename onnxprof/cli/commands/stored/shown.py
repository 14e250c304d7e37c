"""One run as `runs show` prints or writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxprof.cli.comments import comment
from onnxprof.cli.output import (
    deliver,
    deliver_document,
    display,
    note,
    plain_text,
    terminal_width,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from onnxprof.reasons.stored import Shelf
    from onnxprof.records.run import Run
    from onnxprof.store.summary import Summary

_SLOWEST = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A run, and what is to be shown of it."""

    run: Run
    summary: Summary
    shelf: Shelf
    by: str = ""
    """`scope` or `operator`: what the times are added up by."""
    every: bool = False
    """Every layer that has a time, not the slowest alone."""


def write(asked: Shown, chosen: str, output: str) -> None:
    """Print the run, or write it in the chosen format.

    Raises StoreError where times are asked for of a run that has none.
    """
    if chosen == "json":
        return deliver_document(_document(asked), output)
    if chosen == "csv":
        return deliver(_csv(asked), output)
    if chosen == "xlsx":
        return deliver(_book(asked), output)
    if output and output != "-":
        return deliver(plain_text(*_parts(asked, 80)), output)
    display(*_parts(asked, terminal_width()))
    _comment(asked)
    return None


def _document(asked: Shown) -> dict[str, object]:
    from onnxprof.publish.icicle.table import By
    from onnxprof.publish.json.runs import run

    by = By(asked.by) if asked.by else None
    return run(asked.run, asked.summary, asked.shelf.of(asked.run), by)


def _csv(asked: Shown) -> str:
    from onnxprof.publish.tables.timings import timing_csv

    return timing_csv([asked.run], asked.shelf.of)


def _book(asked: Shown) -> bytes:
    from onnxprof.publish.workbook.runs import run_book

    return run_book(asked.run, asked.summary, asked.shelf.of(asked.run))


def _parts(asked: Shown, width: int) -> Iterator[RenderableType]:
    from onnxprof.publish.repeating.lines import repeat
    from onnxprof.publish.repeating.terminal import text_lines
    from onnxprof.publish.tables import gpu, run_summary

    if asked.by:
        yield from _by(asked, width)
        return
    limit = None if asked.every else _SLOWEST
    yield run_summary.facts(asked.run)
    yield ""
    yield run_summary.summary(asked.run, limit=limit, ceilings=asked.shelf.of(asked.run))
    yield from gpu.tables(asked.run, limit)
    yield ""
    yield from text_lines(repeat(asked.run), width)


def _by(asked: Shown, width: int) -> Iterator[RenderableType]:
    """The times by scope or operator. Raises StoreError for a run that failed."""
    from onnxprof.analysis.reconcile import reconcile
    from onnxprof.publish.icicle import table
    from onnxprof.publish.tables.run_summary import graded, headline

    sums = reconcile(asked.run)
    yield headline(asked.run)
    yield graded(sums, asked.run)
    yield table.table(sums, table.By(asked.by), width, every=asked.every)


def _comment(asked: Shown) -> None:
    """Tags, what is missing, and with -v how the run was measured."""
    comment(asked.run, has_table=True)
    if asked.by:
        return
    if asked.summary.tags:
        note(f"tags: {', '.join(asked.summary.tags)}")
    if asked.run.timings is not None and (missing := asked.shelf.missing(asked.run)):
        note(f"note: {missing}")
