"""Runs with prefixes of given lengths."""

from __future__ import annotations

import dataclasses

import numpy as np

from onnxprof.records.run import Run
from onnxprof.records.step import Timer


def prefixed(run: Run, medians: list[int], cuts: tuple[int, ...], plain: int = 0) -> Run:
    """The run with steps at positions 0, 1, …, prefixes that take these times, and a latency.

    The latency is that of the longest prefix unless `plain` gives another.
    """
    assert run.timings is not None
    steps = tuple(dataclasses.replace(s, position=i) for i, s in enumerate(run.steps))
    times = np.array(medians, np.int64)[:, None] + np.array([-3, 0, 3])
    latency = np.full(run.timings.latency_ns.shape, plain or medians[-1], np.int64)
    timings = dataclasses.replace(
        run.timings, timer=Timer.PREFIX, prefix_ns=times, prefix_steps=cuts, latency_ns=latency
    )
    return dataclasses.replace(run, steps=steps, timings=timings)
