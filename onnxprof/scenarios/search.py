"""The highest rate that holds a target latency, by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from onnxprof.records.scenarios.run import Probe

Try = Callable[[float], Probe]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where to look for a rate, and how closely."""

    first: float
    """What is tried first."""
    least: float
    """Where not even this holds, nothing does."""
    most: float
    """What cannot hold."""
    step: float
    """What a rate that does not hold is multiplied by, until one does: once, twice, and so on."""
    precision: float
    """By which part two neighbouring rates may differ in the end."""
    tries: int
    """The most rates that are tried."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    rate: float
    """The highest that held; 0 where none did."""
    probes: tuple[Probe, ...]


def highest(tried: Try, bounds: Bounds) -> Found:
    """Go down until a rate holds, then bisect between it and the lowest that did not."""
    probes: list[Probe] = []
    low, high, rate = 0.0, bounds.most, bounds.first
    while len(probes) < bounds.tries:
        probes.append(tried(rate))
        low, high = (rate, high) if probes[-1].held else (low, rate)
        if low and high <= low * (1 + bounds.precision):
            break
        if not low and high <= bounds.least:
            break
        lower = high * bounds.step ** len(probes)
        rate = math.sqrt(low * high) if low else max(lower, bounds.least)
    return Found(low, tuple(probes))
