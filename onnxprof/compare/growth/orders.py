"""The order by which figures grow with a size: constant, linear or quadratic.

Measured times get the lowest order that explains them: a higher one is taken where it leaves less
than half of the weighted squares, and where its term makes a visible part of the largest time. A
square must bend upwards: times that grow less and less are a line.
Costs are exact, and so is their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

import numpy as np

from onnxprof.compare.ratios import Floats

#: Relative errors of times below this are taken for this: caches and clocks differ from size to
#: size by as much.
LEAST_ERROR = 0.03
#: Weighted squares for each size that are no more than noise: two standard errors.
_NOISE = 4.0
#: A higher order is taken where it leaves less than this part of the squares.
_LEFT = 0.5
#: The part of the largest time that the highest term makes at least.
_VISIBLE = 0.1
#: Standard errors above its estimate at which a growth that is not seen may still lie.
_BEYOND = 2.0


class Order(IntEnum):
    """The highest power of the size."""

    CONSTANT = 0
    LINEAR = 1
    QUADRATIC = 2

    @property
    def word(self) -> str:
        """As it is printed: `const`, `n`, `n²`."""
        return ("const", "n", "n²")[self]


@dataclass(frozen=True, slots=True)
class Fit:
    """A polynomial through times at several sizes."""

    order: Order
    coefficients: tuple[float, ...]
    """Of 1, the size, and its square; in nanoseconds."""
    misfit: float
    """The largest distance of a time from it, as a fraction of that time."""

    def at(self, size: float) -> float:
        """Nanoseconds at a size."""
        return float(sum(c * size**power for power, c in enumerate(self.coefficients)))

    @property
    def sign(self) -> int:
        """1 where it grows, -1 where it falls, 0 where it stays."""
        if self.order is Order.CONSTANT:
            return 0
        return 1 if self.coefficients[-1] > 0 else -1


def fitted(sizes: Sequence[int], times_ns: Sequence[float], errors: Sequence[float]) -> Fit:
    """The polynomial of the lowest order that explains the times.

    `errors` are relative standard errors. Raises ValueError for fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError("growth needs two sizes")
    x, y = np.array(sizes, np.float64), np.array(times_ns, np.float64)
    sigma = _sigma(y, errors)
    best = _fit(x, y, sigma, Order.CONSTANT)
    for order in (Order.LINEAR, Order.QUADRATIC):
        if int(order) + 1 > len(set(sizes)) or _squares(best, x, y, sigma) <= _NOISE * len(x):
            break
        more = _fit(x, y, sigma, order)
        if _is_better(more, best, x, y, sigma):
            best = more
    return best


def may_follow(costs: Sequence[int], times_ns: Sequence[float], errors: Sequence[float]) -> bool:
    """Whether the times could grow as these costs do, as far as their relative errors tell.

    They could where a fixed time of 0 or more and one in proportion to the cost leave no more than
    noise, and the latter may be large enough to be seen: at two standard errors above its estimate
    it adds a tenth of the largest time from the smallest cost to the largest, or as much as a time
    without a fixed part would grow, where that is less.
    """
    x, y = np.array(costs, np.float64), np.array(times_ns, np.float64)
    if len(set(x.tolist())) < 2:
        return False
    sigma = _sigma(y, errors)
    slope, error, squares = _in_proportion(x / x.max(), y, sigma)
    reach = 1.0 - float(x.min() / x.max())
    growth = (slope + _BEYOND * error) * reach
    visible = min(_VISIBLE, reach) * max(float(y.max()), 1.0)
    return squares <= _NOISE * len(x) and growth >= visible


def _in_proportion(x: Floats, y: Floats, sigma: Floats) -> tuple[float, float, float]:
    """Slope of a line whose fixed part is not below 0, its standard error, weighted squares."""
    weights = sigma**-2.0
    middle, height = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = float((weights * (x - middle) ** 2).sum())
    slope = float((weights * (x - middle) * (y - height)).sum()) / spread
    fixed = float(height - slope * middle)
    if fixed < 0:
        fixed, spread = 0.0, float((weights * x**2).sum())
        slope = float((weights * x * y).sum()) / spread
    left = float((weights * (y - fixed - slope * x) ** 2).sum())
    return slope, spread**-0.5, left


def _sigma(y: Floats, errors: Sequence[float]) -> Floats:
    """Standard errors in nanoseconds."""
    return np.maximum(np.maximum(errors, LEAST_ERROR) * y, 1.0)


def _fit(x: Floats, y: Floats, sigma: Floats, order: Order) -> Fit:
    scale = float(x.max()) or 1.0
    design = np.stack([(x / scale) ** power for power in range(order + 1)], axis=1)
    solved, *_ = np.linalg.lstsq(design / sigma[:, None], y / sigma, rcond=None)
    coefficients = tuple(float(c) / scale**power for power, c in enumerate(solved))
    made = Fit(order, coefficients, 0.0)
    missed = max(abs(made.at(s) - t) / max(t, 1.0) for s, t in zip(x, y, strict=True))
    return Fit(order, coefficients, float(missed))


def _squares(fit: Fit, x: Floats, y: Floats, sigma: Floats) -> float:
    return float((((y - np.array([fit.at(s) for s in x])) / sigma) ** 2).sum())


def _is_better(more: Fit, than: Fit, x: Floats, y: Floats, sigma: Floats) -> bool:
    largest = int(np.argmax(x))
    term = abs(more.coefficients[-1]) * (x[largest] ** more.order - x.min() ** more.order)
    left = _squares(more, x, y, sigma)
    if more.order is Order.QUADRATIC and more.coefficients[-1] <= 0:
        return False  # a line that bends down is no square
    return bool(
        left < _LEFT * _squares(than, x, y, sigma) and term >= _VISIBLE * max(y[largest], 1.0)
    )


def exact(sizes: Sequence[int], counts: Sequence[int]) -> Order | None:
    """The order of counts that are known exactly; None where no polynomial up to the square fits.

    Two sizes tell a constant from what grows, and no more.
    """
    points = sorted(dict(zip(sizes, counts, strict=True)).items())
    if len({count for _, count in points}) == 1:
        return Order.CONSTANT
    for order in (Order.LINEAR, Order.QUADRATIC):
        if len(points) >= order + 1 and all(
            _through(points[: order + 1], size) == count for size, count in points
        ):
            return order
    return None


def _through(points: Sequence[tuple[int, int]], at: int) -> Fraction:
    """The value at a size of the polynomial through these points, by Lagrange's formula."""
    total = Fraction(0)
    for size, count in points:
        term = Fraction(count)
        for other, _ in points:
            if other != size:
                term *= Fraction(at - other, size - other)
        total += term
    return total
