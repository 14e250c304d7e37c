"""Runs whose samples carry interruptions of known length."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.run import Run
from onnxprof.testing import sample_run, sample_table

#: Seven steps from 9 µs to 1 ms.
STEPS_NS = (1_000_000, 400_000, 250_000, 100_000, 40_000, 20_000, 9_000)
BLOCKS, EACH = 12, 4
MS = 1_000_000
Ints = NDArray[np.int64]


def machine(seed: int = 0, speed: Callable[[float], float] = lambda _: 1.0) -> tuple[Ints, Ints]:
    """Steps and un-profiled latencies in whole microseconds; `speed` is over the measurement."""
    rng = np.random.default_rng(seed)
    count = BLOCKS * EACH
    slow = np.array([speed(i / count) for i in range(count)])
    noise = rng.lognormal(0, 0.02, (len(STEPS_NS), count))
    steps = np.array(STEPS_NS)[:, None] * noise * slow
    plain = sum(STEPS_NS) * 1.02 * slow * rng.lognormal(0, 0.01, count)
    return (steps // 1000 * 1000).astype(np.int64), plain.astype(np.int64)


def run_of(steps: Ints, plain: Ints, gap_ns: int = 36_000) -> Run:
    """A run with these samples; the runtime spends `gap_ns` between its steps."""
    run = sample_run()
    assert run.timings is not None
    block = np.repeat(np.arange(BLOCKS, dtype=np.int32), EACH)
    table = sample_table(1, [f"Op{i}" for i in range(len(steps))])
    step = run.steps[0]
    timings = dataclasses.replace(
        run.timings,
        latency_ns=plain,
        latency_block=block,
        traced_ns=steps.sum(axis=0) + gap_ns,
        traced_block=block,
        step_ns=steps,
    )
    names = [layer.name for layer in table.nodes]
    told = tuple(dataclasses.replace(step, name=f"s{n}", layers=(n,)) for n in names)
    return dataclasses.replace(run, table=table, steps=told, timings=timings)
