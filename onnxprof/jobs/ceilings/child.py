"""The process that times the graphs: each point is sent as it comes."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.ceilings import slopes
from onnxprof.jobs.ceilings.probes import Probe
from onnxprof.machine import clocks
from onnxprof.machine.other_programs import Others
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.processes.confined import Limits, confine
from onnxprof.records.ceilings import CeilingsKey, Point
from onnxprof.records.warning import RunWarning

_LONGEST_REASON = 160


@dataclass(frozen=True, slots=True)
class Work:
    """What one process times."""

    key: CeilingsKey
    probes: tuple[Probe, ...]
    seconds: float
    """For the rounds of each probe."""


Send = Callable[[str, object], None]


def perform(
    work: Work, folder: Path, send: Send, clock: slopes.Clock = time.perf_counter_ns
) -> None:
    """Time every probe in this process and send its point; a probe that fails says why."""
    backend = registry.backend(work.key.backend)
    busy = Others()
    with busy.watched(), clocks.watched() as held:
        for found in points(backend, work, folder, clock):
            send("point", found)
    warnings: Sequence[RunWarning] = (*busy.warnings(), *held)
    send("done", tuple(warnings))


def points(backend: Backend, work: Work, folder: Path, clock: slopes.Clock) -> Iterator[Point]:
    """The point of each probe; one graph of a kind and precision is checked for merged copies."""
    seen: dict[tuple[str, str], str] = {}
    for probe in work.probes:
        family = (probe.kind, probe.precision)
        try:
            found = _point(backend, probe, work, folder, clock, seen.get(family))
        except MemoryError:
            yield replace(slopes.point(probe), refused="it takes more memory than there is")
        except OnnxprofError as error:
            yield replace(slopes.point(probe), refused=reason(str(error)))
        except Exception as error:  # a runtime may raise anything for what it does not have
            yield replace(slopes.point(probe), refused=reason(f"{type(error).__name__}: {error}"))
        else:
            seen[family] = found.executed
            yield found


def _point(
    backend: Backend,
    probe: Probe,
    work: Work,
    folder: Path,
    clock: slopes.Clock,
    known: str | None,
) -> Point:
    long = slopes.workload(probe, probe.long, work.key, folder)
    if known is None:
        steps = slopes.executed(backend, long)
        slopes.refuse_merged(steps, probe.long)
        known = slopes.steps_text(steps)
    short = slopes.workload(probe, probe.short, work.key, folder)
    times = slopes.sampled(backend, (short, long), work.seconds, clock)
    return replace(slopes.point(probe), short_ns=times[0], long_ns=times[1], executed=known)


def reason(text: str) -> str:
    """An error in one line of moderate length."""
    line = " ".join(text.split())
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
