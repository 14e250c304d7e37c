"""When samples are enough, a warm-up is steady, and an interval narrow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Half of the median's 95 % interval, relative to the median, at which latency is settled.
PRECISION = 0.01
#: Two neighbouring windows of the warm-up whose medians differ by less are steady.
STEADY = 0.02
ENOUGH = 20
WINDOW = 5


def unsteadiness(times: Sequence[int]) -> float:
    """The difference of the medians of a warm-up's last two windows, relative to the last.

    NaN where the warm-up is too short to tell.
    """
    window = min(WINDOW, len(times) // 2)
    if window < 2:
        return float("nan")
    before = float(np.median(times[-2 * window : -window]))
    last = float(np.median(times[-window:]))
    return abs(last - before) / last if last else 0.0
