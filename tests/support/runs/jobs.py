"""Jobs at batch 2, on a device that nobody looks for."""

from __future__ import annotations

from pathlib import Path

from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.model.opened import opened
from onnxprof.records.device import Device


def job(path: Path, backend: str = "ort", **changes) -> Job:
    """One of that file, with `changes` of its options."""
    given = {"backend": backend, "batches": (2,), "threads": 1, "budget": Budget(0.2)}
    options = Options((path.name,), **(given | changes))
    model = open_model(str(path))
    return Job(
        model=opened(model),
        table=inspect(model, 2, dict(options.dims)),
        options=options,
        budget=options.process_budget,
        device=Device("cpu:test", "cpu", "Test"),
        environment=(("os", "test"),),
        command="onnxprof profile x",
    )
