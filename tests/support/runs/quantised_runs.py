"""Runs of quantised networks: what onnxruntime executes of the files, with made-up times."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from onnxprof.records.run import Run
from onnxprof.testing import sample_run
from support.networks import quantised_models
from support.runs.ort_runs import trace_of, workload


def file(folder: Path, network: str, form: str = "", **how: bool) -> Path:
    """The float network, or a form of it."""
    path = folder / f"{network}{form}{len(list(folder.iterdir()))}.onnx"
    made = quantised_models.quantised(network, form, **how) if form else None
    path.write_bytes(made or quantised_models.NETWORKS[network]().SerializeToString())
    return path


def run_of(path: Path, name: str) -> Run:
    """Each step takes a microsecond more than the one before; 5 µs are no step's."""
    job = workload(path)
    traced = trace_of(job, 1)
    base = sample_run(name)
    assert base.timings is not None
    count = base.timings.step_ns.shape[1]
    times = np.array([[1000 * (i + 1)] * count for i in range(len(traced.steps))], np.int64)
    whole = int(times[:, 0].sum()) + 5000
    timings = dataclasses.replace(
        base.timings,
        step_ns=times,
        traced_ns=np.full(count, whole),
        latency_ns=np.full(base.timings.latency_ns.size, whole),
    )
    return dataclasses.replace(
        base,
        request=dataclasses.replace(base.request, model_name=name, model_sha256=name * 8),
        table=job.table,
        steps=traced.steps,
        folded=traced.folded,
        timings=timings,
    )
