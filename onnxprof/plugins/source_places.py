"""Removes places in a runtime's own source files from error messages."""

from __future__ import annotations

import re

_SOURCE = re.compile(
    r"""(?:\s*\b(?:at|from|in)\s+)?["']?"""
    r"(?:[A-Za-z]:)?(?:[\w.+-]*[/\\])+[\w.+-]+\.(?:cc|cpp|cxx|cuh?|h|hpp|hxx|inl)"
    r"""["']?(?::\d+|\(\d+\))(?::\d+)?""",
)


def without_places(text: str) -> str:
    """The text without paths and lines of C++ files, and the `at` before them."""
    return " ".join(_SOURCE.sub("", text).split())
