"""The same lines on a terminal: each can be copied, whatever the width."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator

from onnxprof.publish.repeating.lines import Repeat
from onnxprof.publish.text.safe import printable

_COMMENT = re.compile(r"  (# (?:SHA-256 [0-9a-f]{64}|its SHA-256 is not known))$")


def text_lines(repeat: Repeat, width: int = 80) -> Iterator[str]:
    """Lines of at most so many characters, where a word is not longer than that.

    A command goes on behind a backslash, so that all of it can be copied at once.
    """
    yield from ("Repeat it:",) if repeat.lines else _filled(repeat.note, width)
    for line in repeat.lines:
        found = _COMMENT.search(line)
        yield from _wrapped(line[: found.start()] if found else line, width)
        if found:
            yield f"  {found[1]}"
    if repeat.lines and repeat.note:
        yield from _filled(repeat.note, width)
    if repeat.differs:
        yield from _filled(repeat.differs, width)


def _wrapped(line: str, width: int) -> Iterator[str]:
    """A shell's line, broken between words; a line break inside a word is an escape."""
    first, *words = _options([printable(shlex.quote(word)) for word in shlex.split(line)])
    now = f"  {first}"
    for word in words:
        if len(now) + len(word) + 3 > width:
            yield f"{now} \\"
            now = f"      {word}"
        else:
            now = f"{now} {word}"
    yield now


def _options(words: list[str]) -> list[str]:
    """The words, an option and its value as one."""
    found: list[str] = []
    for i, word in enumerate(words):
        is_value = i > 0 and words[i - 1].startswith("--") and "=" not in words[i - 1]
        if is_value and not word.startswith("-"):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _filled(text: str, width: int) -> list[str]:
    return textwrap.wrap(f"{printable(text)}.", width, break_on_hyphens=False)
