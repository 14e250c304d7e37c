"""Rates and bandwidths of a device, derived from the points that were measured.

A ceiling is the best rate that any point attained. A point that was disturbed can look faster than
it is, and a ceiling that is too high by one such point would hide what is slow: where the interval
of a point is wide, only what it attained for certain counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis.once import once
from onnxprof.records.ceilings import Ceilings, Point

#: Of the rounds, the time that so many do not exceed: other programs only add to it.
QUIET = 0.25
#: Half the width of an interval over its slope, beyond which only its lower end counts.
WIDEST = 0.05
_RESAMPLED, _LEVEL = 400, 0.95
#: Rounds below which no interval is believed.
_FEWEST = 6
MAIN = "main"
#: Any level, where sizes of caches are not known.
MEMORY = "memory"
#: Tensors that are smaller show what a call costs, not a bandwidth.
_CALL_BYTES = 16 << 10
_TINY_BYTES = 2 << 10


@dataclass(frozen=True, slots=True)
class Slope:
    """What one more copy of a point takes."""

    point: Point
    ns: float
    low_ns: float
    high_ns: float
    """The ends of the 95 % interval, by drawing the rounds anew."""
    most_ns: float
    """What it takes at most, if all that disturbs makes a time longer: from the fastest round of
    the shorter graph, and not below the interval."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval is narrow, and of enough rounds to say so."""
        return (
            len(self.point.long_ns) >= _FEWEST
            and self.low_ns > 0
            and (self.high_ns - self.low_ns) / 2 <= WIDEST * self.ns
        )

    @property
    def spread(self) -> float:
        """Half the interval over the slope; infinite where the slope is not above zero."""
        return (self.high_ns - self.low_ns) / 2 / self.ns if self.ns > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best of several points, as amount per nanosecond: GFLOP/s, or GB/s."""

    best: float
    low: float
    high: float
    slope: Slope
    is_sure: bool = True
    """False where the point was disturbed, and this is the lower end of its interval."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of memory, and what elementwise and reading operators attain in it."""

    name: str
    bytes: int
    """What the threads have of it together; 0 for main memory."""
    ceiling: Ceiling | None


@lru_cache(maxsize=512)
def slope(point: Point) -> Slope:
    """What one more copy takes. Raises ValueError for a point that was refused."""
    if not point.short_ns or len(point.short_ns) != len(point.long_ns):
        raise ValueError(f"{point.kind} {point.size} has no times")
    rounds = np.array([point.short_ns, point.long_ns], np.float64)
    more = point.long - point.short
    ends = np.quantile(rounds[:, _drawn(rounds.shape[1])], QUIET, axis=2)
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile((ends[1] - ends[0]) / more, (tail, 1 - tail))
    quiet = np.quantile(rounds, QUIET, axis=1)
    most = max(float(high), float(quiet[1] - rounds[0].min()) / more)
    return Slope(point, float(quiet[1] - quiet[0]) / more, float(low), float(high), most)


@lru_cache(maxsize=16)
def _drawn(rounds: int) -> NDArray[np.int64]:
    """Rounds drawn anew, the same ones for every point of so many."""
    return np.random.default_rng(0).integers(0, rounds, (_RESAMPLED, rounds))


def slopes(ceilings: Ceilings) -> list[Slope]:
    """Those of all points that have times."""
    return once(_slopes, ceilings)


def _slopes(ceilings: Ceilings) -> list[Slope]:
    return [slope(point) for point in ceilings.points if point.short_ns]


def precisions(ceilings: Ceilings) -> list[str]:
    """Every precision that was tried for arithmetic, in the order of the points."""
    return list(dict.fromkeys(p.precision for p in ceilings.points if p.flops))


def compute(ceilings: Ceilings, precision: str) -> Ceiling | None:
    """The best rate in GFLOP/s of a precision; None where no graph of it ran."""
    fitting = [s for s in slopes(ceilings) if s.point.flops and s.point.precision == precision]
    return _best(fitting, [s.point.flops for s in fitting])


