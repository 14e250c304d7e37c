"""Interruptions: times far above the usual time of the step and the speed of the inference.

Another program's turn on the core or an interrupt falls into one step of one inference, while a
slower clock makes every step of an inference longer. So the speed of each inference is taken
out first, by a two-way median polish of logarithms (Tukey, Exploratory Data Analysis, 1977,
chapter 11); what then lies far above the step's usual time is cut down to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.timings import Samples

Times = NDArray[np.float64]

#: An interrupted time lies so many robust standard deviations above the usual one, …
_SPREADS = 6.0
#: … is longer than so many usual times or exceeds the usual one by this part of an inference, …
_LONGER, _PART = 2.0, 0.02
#: … and by more than so many ticks of the clock.
_TICKS = 3
#: Parts of fewer ticks are too coarse to measure an inference's speed.
_TELLING_TICKS = 10
_ROUNDS = 2
_DEVIATION = 1.4826  # standard deviations in a median absolute deviation, of normal values


@dataclass(frozen=True, slots=True)
class Quiet:
    """Traced inferences without interruptions."""

    step_ns: Times
    """Shape [steps, inferences]."""
    whole_ns: Times
    """Nanoseconds of the inferences, the time between steps included; shape [inferences]."""


def quieten(step_ns: Samples, whole_ns: Samples) -> Quiet:
    """Take interruptions out of the steps and the time between steps.

    `step_ns` has the shape [steps, inferences]; `whole_ns` holds the nanoseconds of the
    inferences. Other times stay as sampled, so the parts of an inference add up to its length.
    """
    steps = step_ns.astype(np.float64)
    parts = np.vstack([steps, whole_ns - steps.sum(axis=0)])
    tick = float(np.gcd.reduce(step_ns, axis=None)) or 1.0
    speed = speeds(parts, tick)
    usual = lower_median(parts / speed)
    off = parts / speed - usual[:, None]
    spread = _DEVIATION * lower_median(np.abs(off))
    longer = np.minimum(
        (_LONGER - 1) * np.abs(usual), _PART * float(lower_median(whole_ns[None])[0])
    )
    limit = np.maximum(np.maximum(_SPREADS * spread, longer), _TICKS * tick)
    kept = np.where(off > limit[:, None], usual[:, None] * speed, parts)
    return Quiet(kept[:-1], kept.sum(axis=0))


def speeds(parts: Times, tick: float) -> Times:
    """The slowness of each inference, with median 1; `parts` has the shape [parts, inferences].

    Parts that are short against the clock's tick, or not in every inference, are ignored.
    """
    always = (parts > 0).all(axis=1)
    telling = always & (lower_median(parts) >= _TELLING_TICKS * tick)
    chosen = telling if telling.any() else always
    if not chosen.any():
        return np.ones(parts.shape[1])
    logs = np.log(parts[chosen])
    of_part = lower_median(logs)
    for _ in range(_ROUNDS):
        of_inference = lower_median((logs - of_part[:, None]).T)
        of_part = lower_median(logs - of_inference)
    return np.asarray(np.exp(of_inference - lower_median(of_inference[None])[0]), np.float64)


def lower_median(values: NDArray[np.float64] | Samples) -> Times:
    """The median over the last axis, of two middle values the lower.

    Interruptions only add time, so the lower of two differing values is the likelier one.
    """
    middle = (values.shape[-1] - 1) // 2
    medians = np.partition(values, middle, axis=-1)[..., middle]
    return np.asarray(medians, np.float64)
