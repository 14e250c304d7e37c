"""What may bind a step, as a reader tells it apart: a colour, a shape and a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from onnxprof.reasons.ceilings import MAIN, MEMORY
from onnxprof.reasons.roofline import Binding, Roof, Roofline


class Kind(StrEnum):
    """A class of the style sheet, which has a colour for it; `shapes.py` has a shape."""

    COMPUTE = "compute"
    CACHE = "cache"
    MAIN = "main"
    OVERHEAD = "overhead"
    UNKNOWN = "unknown"


#: In the order of a list.
ORDER = tuple(Kind)
NOT_KNOWN = "not known"
_WORDS = {MAIN: "main memory", Binding.OVERHEAD.value: "a step's own overhead"}


def bound_of(roof: Roof) -> str:
    """What binds a step: `compute`, a level of memory, `overhead`; empty where it is not known."""
    return roof.bound if roof.fraction is not None else ""


def kind_of(bound: str) -> Kind:
    """How a bound is drawn: every cache alike."""
    named = {
        "": Kind.UNKNOWN,
        Binding.COMPUTE.value: Kind.COMPUTE,
        Binding.OVERHEAD.value: Kind.OVERHEAD,
        MAIN: Kind.MAIN,
        MEMORY: Kind.MAIN,
    }
    return named.get(bound, Kind.CACHE)


@dataclass(frozen=True, slots=True)
class Group:
    """The steps that one thing binds."""

    kind: Kind
    words: str
    steps: int
    time_ns: int
    share: float
    """Of the latency."""
    possible: float | None
    """Their least possible time over their time; None where it is not known."""
    at_least: bool
    """Whether the true part may be higher, as something in their cost is unknown."""


def groups(roofs: Roofline) -> list[Group]:
    """The steps of a run by what binds them, the longest together first, unknown ones last."""
    found: dict[str, list[Roof]] = defaultdict(list)
    for roof in roofs.roofs:
        if roof.time_ns:
            found[bound_of(roof)].append(roof)
    made = [_group(bound, members, roofs.sums.total_ns) for bound, members in found.items()]
    return sorted(made, key=lambda group: (group.kind is Kind.UNKNOWN, -group.time_ns))


def _group(bound: str, members: Sequence[Roof], total_ns: int) -> Group:
    time_ns = sum(roof.time_ns or 0 for roof in members)
    least = sum(roof.bound_ns for roof in members)
    return Group(
        kind_of(bound),
        _WORDS.get(bound, bound) or NOT_KNOWN,
        len(members),
        time_ns,
        time_ns / total_ns if total_ns else 0.0,
        least / time_ns if bound else None,
        any(roof.at_least for roof in members),
    )
