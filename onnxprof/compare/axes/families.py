"""Runs that differ in the size of one axis alone, or in axes that follow it as well.

An axis follows another where it grows with it by whole steps, as `total = past + new` does with
`past`: then no size of the other axes is held still by holding this one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from onnxprof.records.run import Request

#: The axis that stands for the number of items in a call.
BATCH = "batch"

#: Points that keep a tie for each one that is off it; the most points that are looked through.
_KEPT, _MOST_POINTS = 3, 64
#: Axes of which every choice is tried.
_MOST_TOGETHER = 6

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
    """The runs that are alike in groups over an axis, each with two sizes at least.

    Without `strays`.
    """
    found: list[list[T]] = []
    for group in _alike(runs, axis, asked_of, alike):
        points = [sizes_in(asked_of(run)) for run in group]
        lost = _off(points, axis)
        following = followers(_without(points, lost), axis)
        parts: dict[Hashable, list[T]] = {}
        for i, (run, point) in enumerate(zip(group, points, strict=True)):
            if i not in lost:
                parts.setdefault(_held(point, axis, following), []).append(run)
        found += parts.values()
    return [part for part in found if len({size_in(asked_of(r), axis) for r in part}) > 1]


def strays(
    runs: Iterable[T],
    axis: str,
    asked_of: Callable[[T], Request],
    alike: Callable[[T], Hashable] = lambda _: None,
) -> list[T]:
    """The few runs that alone keep another axis from following this one.

    As one of past 0, new 1, total 2, which a model may take by broadcasting, where the total is the
    sum in all others. There are three others at least for each, of three sizes or more.
    """
    found: list[T] = []
    for group in _alike(runs, axis, asked_of, alike):
        lost = _off([sizes_in(asked_of(run)) for run in group], axis)
        found += [group[i] for i in sorted(lost)]
    return found


def _alike(
    runs: Iterable[T],
    axis: str,
    asked_of: Callable[[T], Request],
    alike: Callable[[T], Hashable],
) -> list[list[T]]:
    """The runs that have the axis, in groups."""
    every: dict[Hashable, list[T]] = {}
    for run in runs:
        if size_in(asked_of(run), axis) is not None:
            every.setdefault(alike(run), []).append(run)
    return list(every.values())


def followers(points: Sequence[_Sizes], axis: str) -> frozenset[str]:
    """The axes that grow with an axis, whatever the sizes of the others."""
    names = _varying(points, axis)
    found = frozenset[str]()
    while more := next((s for s in _subsets(names, found) if _join(points, axis, found, s)), None):
        found |= more
    return found


def _varying(points: Sequence[_Sizes], axis: str) -> list[str]:
    names = dict.fromkeys(name for point in points for name in point)
    others = [name for name in names if name not in (axis, BATCH)]
    return [name for name in others if len({point.get(name) for point in points}) > 1]


def _subsets(names: Sequence[str], taken: frozenset[str]) -> Iterator[frozenset[str]]:
    """Axes that may follow together, as two sums of the same parts do: the fewest first."""
    left = [name for name in names if name not in taken]
    for count in range(1, len(left) + 1):
        if count == 1 or count == len(left) or len(left) <= _MOST_TOGETHER:
            yield from map(frozenset, combinations(left, count))


def _join(points: Sequence[_Sizes], axis: str, found: frozenset[str], more: frozenset[str]) -> bool:
    """Whether letting these axes go, too, joins points, in each of which they follow."""
    wider = found | more
    before, after = _parts(points, axis, found), _parts(points, axis, wider)
    return len(after) < len(before) and all(_follow(part, axis, wider) for part in after)


def _off(points: Sequence[_Sizes], axis: str) -> frozenset[int]:
    """The places of points off a tie that all the others keep; see `strays`."""
    unique = list({tuple(sorted(point.items())): point for point in points}.values())
    has_it = all(axis in point for point in unique)
    if not has_it or not 1 + _KEPT <= len(unique) <= _MOST_POINTS:
        return frozenset()
    found = followers(unique, axis)
    for more in _subsets(_varying(unique, axis), found):
        off = [
            point
            for part in _parts(unique, axis, found | more)
            for point in _off_line(part, axis, found | more)
        ]
        kept = [point for point in unique if point not in off]
        is_few = bool(off) and len({point[axis] for point in kept}) >= _KEPT
        if is_few and len(kept) >= _KEPT * len(off) and more <= followers(kept, axis):
            return frozenset(i for i, point in enumerate(points) if point in off)
    return frozenset()


def _off_line(part: Sequence[_Sizes], axis: str, names: frozenset[str]) -> list[_Sizes]:
    """The points that are not on the one line with most points; none where two have as many."""
    lines: set[tuple[int, ...]] = set()
    for a, b in combinations(sorted(part, key=lambda point: point[axis]), 2):
        if not _follow((a, b), axis, names) or a[axis] == b[axis]:
            continue
        steps = [(n, (b[n] - a[n]) // (b[axis] - a[axis]), a[n]) for n in names]
        far = [point[axis] - a[axis] for point in part]
        on = (
            all(p.get(n) == base + k * d for n, k, base in steps)
            for p, d in zip(part, far, strict=True)
        )
        lines.add(tuple(i for i, is_on in enumerate(on) if is_on))
    best = sorted(lines, key=len, reverse=True)
    if not best or (len(best) > 1 and len(best[0]) == len(best[1])):
        return []
    return [point for i, point in enumerate(part) if i not in best[0]]


def _without(points: Sequence[_Sizes], lost: frozenset[int]) -> list[_Sizes]:
    return [point for i, point in enumerate(points) if i not in lost]


def leading(requests: Sequence[Request]) -> list[str]:
    """The axes in which runs differ, those left out that follow another one; the batch first."""
    points = [sizes_in(asked) for asked in requests]
    names = dict.fromkeys(name for point in points for name in point)
    varying = [n for n in names if len({point.get(n) for point in points}) > 1]
    following: set[str] = set()
    for name in varying:
        if name not in following:
            mine = _without(points, _off(points, name))
            following |= {other for other in followers(mine, name) if _is_larger(mine, other, name)}
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
