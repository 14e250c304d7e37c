"""Jobs of the fake backend."""

from __future__ import annotations

from pathlib import Path

from onnxprof.jobs.child import Job
from onnxprof.measure.protocol import Budget
from onnxprof.model.file import open_model
from onnxprof.records.device import Device
from onnxprof.records.step import Granularity, Timer


def job(path: Path, backend: str = "ort", **changes) -> Job:
    given = {
        "facts": open_model(str(path)).facts(),
        "backend": backend,
        "provider": "cpu",
        "device": Device("cpu:test", "cpu", "Test"),
        "batch": 2,
        "obstacle": "",
        "dims": (),
        "threads": 1,
        "granularity": Granularity.EXECUTED,
        "budget": Budget(0.2),
        "timer": Timer.AUTO,
        "seed": 0,
        "inputs": "",
        "command": "onnxprof profile x",
        "environment": (("os", "test"),),
    }
    return Job(**(given | changes))
