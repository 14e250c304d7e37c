"""A comparison in the format that was asked for, and the exit code that it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.cli.choosing import BookFormat
from onnxprof.cli.output import BOOKS, deliver, display, file_format, say

if TYPE_CHECKING:
    from pathlib import Path

    from onnxprof.api.results.comparison import Comparison
    from onnxprof.compare.changes import Comparison as Compared
    from onnxprof.compare.gates.requirement import Requirement


def format_of(given: BookFormat | None, output: Path | None, as_json: bool = False) -> BookFormat:
    """The format of --format, --json or the file's ending. Raises UsageError."""
    from onnxprof.cli.books import check_book

    return BookFormat(check_book(file_format(given or "", output, BOOKS, "table", as_json), output))


def report(made: Comparison, chosen: BookFormat, output: Path | None) -> None:
    """Print or write the comparison."""
    if chosen is BookFormat.TABLE and output is None:
        display(*made.parts())
    else:
        deliver(made.content(chosen.value), output)


def outcome(comparison: Compared, required: Requirement | None = None) -> int:
    """The exit code: 1 if anything is slower, or what is required is not met; says what."""
    from onnxprof.compare.gates.requirement import unmet

    missing = unmet(comparison, required)
    for text in missing:
        say(text)
    return int(comparison.regressed or bool(missing))
