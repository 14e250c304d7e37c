"""Two fake models measured in alternation by the protocol itself, in threads on one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.compare.changes import Pair, compare
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.in_turn import alternate
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.turns import Obedience, Served
from onnxprof.machine.other_programs import Others
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Blocks, measure
from onnxprof.model.opened import Opened
from onnxprof.plugins.backend import Workload
from onnxprof.processes.confined import Limits
from onnxprof.records.layer import PreparedModel
from onnxprof.records.run import Run
from onnxprof.testing import FakeBackend, ScriptedClock, sample_run, sample_table

MS = 1_000_000
#: The speed of the machine at a time in nanoseconds; 1 is its usual one.
Speed = Callable[[int], float]


def job(name: str = "a", processes: int = 2, seconds: float = 0.5) -> Job:
    """What is asked for, of a model that nobody opens."""
    run = sample_run(name)
    return Job(
        model=Opened(run.model, Path(), b"", ()),
        table=sample_table(),
        options=Options((name,), backend="fake", threads=1, processes=processes),
        budget=Budget(seconds),
        device=run.device,
        environment=(),
        command="",
    )


@dataclass(slots=True)
class Machine:
    """One clock, one speed, and models by name: what each step takes there in nanoseconds."""

    models: Mapping[str, Sequence[int]]
    speed: Speed = lambda _: 1.0
    offsets: float = 0.0
    """Standard deviation of what a process does to each step for good."""
    jitter: float = 0.01
    """Of each step and inference."""
    seed: int = 0
    gone: Mapping[str, int] = field(default_factory=dict)
    """Models whose process ends at this order of a block."""
    fused: tuple[str, ...] = ()
    """Models whose first two layers run as one step."""
    traced_cost_ns: int = 0
    """What the profiler adds to each step."""
    costs: Mapping[str, int] = field(default_factory=dict)
    """The same of models where it differs."""
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    told: list[tuple[str, Job]] = field(default_factory=list)
    orders: list[tuple[str, str]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    """Those that were started for processes."""

    @contextmanager
    def start(
        self,
        asked: Job,
        limits: Limits,
        progress: Callable[[str, float], None],
        cores: frozenset[int],
    ) -> Iterator[Served]:
        """Like `served`, with a thread for a process."""
        ours, theirs = Pipe()
        self.told.append((asked.facts.name, asked))
        thread = _Thread(target=self._work, args=(asked, theirs), daemon=True)
        thread.start()
        self.threads.append(thread)
        try:
            yield Served(thread, ours, limits, progress, asked.facts.name)  # type: ignore[arg-type]
        finally:
            ours.close()
            thread.join(10)
            assert not thread.is_alive()

    def _work(self, asked: Job, channel: Any) -> None:
        watched = _Watched(self, asked.facts.name, channel)
        try:
            channel.send(("progress", ("loading", 0.0)))
            run = self._measured(asked, watched)
            channel.send(("run", run))
        except OnnxprofError as error:
            channel.send(("error", error))
        except (EOFError, OSError):
            pass
        finally:
            channel.close()

    def _measured(self, asked: Job, channel: Any) -> Run:
        name = asked.facts.name
        rng = np.random.default_rng([self.seed, len(self.told)])
        table = sample_table(1, [f"Op{i}" for i in range(len(self.models[name]))])
        durations = [self._duration(rng, ns) for ns in self.models[name]]
        cost = {"traced_cost_ns": self.costs.get(name, self.traced_cost_ns)}
        backend = FakeBackend(self.clock, durations, gap_ns=10_000, **cost)
        workload = Workload(PreparedModel(b"", None), table, {}, 1)  # type: ignore[arg-type]
        conduct: Callable[[Blocks], None] = partial(Obedience(channel), Others())
        found = measure(
            backend, workload, asked.budget, self.clock, lambda *_: None, conduct=conduct
        )
        made = sample_run(name)
        request = replace(made.request, timer=asked.options.timer.value)
        steps, timings = found.trace.steps, found.timings
        if name in self.fused:
            covered = replace(steps[0], layers=(*steps[0].layers, *steps[1].layers))
            steps = (covered, *steps[2:])
            step_ns = np.vstack([timings.step_ns[:2].sum(axis=0), timings.step_ns[2:]])
            timings = replace(timings, step_ns=step_ns)
        return replace(
            *(made,), request=request, table=table, steps=steps, timings=timings, warnings=()
        )

    def _duration(self, rng: np.random.Generator, ns: int) -> Callable[[int], int]:
        usual = ns * float(np.exp(rng.normal(0, self.offsets)))
        noise = np.exp(rng.normal(0, self.jitter, 512)).tolist()
        return lambda count: int(usual * noise[count % 512] * self.speed(self.clock.now_ns))


class _Thread(threading.Thread):
    exitcode = None


@dataclass(slots=True)
class _Watched:
    """The channel of a process that may end without a word."""

    machine: Machine
    name: str
    channel: Any
    blocks: int = 0

    def send(self, message: object) -> None:
        self.channel.send(message)

    def recv(self) -> Any:
        order = self.channel.recv()
        if order is not None:
            self.machine.orders.append((self.name, str(order[0])))
            self.blocks += 1
            if self.machine.gone.get(self.name) == self.blocks:
                raise EOFError
        return order


def measured(
    machine: Machine, pairs: int, seconds: float = 0.5, names: str = "ab"
) -> tuple[Run, Run]:
    """Both models in so many pairs of processes."""
    plans = [job(name, pairs, seconds) for name in names]
    return alternate(plans[0], plans[1], Limits(60), lambda *_: None, machine.start)


def against(machine: Machine, pairs: int, seconds: float = 0.5) -> Pair:
    """A against B, in turn."""
    a, b = measured(machine, pairs, seconds)
    return compare([([a], [b])], 0.02, in_turn=True).pairs[0]


def busy(seed: int, factor: float = 1.5, stretch_ns: int = 150 * MS) -> Speed:
    """Others come and go, and slow everything down while they are there."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.exponential(stretch_ns, 20_000))
    return lambda now: factor if np.searchsorted(ends, now) % 2 else 1.0
