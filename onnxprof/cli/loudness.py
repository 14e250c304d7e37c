"""How much a command says: `-v` for what is going on, `-q` for less, `-qq` for errors alone.

A result that a command was asked to print stays on stdout, however quiet; `profile` and `sweep`,
whose results are stored, print no tables with `-q`. Both may stand before the command and behind
it, and add up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SILENT, QUIET, USUAL, DETAILED = -2, -1, 0, 1
_WORD = re.compile(r"-[vq]+|--verbose|--quiet")


@dataclass(slots=True)
class _Asked:
    """What the command line of this process asks for; all threads are to know it."""

    before: int = USUAL
    level: int = USUAL


_ASKED = _Asked()


def level() -> int:
    """How much is said, from SILENT to DETAILED."""
    return max(SILENT, min(DETAILED, _ASKED.level))


def before_command(verbose: int, quiet: int) -> None:
    """Take what stands before the command."""
    _ASKED.before = _ASKED.level = verbose - quiet


def of_command(words: Sequence[str]) -> None:
    """Take what stands among a command's arguments."""
    options = words[: words.index("--")] if "--" in words else words
    counts = (_counted(word) for word in options if _WORD.fullmatch(word))
    _ASKED.level = _ASKED.before + sum(counts)


def _counted(word: str) -> int:
    if word.startswith("--"):
        return 1 if word == "--verbose" else -1
    return word.count("v") - word.count("q")
