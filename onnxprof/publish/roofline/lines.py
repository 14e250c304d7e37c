"""The ceilings that a roofline has lines for: rates of arithmetic, bandwidths by level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnxprof.publish.text.numbers import three
from onnxprof.reasons import ceilings as derived
from onnxprof.reasons.roofline import Rates
from onnxprof.records.ceilings import Ceilings

#: Bandwidths that differ by less are one line.
_CLOSE = 1.03


@dataclass(frozen=True, slots=True)
class Line:
    """A ceiling: GFLOP/s of arithmetic, or GB/s of a level of memory."""

    label: str
    rate: float


def peaks(ceilings: Ceilings, precisions: Iterable[str]) -> list[Line]:
    """The highest sustained rate of each precision that steps compute in, the highest first."""
    rates = Rates.of(ceilings)
    found: dict[float, list[str]] = {}
    for precision in dict.fromkeys(precisions):
        rate = rates.compute(precision)
        if rate:
            found.setdefault(rate, []).append(precision)
    return [
        Line(f"compute {', '.join(names)} {three(rate, 1)} GFLOP/s", rate)
        for rate, names in sorted(found.items(), reverse=True)
    ]


def slopes(ceilings: Ceilings) -> list[Line]:
    """The bandwidth that each level holds steps to, the nearest level first; equal ones are one."""
    made: list[tuple[list[str], float]] = []
    for name, rate in _levels(ceilings):
        if made and made[-1][1] < _CLOSE * rate:
            made[-1][0].append(name)
        else:
            made.append(([name], rate))
    return [Line(f"{', '.join(names)} {three(rate, 1)} GB/s", rate) for names, rate in made]


def _levels(ceilings: Ceilings) -> list[tuple[str, float]]:
    """What moves at the best is what lies in the level: the best seen beyond nearer ones."""
    envelope = derived.envelope(ceilings)
    if not ceilings.caches:
        known = envelope.beyond(0)
        return [(derived.MEMORY, known.best)] if known else []
    found, below = [], 0
    for cache in ceilings.caches:
        found.append((cache.name, envelope.beyond(below)))
        below = cache.reach(ceilings.key.threads)
    found.append((derived.MAIN, envelope.beyond(2 * below - 1)))
    return [(name, known.best) for name, known in found if known]
