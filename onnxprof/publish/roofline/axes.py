"""The plane of a roofline: two logarithmic axes, and where the longest ceilings meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 430
#: The corners of the plane, in the drawing's units.
LEFT, RIGHT, TOP, BOTTOM = 58, 708, 22, 388
#: Width of the strip of steps without arithmetic, where there are any.
STRIP = 56
#: An axis spans no more than this factor: what is further out stands at its edge.
_MOST = 1e6
_LEAST = 100.0


@dataclass(frozen=True, slots=True)
class Axes:
    """From operations a byte and GFLOP/s to places."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    left: float
    """Where the lowest intensity is: right of the strip."""

    def x(self, intensity: float) -> float:
        """The place across of so many operations a byte."""
        part = _part(intensity, self.low_x, self.high_x)
        return self.left + part * (RIGHT - self.left)

    def y(self, gflops: float) -> float:
        """The place upwards of a rate."""
        return BOTTOM - _part(gflops, self.low_y, self.high_y) * (BOTTOM - TOP)

    @property
    def angle(self) -> float:
        """Degrees by which a bandwidth rises."""
        up = (BOTTOM - TOP) / math.log(self.high_y / self.low_y)
        across = (RIGHT - self.left) / math.log(self.high_x / self.low_x)
        return math.degrees(math.atan2(up, across))


def axes(
    points: Sequence[tuple[float, float]],
    bandwidths: Sequence[float],
    top: float,
    slow: Sequence[float] = (),
) -> Axes:
    """Axes that hold these points of intensity and rate, and the ceilings up to `top` GFLOP/s.

    `slow` are the GB/s of steps without arithmetic, which stand at the lowest intensity.
    """
    across = [x for x, _ in points]
    if bandwidths and top:
        across += [top / bandwidths[0] / 4, 2 * top / bandwidths[-1]]
    low_x, high_x = _span(across or [1.0])
    up = [y for _, y in points] + [rate * low_x for rate in slow]
    low_y, high_y = _span([*up, *([top] if top else [])] or [1.0])
    return Axes(low_x, high_x, low_y, high_y, LEFT + (STRIP if slow else 0))


def _span(values: Sequence[float]) -> tuple[float, float]:
    """A range somewhat wider than the values, of two decades at least."""
    high = max(values) * 1.7
    low = max(min(values) / 1.7, high / _MOST)
    if high / low < _LEAST:
        middle = math.sqrt(high * low)
        low, high = middle / math.sqrt(_LEAST), middle * math.sqrt(_LEAST)
    return low, high


def _part(value: float, low: float, high: float) -> float:
    """How far a value is along a logarithmic axis, from 0 to 1."""
    if value <= low:
        return 0.0
    return min(1.0, math.log(value / low) / math.log(high / low))
