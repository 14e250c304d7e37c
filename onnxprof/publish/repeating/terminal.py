"""The same lines on a terminal: each can be copied, whatever the width."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from onnxprof.publish.repeating.lines import Repeat
from onnxprof.publish.text.safe import printable

_COMMENT = re.compile(r"  (# (?:SHA-256 [0-9a-f]{64}|its SHA-256 is not known))$")


def text_lines(repeat: Repeat, width: int = 80) -> Iterator[str]:
    """Lines of at most so many characters, where a word is not longer than that.

    A command goes on behind a backslash, so that all of it can be copied at once.
    """
    yield "Repeat it:" if repeat.lines else f"{printable(repeat.note)}."
    for line in repeat.lines:
        found = _COMMENT.search(line)
        yield from _wrapped(line[: found.start()] if found else line, width)
        if found:
            yield f"  {found[1]}"
    if repeat.lines and repeat.note:
        yield f"{printable(repeat.note)}."
    yield f"{printable(repeat.differs)}."


def _wrapped(line: str, width: int) -> Iterator[str]:
    """A shell's line, broken between words; a line break inside a word is an escape."""
    words = [printable(shlex.quote(word)) for word in shlex.split(line)]
    now = f"  {words[0]}"
    for word in words[1:]:
        if len(now) + len(word) + 3 > width:
            yield f"{now} \\"
            now = f"      {word}"
        else:
            now = f"{now} {word}"
    yield now
