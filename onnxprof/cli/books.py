"""Workbooks: whether they can be written here, asked before any work is done."""

from __future__ import annotations

import sys
from pathlib import Path

from onnxprof.errors import UsageError


def check_book(chosen: str, output: str | Path | None) -> str:
    """The format. Raises UsageError for a workbook that could not be written."""
    if chosen != "xlsx":
        return chosen
    from onnxprof.publish.workbook.book import check_installed

    check_installed()
    if (not output or str(output) == "-") and sys.stdout.isatty():
        raise UsageError("a workbook is not for a terminal", remedy="Name a file: -o FILE.xlsx")
    return chosen
