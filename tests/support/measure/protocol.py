"""Measurements by the protocol, on the clock of a fake backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import FakeBackend, sample_table

MS = 1_000_000


def workload(batch: int = 1, obstacle: str = "") -> Workload:
    table = replace(sample_table(batch), obstacle=obstacle)
    return Workload(PreparedModel(b"", Path()), table, {}, threads=1)


def run(
    backend: FakeBackend,
    seconds: float = 2.0,
    job: Workload | None = None,
    timer: Timer = Timer.TRACE,
) -> Measurement:
    budget = Budget(seconds)
    job = job or workload()
    return measure(backend, job, budget, backend.clock, lambda *_: None, timer=timer)


def kinds(found: Measurement) -> set[WarningKind]:
    return {warning.kind for warning in found.warnings}
