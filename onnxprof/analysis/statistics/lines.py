"""Straight lines through times at several sizes: a fixed cost, and a cost an item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis.distributions import student_quantile

Floats = NDArray[np.float64]

#: Degrees of freedom that the errors of the times stand for, beside those of the misfit.
ERROR_DF = 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """`fixed_ns + item_ns * size`, in nanoseconds, with 95 % intervals."""

    fixed_ns: float
    fixed_interval: tuple[float, float]
    item_ns: float
    item_interval: tuple[float, float]
    misfit: float
    """The largest distance of a measured time from the line, as a fraction of that time."""

    def at(self, size: float) -> float:
        """Nanoseconds that the line gives for a size."""
        return self.fixed_ns + self.item_ns * size

    @property
    def half_size(self) -> float | None:
        """The size at which half of the line's highest rate, `1 / item_ns`, is reached.

        Hockney and Jesshope, Parallel Computers 2 (1988), section 1.3.2, call it n½. None where
        the time does not grow, or has no fixed part.
        """
        if self.item_ns <= 0 or self.fixed_ns <= 0:
            return None
        return self.fixed_ns / self.item_ns


def fit(sizes: Floats, times_ns: Floats, errors: Floats, weights: Floats) -> tuple[Line, ...]:
    """Weighted least squares of each row of `times_ns`, shape [rows, sizes], over the sizes.

    `errors` are the relative standard errors of these times, of the same shape. All rows
    have the same `weights`, one a size, so that lines of rows that add up add up, too. Intervals
    are those of the errors, widened where the times miss the line by more than these explain.
    Raises ValueError for fewer than two sizes.
    """
    if np.unique(sizes).size < 2:
        raise ValueError("a line needs two sizes")
    design = np.stack([np.ones(sizes.size), sizes], axis=1)
    scaled = design.T * weights
    solver: Floats = np.asarray(np.linalg.solve(scaled @ design, scaled), np.float64)
    coefficients = times_ns @ solver.T
    missed = times_ns - coefficients @ design.T
    variances: Floats = np.maximum(errors * times_ns, 1.0) ** 2
    reach = _reach(solver, missed, variances)
    misfit = np.abs(missed) / np.maximum(times_ns, 1.0)
    return tuple(
        _line(centre, width, worst)
        for centre, width, worst in zip(coefficients, reach, misfit.max(axis=1), strict=True)
    )


def _reach(solver: Floats, missed: Floats, variances: Floats) -> Floats:
    """Half widths of the 95 % intervals of both coefficients, shape [rows, 2]."""
    spare = missed.shape[1] - 2
    excess = (missed**2 / variances).sum(axis=1) / spare if spare else np.zeros(len(missed))
    spread = np.sqrt(variances @ (solver**2).T * np.maximum(excess, 1.0)[:, None])
    return np.asarray(student_quantile(ERROR_DF + spare, 0.975) * spread, np.float64)


def _line(centre: Floats, width: Floats, misfit: float) -> Line:
    (fixed, item), (low, high) = centre.tolist(), width.tolist()
    return Line(fixed, (fixed - low, fixed + low), item, (item - high, item + high), float(misfit))
