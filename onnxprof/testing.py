"""Helpers for tests of plugins and renderers: a fake backend, a scripted clock, a sample run.

Nothing here touches a runtime, so a test of a protocol takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Session, Trace, TracedSession, Workload
from onnxprof.records.device import Availability, Device
from onnxprof.records.layer import Layer, LayerKind, LayerTable, ModelFacts, Tensor
from onnxprof.records.run import Request, Run
from onnxprof.records.step import Confidence, Step
from onnxprof.records.timings import Timings


@dataclass(slots=True)
class ScriptedClock:
    """A clock that moves only by `advance`; calling it returns the time in nanoseconds."""

    now_ns: int = 0

    def __call__(self) -> int:
        """The time in nanoseconds."""
        return self.now_ns

    def advance(self, ns: int) -> None:
        """Move the time forward by `ns` nanoseconds."""
        self.now_ns += ns


#: Inferences after which scripted noise repeats itself.
_SCRIPT = 2048

Duration = Callable[[int], int]
"""From the number of an inference, counted from 0, to the duration in nanoseconds."""


@dataclass(slots=True)
class FakeSession:
    """Moves the clock instead of computing."""

    clock: ScriptedClock
    workload: Workload
    step_ns: tuple[Duration, ...]
    gap_ns: int
    traced_cost_ns: int = 0
    count: int = 0
    answers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seen: list[list[int]] = field(default_factory=list)
    uncuttable: str = ""
    unrepeatable: frozenset[int] = frozenset()

    def infer(self) -> None:
        """Advance the clock by the scripted duration."""
        times = [duration(self.count) + self.traced_cost_ns for duration in self.step_ns]
        self.clock.advance(sum(times) + self.gap_ns)
        self.seen.append(times)
        self.count += 1

    def outputs(self) -> Sequence[Tensor]:
        """The last layer's outputs."""
        return self.workload.table.nodes[-1].outputs

    def values(self) -> Mapping[str, NDArray[Any]]:
        """The scripted answers."""
        return self.answers

    def trace(self) -> Trace:
        """A trace with one exact step for each layer."""
        nodes = self.workload.table.nodes
        steps = tuple(_step(layer, position) for position, layer in enumerate(nodes))
        times = np.array(self.seen, np.int64).T.reshape(len(steps), -1)
        return Trace(steps, times, length=len(steps))

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Un-profiled sessions of the first steps; an inference includes the gap."""
        if self.uncuttable:
            raise BackendError(self.uncuttable, where="fake")
        return [
            FakeSession(self.clock, self.workload, self.step_ns[:count], self.gap_ns)
            for count in counts
        ]

    def repeated(self, repeats: Mapping[int, int]) -> Mapping[int, Session]:
        """Un-profiled sessions that repeat one step; an inference includes the gap."""
        return {
            step: FakeSession(
                self.clock, self.workload, self.step_ns[step : step + 1] * count, self.gap_ns
            )
            for step, count in repeats.items()
            if step not in self.unrepeatable
        }


@dataclass(slots=True)
class FakeBackend:
    """A runtime with scripted step times; one step for each node layer.

    `step_ns` holds one entry a node layer, an integer or a function of the inference's
    number; `gap_ns` passes between the steps of each inference; a traced inference takes
    `traced_cost_ns` longer for each step. `answers` are the values of its outputs. `broken`
    makes every session fail with that text, `uncuttable` the prefixes; steps that are
    `unrepeatable` cannot be run alone.
    """

    clock: ScriptedClock = field(default_factory=ScriptedClock)
    step_ns: Sequence[int | Duration] = (1_000_000, 2_000_000, 500_000)
    gap_ns: int = 100_000
    load_ns: int = 30_000_000
    traced_cost_ns: int = 0
    answers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    broken: str = ""
    uncuttable: str = ""
    unrepeatable: frozenset[int] = frozenset()
    name: str = "fake"

    def availability(self) -> Sequence[Availability]:
        """The fake device, always available."""
        return (Availability(self.name, "cpu:fake", True, "1.0"),)

    def devices(self) -> Sequence[Device]:
        """The fake device."""
        return (Device("cpu:fake", "cpu", "Fake CPU", physical_cores=1, logical_cores=1),)

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A session at the scripted speed."""
        yield self._session(workload, 0)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A session at the scripted speed plus the timer's cost."""
        yield self._session(workload, self.traced_cost_ns)

    def _session(self, workload: Workload, traced_cost_ns: int) -> FakeSession:
        if self.broken:
            raise BackendError(self.broken, where=self.name)
        self.clock.advance(self.load_ns)
        durations = tuple(_duration(entry) for entry in self.step_ns)
        return FakeSession(
            self.clock,
            workload,
            durations,
            self.gap_ns,
            traced_cost_ns,
            answers=self.answers,
            uncuttable=self.uncuttable,
            unrepeatable=self.unrepeatable,
        )


