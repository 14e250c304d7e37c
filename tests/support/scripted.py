"""Runs of the fake backend with scripted noise, measured by the protocol itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from onnxprof.analysis.processes import merge
from onnxprof.compare.changes import Pair, compare
from onnxprof.compare.verdict import Verdict
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.testing import FakeBackend, ScriptedClock, sample_run, sample_table, scripted_noise

#: Twelve layers from 1 % to a quarter of the time; the ninth holds 5 %.
LAYERS_NS = tuple(
    round(share * 2e6)
    for share in (*(0.25, 0.15, 0.12, 0.10, 0.09, 0.08, 0.06, 0.05, 0.05, 0.03, 0.01, 0.01),)
)
SLOWED = 8
THRESHOLD = 0.02


def process(step_ns: Sequence[int], seed: int, spread: float = 0.01) -> Run:
    """One process: 12 blocks of about six inferences, each step as noisy as a machine's."""
    table = sample_table(1, [f"Op{i}" for i in range(len(step_ns))])
    clock = ScriptedClock()
    backend = FakeBackend(clock, scripted_noise(step_ns, seed, spread))
    workload = Workload(PreparedModel(b"", None), table, {}, 1)  # type: ignore[arg-type]
    budget = Budget(sum(step_ns) * 160 / 1e9)
    found = measure(backend, workload, budget, clock, lambda phase, share: None, timer=Timer.TRACE)
    return dataclasses.replace(
        sample_run(), table=table, steps=found.trace.steps, timings=found.timings, warnings=()
    )


def several(step_ns: Sequence[int], seed: int, processes: int, spread: float = 0.01) -> Run:
    """One run of several processes."""
    return merge([process(step_ns, 1000 * seed + i, spread) for i in range(processes)])


def against(seed: int, processes: int, slowdown: float = 0.0, spread: float = 0.01) -> Pair:
    """A against B, one layer of which is slower by a fraction."""
    changed = list(LAYERS_NS)
    changed[SLOWED] = round(changed[SLOWED] * (1 + slowdown))
    a = several(LAYERS_NS, 2 * seed, processes, spread)
    b = several(changed, 2 * seed + 1, processes, spread)
    return compare([([a], [b])], THRESHOLD).pairs[0]


def alarms(pair: Pair) -> int:
    """Rows that are called slower or faster, the model's among them."""
    wanted = (Verdict.SLOWER, Verdict.FASTER)
    return sum(row.verdict in wanted for row in (pair.latency, *pair.rows))


def is_found(pair: Pair) -> bool:
    """Whether the layer that was slowed down is called slower."""
    return pair.rows[SLOWED].verdict is Verdict.SLOWER


def coverage(processes: int, trials: int, spread: float) -> float:
    """How often the 95 % interval of the model's ratio holds 1, where A is B."""
    pairs = [against(seed, processes, 0.0, spread) for seed in range(trials)]
    held = [p.latency.interval for p in pairs]
    return float(np.mean([i is not None and i[0] <= 1 <= i[1] for i in held]))
