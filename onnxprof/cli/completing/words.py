"""What a shell asks, as words, and candidates in the form that it reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxprof.cli.completing.scripts import Shell

#: What bash must not read as its own when it takes a candidate.
_SPECIAL = re.compile(r"([\s\"'\\$`!&;|()<>{}\[\]*?#~])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may stand where the cursor is."""

    value: str
    help: str = ""


def split(line: str) -> tuple[list[str], str]:
    """(whole words behind the program's name, the word that the cursor is in).

    A quote that is still open ends where the line does.
    """
    words = _words(line)
    if not line or line[-1:].isspace():
        return words[1:], ""
    return (words[1:-1], words[-1]) if len(words) > 1 else ([], "")


def _words(line: str) -> list[str]:
    for end in ("", '"', "'"):
        try:
            return shlex.split(line + end)
        except ValueError:
            continue
    return line.split()


def answer(found: Iterable[Candidate], shell: str, typed: str, breaks: str = "") -> Iterator[str]:
    """The lines for a shell; bash gets what stands behind the last end of a word in `typed`."""
    cut = 1 + max((typed.rfind(mark) for mark in ":=" if mark in breaks), default=-1)
    for each in found:
        help_text = " ".join(each.help.split())
        if shell == Shell.BASH:
            yield "+" + _SPECIAL.sub(r"\\\1", each.value[cut:])
        elif shell == Shell.ZSH:
            value = each.value.replace("\\", "\\\\").replace(":", "\\:")
            yield f"+{value}:{help_text}" if help_text else f"+{value}"
        else:
            yield f"+{each.value}\t{help_text}" if help_text else f"+{each.value}"