def _duration(entry: int | Duration) -> Duration:
    return entry if callable(entry) else (lambda _: entry)


def _step(layer: Layer, position: int) -> Step:
    return Step(
        layer.name,
        layer.op_type,
        "fake",
        (layer.name,),
        Confidence.EXACT,
        "scripted",
        position=position,
    )


def scripted_noise(step_ns: Sequence[int], seed: int, process: float = 0.01) -> list[Duration]:
    """Durations of one process, for `FakeBackend.step_ns`, as noisy as those of a machine.

    Factors of this process, half of their variance shared by all steps, spread by `process`;
    a slow wander over inferences (0.5 %, neighbours correlated by 0.95) that all steps share;
    and on top a gamma-distributed delay of 2 % on average for each step and inference.
    """
    rng = np.random.default_rng(seed)
    factors = np.exp(process * np.sqrt(0.5) * (rng.normal() + rng.normal(size=len(step_ns))))
    wander = np.zeros(_SCRIPT)
    for i, push in enumerate(rng.normal(0.0, 0.005 * np.sqrt(1 - 0.95**2), _SCRIPT - 1), 1):
        wander[i] = 0.95 * wander[i - 1] + push
    delays = 1 + rng.gamma(2.0, 0.01, (len(step_ns), _SCRIPT))
    times = np.array(step_ns, np.float64)[:, None] * factors[:, None] * np.exp(wander) * delays
    return [_replayed(row) for row in times.astype(np.int64).tolist()]


def _replayed(times: list[int]) -> Duration:
    return lambda count: times[count % len(times)]


def sample_table(batch: int = 1, chain: Sequence[str] = ("Conv", "Relu", "Gemm")) -> LayerTable:
    """A chain of layers with one input and a weight for the first."""
    image = Tensor("x", "float32", (batch, 3, 8, 8))
    weight = Tensor("w", "float32", (4, 3, 3, 3))
    layers = [
        Layer("x", LayerKind.INPUT, "Input", outputs=(image,), inputs=(image,)),
        Layer("w", LayerKind.INITIALIZER, "Initializer", outputs=(weight,), inputs=(weight,)),
    ]
    given: tuple[Tensor, ...] = (image, weight)
    for i, op_type in enumerate(chain):
        out = Tensor(f"t{i}", "float32", (batch, 4, 8, 8))
        name = f"/block/{op_type.lower()}_{i}"
        layers.append(
            Layer(name, LayerKind.NODE, op_type, op_type, "", 17, given, (out,), given_name=name)
        )
        given = (out,)
    return LayerTable(tuple(layers), batch)


def sample_run(
    model: str = "sample",
    batch: int = 1,
    device: str = "cpu:fake",
    backend: str = "fake",
    *,
    fused: bool = True,
    created: str = "2026-01-02T03:04:05Z",
    scale: float = 1.0,
    seed: int = 0,
) -> Run:
    """A complete run with scripted noise: Conv (with the Relu fused into it), Gemm, a reorder."""
    table = sample_table(batch)
    conv, relu, gemm = (layer.name for layer in table.nodes)
    covered = [(conv, relu), (gemm,)] if fused else [(conv,), (relu,), (gemm,)]
    provider = "CPUExecutionProvider"
    steps = [
        Step(f"{names[0]}_step", "Conv", provider, names, Confidence.EXACT, "scripted")
        for names in covered
    ]
    steps.append(Step("reorder_1", "ReorderOutput", provider, (), Confidence.NONE))
    rng = np.random.default_rng(seed)
    base = np.linspace(1.0, 0.4, len(steps)) * 1e6 * scale * batch**0.9
    step_ns = (base[:, None] * (1 + rng.gamma(2.0, 0.01, (len(steps), 50)))).astype(np.int64)
    latency = (base.sum() * 1.03 * (1 + rng.gamma(2.0, 0.01, 80))).astype(np.int64)
    timings = Timings(
        load_ns=int(3e7),
        first_ns=int(base.sum() * 3),
        warmup_ns=latency[:8],
        latency_ns=latency,
        latency_block=np.repeat(np.arange(8, dtype=np.int32), 10),
        traced_ns=step_ns.sum(axis=0) + 50_000,
        step_ns=step_ns,
    )
    return Run(
        request=Request(model, "ab" * 32, backend, "cpu", device, batch, threads=2),
        model=ModelFacts(
            model, f"zoo:{model}", "ab" * 32, 12_345, 10, (("", 17),), "tests", "", 108
        ),
        device=Device(device, "cpu", "Fake CPU", 8 << 30, 2, 4, ("avx2",)),
        environment=(("os", "Linux 6.1"), ("python", "3.11.7"), ("onnxprof", "0.1.0")),
        created=created,
        command=f"onnxprof profile zoo:{model} --backend {backend} --batch {batch} --threads 2",
        table=table,
        steps=tuple(steps),
        timings=timings,
    )
