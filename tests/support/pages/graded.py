"""Runs with scripted latencies, for what depends on how many there are and how they scatter."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

#: Three samples between 751 and 776 ms: a range, and no interval.
THREE = (751.0, 763.0, 776.0)


def with_latencies(
    run: Run, milliseconds: Sequence[float], *kinds: WarningKind, traced: int | None = None
) -> Run:
    """The run with these un-profiled latencies in one block, and these warnings.

    `traced` is how many of its traced inferences are left; all without it.
    """
    assert run.timings is not None
    latency = np.round(np.array(milliseconds, np.float64) * 1e6).astype(np.int64)
    timings = dataclasses.replace(
        run.timings,
        latency_ns=latency,
        latency_block=np.zeros(latency.size, np.int32),
        traced_ns=run.timings.traced_ns[:traced],
        step_ns=run.timings.step_ns[:, :traced],
    )
    warned = tuple(RunWarning(kind, 0.0163, "reason") for kind in kinds)
    return dataclasses.replace(run, timings=timings, warnings=warned)


def graded_run(
    model: str, milliseconds: Sequence[float], *kinds: WarningKind, **options: Any
) -> Run:
    """A sample run with these latencies and warnings, three steps between them."""
    run = sample_run(model, scale=float(np.median(milliseconds)) / 2.2, **options)
    return with_latencies(run, milliseconds, *kinds, traced=len(milliseconds))
