"""Measuring ceilings: plan, time the graphs in processes of their own, and make the record."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.jobs.ceilings import slopes
from onnxprof.jobs.ceilings.child import Work, child
from onnxprof.jobs.ceilings.probes import Probe, probes
from onnxprof.jobs.job import now
from onnxprof.jobs.setting import refuse_provider
from onnxprof.jobs.sweep import start_server
from onnxprof.machine.caches import caches
from onnxprof.machine.clocks import unlocked
from onnxprof.machine.facts import environment
from onnxprof.machine.gpus import cuda_caches
from onnxprof.machine.kernel import Machine, usable_cores
from onnxprof.plugins import registry, verbs
from onnxprof.plugins.placement import pick_device, pick_devices
from onnxprof.processes import apart, cores, fork_server, scratch
from onnxprof.processes.confined import Limits, cause
from onnxprof.processes.letters import received
from onnxprof.records.ceilings import Cache, Ceilings, CeilingsKey, Point
from onnxprof.records.device import Device
from onnxprof.records.warning import RunWarning

_GRACE_SECONDS = 5.0
#: Where so many processes in a row end without one point that has times, all will.
_MOST_FRUITLESS = 3

Progress = Callable[[str, float], None]


def _unknown_caches(_: Device) -> tuple[Cache, ...]:
    return ()


_CACHES = {"cpu": lambda _: caches(), "cuda": cuda_caches}


@dataclass(frozen=True, slots=True)
class CeilingsPlan:
    """Ceilings to be measured."""

    key: CeilingsKey
    device: Device
    environment: tuple[tuple[str, str], ...]
    caches: tuple[Cache, ...]
    probes: tuple[Probe, ...]
    budget_s: float
    command: str
    datasheet: tuple[tuple[str, str], ...] = ()

    @property
    def work(self) -> Work:
        """All probes."""
        return Work(self.key, self.probes, self.budget_s)


def planned(
    backend_name: str,
    device: str,
    provider: str,
    threads: int,
    budget_s: float,
    datasheet: tuple[tuple[str, str], ...] = (),
) -> CeilingsPlan:
    """What would be measured. Raises BackendError where the backend or device is not there."""
    backend = registry.backend(backend_name)
    start_server(backend)
    refuse_provider(backend, provider)
    found = pick_device(backend, device) if device else pick_devices(backend, "", provider)[0]
    key = CeilingsKey(found.id, backend.name, provider or found.kind, threads or usable_cores())
    levels = _CACHES.get(found.kind, _unknown_caches)(found)
    return CeilingsPlan(
        key=key,
        device=found,
        environment=environment(backend=backend),
        caches=levels,
        probes=probes(found.kind, levels, key.threads),
        budget_s=budget_s,
        command=command_line(key, budget_s),
        datasheet=datasheet,
    )


def command_line(key: CeilingsKey, budget_s: float) -> str:
    """The command that measures these ceilings again."""
    words = ["onnxprof", "ceilings", "--again", "--backend", key.backend]
    words += ["--provider", key.provider, "--device", key.device_id]
    return shlex.join([*words, "--threads", str(key.threads), "--budget", f"{budget_s:g}"])


def measured(plan: CeilingsPlan, limits: Limits, progress: Progress) -> Ceilings:
    """Time all graphs, in one process where none of them ends it. Raises BackendError."""
    began = time.monotonic()
    points: list[Point] = []
    warnings: list[RunWarning] = []
    total, fruitless, end = len(plan.probes), 0, began + plan.budget_s
    while len(points) < total:
        if fruitless == _MOST_FRUITLESS:
            points += _never_tried(plan, points)
            break
        begun = len(points)
        rest = replace(plan.work, probes=plan.probes[begun:], budget_s=end - time.monotonic())
        for kind, value in _isolated(rest, limits):
            if kind == "done":
                warnings += [w for w in value if w not in warnings]
            elif kind == "more":
                points[begun + value[0]] = value[1]
            else:
                points.append(value)
                progress(f"{value.kind} {value.size}, {value.precision}", len(points) / total)
        fruitless = fruitless + 1 if all(p.refused for p in points[begun:]) else 0
    if all(point.refused for point in points):
        raise BackendError(points[0].refused, where=plan.key.backend, remedy="See onnxprof doctor")
    return Ceilings(
        key=plan.key,
        device=plan.device,
        environment=plan.environment,
        created=now(),
        command=plan.command,
        caches=plan.caches,
        points=tuple(points),
        warnings=(*warnings, *unlocked(Machine())),
        datasheet=plan.datasheet,
        seconds=round(time.monotonic() - began, 1),
    )


def _never_tried(plan: CeilingsPlan, points: list[Point]) -> list[Point]:
    reason = f"not tried: {points[-1].refused}"
    return [replace(slopes.point(p), refused=reason) for p in plan.probes[len(points) :]]


def _isolated(work: Work, limits: Limits) -> Iterator[tuple[str, Any]]:
    """What a process sends; where it crashes or hangs, the probe that it was at is refused.

    Raises what the process sends as an error.
    """
    context = fork_server.context()
    kept = verbs.caches(registry.backend(work.key.backend))
    with scratch.scratch() as folder, cores.measuring(work.threads) as split:
        receiver, sender = context.Pipe(duplex=False)
        given = (work, limits, sender, folder)
        place = apart.Place(folder, kept, split.measured)
        with receiver, apart.started(context, place, child, given) as (process, _):
            sender.close()
            count = 0
            while True:
                if not receiver.poll(limits.seconds):
                    if count == len(work.probes):
                        return
                    yield "point", _lost(work, count, f"stopped after {limits.seconds:g} s")
                    return
                try:
                    kind, value = received(receiver)
                except (EOFError, OSError):
                    if count == len(work.probes):  # it went on with what is known already
                        return
                    process.join(_GRACE_SECONDS)
                    reason = f"the process {cause(process.exitcode)}"
                    yield "point", _lost(work, count, reason)
                    return
                if kind == "error":
                    raise value
                yield kind, value
                if kind == "done":
                    return
                count += kind == "point"


def _lost(work: Work, count: int, reason: str) -> Point:
    return replace(slopes.point(work.probes[count]), refused=reason)
