"""The lines on which the keys of a TOML file stand, which the standard parser drops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<key>{_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*(?P<key>{_DOTTED})\s*=")
#: What matters in a value: strings, comments, brackets.
_TOKEN = re.compile(
    r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[\[\]{}]',
)


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of each key and table by its path: `("models", 0, "batch")`."""

    known: Mapping[Path, int]

    def of(self, *path: str | int) -> int:
        """The line, from 1, of the nearest key or table around `path` that is known."""
        while path and path not in self.known:
            path = path[:-1]
        return self.known.get(path, 1)


def lines_of(text: str) -> Lines:
    """Where the keys of a valid TOML text stand."""
    known: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    position = 0
    while position < len(text):
        end = _end_of_line(text, position)
        line = text.count("\n", 0, position) + 1
        if header := _HEADER.match(text, position, end):
            table = _table(_parts(header["key"]), header["open"] == "[[", counts)
            known.setdefault(table[:-1] if isinstance(table[-1], int) else table, line)
            known.setdefault(table, line)
        elif key := _KEY.match(text, position, end):
            path = (*table, *_parts(key["key"]))
            for length in range(len(table) + 1, len(path) + 1):
                known.setdefault(path[:length], line)
            end = _end_of_value(text, key.end())
        position = end + 1
    return Lines(known)


def _table(parts: list[str], is_many: bool, counts: dict[Path, int]) -> Path:
    """The path of a header; the tables of an array are numbered."""
    path: Path = ()
    for number, part in enumerate(parts, 1):
        path = (*path, part)
        if is_many and number == len(parts):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, key)]


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _end_of_value(text: str, position: int) -> int:
    """The end of the line on which a value ends that may span several."""
    depth = 0
    while True:
        end = _end_of_line(text, position)
        token = _TOKEN.search(text, position, end)
        if token is None:
            if depth <= 0 or end >= len(text):
                return end
            position = end + 1
            continue
        position = token.end()
        if token[0] in ('"""', "'''"):
            close = text.find(token[0], position)
            position = len(text) if close < 0 else close + 3
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
