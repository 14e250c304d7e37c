"""Grouping layers into scopes by the paths in their names, so that large graphs can be folded.

A scope is a range of layers in file order, which is topological, so that folding scopes causes
no cycle even where the names of two scopes interleave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

#: Graphs of at most this many layers are not grouped.
MOST_WHOLE = 300
#: Scopes of at most this many layers have no scopes inside.
MOST_PLAIN = 48
#: More members than this are grouped into chunks by position.
MOST_MEMBERS = 120
#: Parts of a name, without the last, beyond which a name is not split.
DEEPEST = 12
#: A scope with more than this part of its parent's layers is replaced by its members.
_MOST_OF_IT = 0.8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """A range of layers with a common path; members are layers by number, and scopes."""

    name: str
    members: tuple[int | Scope, ...]

    def layers(self) -> Iterator[int]:
        """Every layer within, in order."""
        for member in self.members:
            if isinstance(member, Scope):
                yield from member.layers()
            else:
                yield member


def gathered(names: Sequence[str], most: int = MOST_WHOLE) -> Scope:
    """The layers as a scope of scopes; without inner scopes for at most `most` names."""
    if len(names) <= most:
        return Scope("", tuple(range(len(names))))
    parted = paths(names)
    return Scope("", _members(parted, 0, len(names), 0))


def paths(names: Sequence[str]) -> list[list[str]]:
    """Names split at slashes, or at dots where few names have slashes."""
    slashed = sum("/" in name.strip("/") for name in names)
    mark = "/" if 2 * slashed > len(names) else "."
    return [name.strip(mark).split(mark, DEEPEST) for name in names]


def _members(
    paths: Sequence[list[str]], low: int, high: int, depth: int
) -> tuple[int | Scope, ...]:
    if high - low <= MOST_PLAIN:
        return tuple(range(low, high))
    members: list[int | Scope] = []
    for start, end in _runs(paths, low, high, depth):
        if end - start < 3:
            members += range(start, end)
        elif end - start > _MOST_OF_IT * (high - low):
            members += _members(paths, start, end, depth + 1)
        else:
            name = "/".join(paths[start][: depth + 1])
            members.append(Scope(name, _members(paths, start, end, depth + 1)))
    return _chunked(members, paths)


def _runs(paths: Sequence[list[str]], low: int, high: int, depth: int) -> Iterator[tuple[int, int]]:
    """Ranges of layers in the same scope at this depth; a layer without a scope is alone."""
    start = low
    for i in range(low + 1, high + 1):
        if i == high or not _together(paths[i - 1], paths[i], depth):
            yield start, i
            start = i


def _together(a: list[str], b: list[str], depth: int) -> bool:
    return _is_scope(a, depth) and _is_scope(b, depth) and a[depth] == b[depth]


def _is_scope(path: list[str], depth: int) -> bool:
    return len(path) > depth + 1


def chunks(members: Sequence[T]) -> list[Sequence[T]]:
    """More than `MOST_MEMBERS` members in chunks by position, about as many as members in each."""
    size = math.isqrt(max(len(members), 1) - 1) + 1
    return [members[i : i + size] for i in range(0, len(members), size)]


def chunk_name(first: str, last: str) -> str:
    """What a chunk is called: by its ends."""
    return f"{first} … {last}"


def _chunked(members: Sequence[int | Scope], paths: Sequence[list[str]]) -> tuple[int | Scope, ...]:
    if len(members) <= MOST_MEMBERS:
        return tuple(members)
    return tuple(
        Scope(chunk_name(_called(chunk[0], paths), _called(chunk[-1], paths)), tuple(chunk))
        for chunk in chunks(members)
    )


def _called(member: int | Scope, paths: Sequence[list[str]]) -> str:
    return member.name if isinstance(member, Scope) else paths[member][-1]
