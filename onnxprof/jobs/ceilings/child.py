"""The process that times the graphs: each point is sent as it comes."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.ceilings import slopes
from onnxprof.jobs.ceilings.probes import WIDTHS, Probe
from onnxprof.machine import clocks
from onnxprof.machine.other_programs import Others
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.source_places import without_places
from onnxprof.processes.confined import Limits, confine
from onnxprof.reasons import ceilings as derived
from onnxprof.records.ceilings import CeilingsKey, Point
from onnxprof.records.warning import RunWarning

_LONGEST_REASON = 160
#: So many points of each precision are visited again, in so many passes.
REVISITED, PASSES = 3, 2
VISITS = PASSES * REVISITED * (len(WIDTHS) + 1)
#: Seconds that a probe takes besides its rounds: two graphs are written, loaded and warmed.
LOADING_S = 0.2
#: Rounds get so much at the least, where all of the budget is used up.
_LEAST_S = 0.03


@dataclass(frozen=True, slots=True)
class Work:
    """What one process times."""

    key: CeilingsKey
    probes: tuple[Probe, ...]
    budget_s: float
    """For all of them, and for what is visited again."""

    @property
    def threads(self) -> int:
        """How many cores are to be measured: of a GPU, the one that launches kernels."""
        return self.key.threads if self.key.device_id.startswith("cpu") else 1


Send = Callable[[str, object], None]


def perform(
    work: Work, folder: Path, send: Send, clock: slopes.Clock = time.perf_counter_ns
) -> None:
    """Time every probe in this process and send its point; a probe that fails says why."""
    backend = registry.backend(work.key.backend)
    busy, seen = Others(), dict[tuple[str, str], str]()
    with busy.watched(), clocks.watched() as held:
        found: list[Point] = []
        visit = partial(visited, backend, work.key, folder, clock, seen)
        left = partial(_left_s, clock, clock() + round(work.budget_s * 1e9))
        for number, probe in enumerate(work.probes):
            found.append(visit(probe, rounds_s(left(), len(work.probes) - number + VISITS)))
            send("point", found[-1])
        again = revisited(found)
        for number, index in enumerate(again):
            if left() <= 0:
                break
            more = visit(work.probes[index], rounds_s(left(), len(again) - number))
            found[index] = joined(found[index], more)
            send("more", (index, found[index]))
    warnings: Sequence[RunWarning] = (*busy.warnings(), *held)
    send("done", tuple(warnings))


def revisited(found: Sequence[Point]) -> list[int]:
    """Which points are timed further, in the order of two more passes over them.

    The best of each precision and of the largest working sets: a machine is faster and slower by
    turns, and what is to be a ceiling should have seen several of its moments.
    """
    slopes_of = {i: derived.slope(point) for i, point in enumerate(found) if point.short_ns}
    largest = max((s.point.working_set_bytes for s in slopes_of.values()), default=0)
    groups: dict[str, list[tuple[float, int]]] = {}
    for i, one in slopes_of.items():
        point = one.point
        if one.ns <= 0:
            continue
        if point.flops:
            groups.setdefault(point.precision, []).append((point.flops / one.ns, i))
        if point.working_set_bytes > largest // 4:
            groups.setdefault("", []).append((point.moved_bytes / one.ns, i))
    best = [i for rates in groups.values() for _, i in sorted(rates)[-REVISITED:]]
    return [*dict.fromkeys(best)] * PASSES


def joined(one: Point, more: Point) -> Point:
    """A point with the rounds of another visit."""
    return replace(
        one, short_ns=(*one.short_ns, *more.short_ns), long_ns=(*one.long_ns, *more.long_ns)
    )


def _left_s(clock: slopes.Clock, end_ns: int) -> float:
    return (end_ns - clock()) / 1e9


def rounds_s(left_s: float, visits: int) -> float:
    """Seconds for the rounds of the next of so many visits, that what is left is enough for all."""
    share = left_s / visits
    return max(share - LOADING_S, _LEAST_S)


def visited(
    backend: Backend,
    key: CeilingsKey,
    folder: Path,
    clock: slopes.Clock,
    seen: dict[tuple[str, str], str],
    probe: Probe,
    seconds: float,
) -> Point:
    """The point of a probe; where that is impossible, it says why.

    One graph of a kind and precision is checked for merged copies, and noted in `seen`.
    """
    family = (probe.kind, probe.precision)
    try:
        works = [slopes.workload(probe, n, key, folder) for n in (probe.short, probe.long)]
        if family not in seen:
            steps = slopes.executed(backend, works[1])
            slopes.refuse_merged(steps, probe.long)
            seen[family] = slopes.steps_text(steps)
        times = slopes.sampled(backend, (works[0], works[1]), seconds, clock)
    except MemoryError:
        return replace(slopes.point(probe), refused="it takes more memory than there is")
    except OnnxprofError as error:
        return replace(slopes.point(probe), refused=reason(str(error)))
    except Exception as error:  # a runtime may raise anything for what it does not have
        return replace(slopes.point(probe), refused=reason(f"{type(error).__name__}: {error}"))
    made = slopes.point(probe)
    return replace(made, short_ns=times[0], long_ns=times[1], executed=seen[family])


def reason(text: str) -> str:
    """An error in one line of moderate length."""
    line = " ".join(without_places(text).split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"


def child(work: Work, limits: Limits, sender: Connection, folder: str) -> None:
    """Entry point of the process: send points, then warnings, or an exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = folder
    confine(limits, os.getppid())
    try:
        perform(work, Path(folder), lambda kind, value: sender.send((kind, value)))
    except OnnxprofError as error:
        with suppress(OSError):
            sender.send(("error", error))
