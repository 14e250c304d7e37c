"""Runs that differ in the size of one axis alone, or in axes that follow it as well.

An axis follows another where it grows with it by whole steps, as `total = past + new` does with
`past`: then no size of the other axes is held still by holding this one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from onnxprof.records.run import Request

#: The axis that stands for the number of items in a call.
BATCH = "batch"

T = TypeVar("T")
_Sizes = dict[str, int]


def sizes_in(asked: Request) -> _Sizes:
    """Sizes of all axes by name, the batch among them unless an axis has that name."""
    return {BATCH: asked.batch, **dict(asked.dims)}


def size_in(asked: Request, axis: str) -> int | None:
    """The size of an axis; None where the model has none of that name."""
    return asked.batch if axis == BATCH else dict(asked.dims).get(axis)


def families(
    runs: Iterable[T],
    axis: str,
    asked_of: Callable[[T], Request],
    alike: Callable[[T], Hashable],
) -> list[list[T]]:
    """The runs that are alike in groups over an axis, each with two sizes at least."""
    every: dict[Hashable, list[T]] = {}
    for run in runs:
        if size_in(asked_of(run), axis) is not None:
            every.setdefault(alike(run), []).append(run)
    found: list[list[T]] = []
    for group in every.values():
        points = [sizes_in(asked_of(run)) for run in group]
        following = followers(points, axis)
        parts: dict[Hashable, list[T]] = {}
        for run, point in zip(group, points, strict=True):
            parts.setdefault(_held(point, axis, following), []).append(run)
        found += parts.values()
    return [part for part in found if len({size_in(asked_of(r), axis) for r in part}) > 1]


def followers(points: Sequence[_Sizes], axis: str) -> frozenset[str]:
    """The axes that grow with an axis, whatever the sizes of the others."""
    names = dict.fromkeys(name for point in points for name in point)
    varying = [n for n in names if n != axis and len({point.get(n) for point in points}) > 1]
    found = frozenset[str]()
    for name in varying:
        if name == BATCH:
            continue
        wider = found | {name}
        before, after = _parts(points, axis, found), _parts(points, axis, wider)
        if len(after) < len(before) and all(_follow(part, axis, wider) for part in after):
            found = wider
    return found


def leading(requests: Sequence[Request]) -> list[str]:
    """The axes in which runs differ, those left out that follow another one; the batch first."""
    points = [sizes_in(asked) for asked in requests]
    names = dict.fromkeys(name for point in points for name in point)
    varying = [n for n in names if len({point.get(n) for point in points}) > 1]
    following: set[str] = set()
    for name in varying:
        if name not in following:
            following |= {
                other for other in followers(points, name) if _is_larger(points, other, name)
            }
    return [name for name in varying if name not in following]


def _is_larger(points: Sequence[_Sizes], name: str, than: str) -> bool:
    """Whether the first axis is the longer one, or as long and later: a sum, not its part."""
    mine, theirs = (sum(point.get(each, 0) for point in points) for each in (name, than))
    names = list(dict.fromkeys(each for point in points for each in point))
    return mine > theirs or (mine == theirs and names.index(name) > names.index(than))


def _parts(points: Sequence[_Sizes], axis: str, following: frozenset[str]) -> list[list[_Sizes]]:
    parts: dict[Hashable, list[_Sizes]] = {}
    for point in points:
        parts.setdefault(_held(point, axis, following), []).append(point)
    return list(parts.values())


def _held(point: _Sizes, axis: str, following: frozenset[str]) -> Hashable:
    """The sizes of the axes that are held still."""
    return tuple(sorted(p for p in point.items() if p[0] != axis and p[0] not in following))


def _follow(part: Sequence[_Sizes], axis: str, names: Iterable[str]) -> bool:
    return all(_follows(part, axis, name) for name in names)


def _follows(part: Sequence[_Sizes], axis: str, name: str) -> bool:
    """Whether one axis is a whole positive multiple of the other, plus a constant."""
    if any(axis not in point or name not in point for point in part):
        return False
    pairs = sorted({(point[axis], point[name]) for point in part})
    if len({size for size, _ in pairs}) < len(pairs):
        return False
    (first, base), *rest = pairs
    if not rest:
        return True
    step, left = divmod(rest[0][1] - base, rest[0][0] - first)
    whole = step > 0 and not left
    return whole and all(other - base == step * (size - first) for size, other in rest)
