"""The highest rate that holds a target latency, by bisection over short runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onnxprof.records.scenarios.run import Probe

Try = Callable[[float], Probe]

#: The first rate, and the least that is tried, as parts of the capacity.
_FIRST, LEAST = 0.7, 0.1
#: Above the capacity no rate can be sustained for long.
_MOST = 1.02
_MOST_TRIES = 14


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    rate: float
    """The highest that held; 0 where none did."""
    probes: tuple[Probe, ...]


def highest(tried: Try, capacity: float, precision: float) -> Found:
    """Bisect below the capacity until the highest rate that holds is known to `precision`.

    The capacity is the throughput with all samples at hand. At a tenth of it hardly any
    query waits for another: where not even that holds, the target latency is beyond this system.
    """
    probes: list[Probe] = []
    low, high = 0.0, capacity * _MOST
    rate = capacity * _FIRST
    while len(probes) < _MOST_TRIES:
        probes.append(tried(rate))
        low, high = (rate, high) if probes[-1].held else (low, rate)
        if not low and high <= capacity * LEAST:
            break
        if low and high / low < 1 + precision:
            break
        rate = math.sqrt(low * high) if low else max(high / 4, capacity * LEAST)
    return Found(low, tuple(probes))


def confirmations(rate: float, most: int, step: float) -> Iterator[float]:
    """The rates to confirm with a whole run: the highest that held, then ever lower ones."""
    for _ in range(most):
        yield rate
        rate *= 1 - step
