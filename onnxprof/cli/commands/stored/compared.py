"""A comparison in the format that was asked for, and the exit code that it comes to."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.cli.output import BOOKS, deliver, display, file_format, plain_text, say

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.compare.requirement import Requirement


class Format(StrEnum):
    """How to print a comparison."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"
    BOOK = "xlsx"


def format_of(given: Format | None, output: Path | None, as_json: bool = False) -> Format:
    """The format of --format, --json or the file's ending. Raises UsageError."""
    from onnxprof.cli.books import check_book

    return Format(check_book(file_format(given or "", output, BOOKS, "table", as_json), output))


def report(comparison: Comparison, chosen: Format, output: Path | None, limit: int | None) -> None:
    """Print or write the comparison; `limit` bounds the layers of a table."""
    from onnxprof.publish.comparing import changes as renderers

    if chosen is Format.TABLE and output is None:
        display(renderers.table(comparison, limit=limit))
    else:
        deliver(_content(comparison, chosen, limit), output)


def _content(comparison: Comparison, chosen: Format, limit: int | None) -> str | bytes:
    from onnxprof.publish.comparing import changes as renderers
    from onnxprof.publish.json import comparing, documents
    from onnxprof.publish.workbook.comparisons import comparison_book

    if chosen is Format.JSON:
        return documents.text(comparing.compared(comparison))
    if chosen is Format.BOOK:
        return comparison_book(comparison)
    if chosen is Format.CSV:
        return renderers.to_csv(comparison)
    if chosen is Format.MARKDOWN:
        return renderers.markdown(comparison)
    return plain_text(renderers.table(comparison, limit=limit))


def outcome(comparison: Comparison, required: Requirement | None = None) -> int:
    """The exit code: 1 if anything is slower, or what is required is not met; says what."""
    from onnxprof.compare.requirement import unmet

    missing = unmet(comparison, required)
    for text in missing:
        say(text)
    return int(comparison.regressed or bool(missing))