def levels(ceilings: Ceilings) -> list[Level]:
    """Each level of memory with its bandwidth: the best of the working sets that only it holds."""
    made, below = [], 0
    for cache in ceilings.caches:
        reach = cache.reach(ceilings.key.threads)
        made.append(Level(cache.name, reach, _bandwidth(ceilings, below, reach)))
        below = reach
    if not made:  # sizes of caches are not known: the largest working sets are in none
        largest = max((s.point.working_set_bytes for s in slopes(ceilings)), default=0)
        return [Level(MEMORY, 0, _bandwidth(ceilings, largest // 4, 0))]
    return [*made, Level(MAIN, 0, _bandwidth(ceilings, 2 * below, 0))]


def _bandwidth(ceilings: Ceilings, above: int, most: int) -> Ceiling | None:
    fitting = [
        s
        for s in slopes(ceilings)
        if s.point.working_set_bytes > max(above, _TINY_BYTES)
        and (not most or s.point.working_set_bytes <= most)
    ]
    return _best(fitting, [s.point.moved_bytes for s in fitting])


@dataclass(frozen=True, slots=True)
class Envelope:
    """The best bandwidth by working set, which never rises with its size."""

    sizes: tuple[int, ...]
    """Working sets that were measured, ascending."""
    bests: tuple[Ceiling, ...]
    """For each of them the best seen with so much or more."""

    def beyond(self, size: int) -> Ceiling | None:
        """The best seen with a working set of more than `size` bytes, or with the largest."""
        if not self.sizes:
            return None
        return self.bests[min(bisect_right(self.sizes, size), len(self.sizes) - 1)]

    def at(self, working_set_bytes: int) -> Ceiling | None:
        """The ceiling in GB/s of a working set; None where nothing was measured.

        That of the largest measured size that is no more than half of it, since up to half may
        still lie in a nearer level. What is smaller than every size is held to the smallest.
        """
        if not self.sizes:
            return None
        return self.bests[max(0, bisect_right(self.sizes, working_set_bytes // 2) - 1)]


def envelope(ceilings: Ceilings) -> Envelope:
    """Bandwidths of all points, at the working sets of those that do little but move data."""
    return once(_envelope, ceilings)


def _envelope(ceilings: Ceilings) -> Envelope:
    found = sorted(slopes(ceilings), key=lambda s: -s.point.working_set_bytes)
    sizes: dict[int, Ceiling] = {}
    best: Ceiling | None = None
    for one in found:
        here = _best([one], [one.point.moved_bytes])
        if here is not None and (best is None or here.best > best.best):
            best = here
        if best is not None and one.point.flops <= one.point.moved_bytes:
            sizes[one.point.working_set_bytes] = best
    ascending = sorted(sizes)
    return Envelope(tuple(ascending), tuple(sizes[size] for size in ascending))


def moving_ns(ceilings: Ceilings, found: Envelope, moved_bytes: int) -> float | None:
    """The least nanoseconds to move so many bytes; None where nothing was measured.

    As much as a level holds may lie in it, the nearest first, and moves at the best bandwidth seen
    with more than what the nearer levels hold. Main memory begins at twice the last cache: how
    much lies in it changes nothing.
    """
    if not ceilings.caches:
        known = found.at(moved_bytes)
        return moved_bytes / known.best if known else None
    whole, left, below = 0.0, moved_bytes, 0
    for cache in ceilings.caches:
        reach = cache.reach(ceilings.key.threads)
        inside = min(left, max(0, reach - below))
        known = found.beyond(below)
        whole += inside / known.best if known else 0.0
        left, below = left - inside, reach
    known = found.beyond(2 * below - 1)
    return whole + left / known.best if known else None


def level_of(ceilings: Ceilings, working_set_bytes: int) -> str:
    """The nearest level that holds a working set: `L2`, or `main`; `memory` if none is known."""
    for cache in ceilings.caches:
        if working_set_bytes <= cache.reach(ceilings.key.threads):
            return cache.name
    return MAIN if ceilings.caches else MEMORY


def node_ns(ceilings: Ceilings) -> Ceiling | None:
    """What one more node costs whose tensors are tiny, in nanoseconds: the cheapest operator's."""
    tiny = [s for s in slopes(ceilings) if s.point.moved_bytes <= _TINY_BYTES]
    sure = [s for s in tiny if s.is_sure] or sorted(tiny, key=lambda s: s.spread)[:1]
    if not sure:
        return None
    least = min(sure, key=lambda s: s.ns)
    return Ceiling(least.ns, least.low_ns, least.high_ns, least, least.is_sure)


def call_ns(ceilings: Ceilings) -> float | None:
    """What an inference takes without nodes: the line through two lengths, at no copy."""
    found = node_ns(ceilings)
    if found is None:
        return None
    point = found.slope.point
    short = float(np.quantile(np.array(point.short_ns), QUIET))
    return max(0.0, short - point.short * found.best)


def small_call_ns(ceilings: Ceilings) -> float | None:
    """An inference of one elementwise operator over 8 KiB: what a call costs, no bandwidth."""
    call = call_ns(ceilings)
    small = [s for s in slopes(ceilings) if _TINY_BYTES < s.point.moved_bytes <= _CALL_BYTES // 2]
    if call is None or not small:
        return None
    return call + min(s.ns for s in small)


def _best(found: Sequence[Slope], amounts: Iterable[int]) -> Ceiling | None:
    """The highest rate that some point attained for certain, or as good as."""
    rates = [
        _rate(one, amount)
        for one, amount in zip(found, amounts, strict=True)
        if one.most_ns > 0 and amount
    ]
    return max(rates, key=lambda rate: rate.best, default=None)


def _rate(one: Slope, amount: int) -> Ceiling:
    """A point's rate: where its interval is wide, the lower end, which it attained for certain."""
    high = amount / one.low_ns if one.low_ns > 0 else float("inf")
    if one.is_sure:
        return Ceiling(amount / one.ns, amount / one.high_ns, high, one)
    least = amount / one.most_ns
    return Ceiling(least, least, high, one, is_sure=False)
