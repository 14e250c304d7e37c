"""Memory around a measurement: what will not fit beforehand, what steps allocated afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from onnxprof.errors import BackendError
from onnxprof.jobs.job import Job
from onnxprof.jobs.outlook import Notice
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.verbs import MemoryCounting, predicted_memory
from onnxprof.records.memory import PredictedMemory
from onnxprof.records.run import Run


def too_large(jobs: Sequence[Job], memory_bytes: int) -> list[tuple[Job, PredictedMemory]]:
    """The jobs that will exceed this memory by their backend's prediction; none for no limit.

    The prediction is for one session, the least that a measurement loads.
    """
    found = []
    for job in jobs if memory_bytes else ():
        backend = registry.backend(job.options.backend)
        expected = predicted_memory(backend, job.provider, job.table)
        if expected is not None and expected.peak_bytes > memory_bytes:
            found.append((job, expected))
    return found


def with_allocations(run: Run, workload: Workload, progress: Callable[[str, float], None]) -> Run:
    """The run with what its steps allocate; a line says why where that is not to be had."""
    progress("counting allocations", 1.0)
    backend = registry.backend(run.request.backend)
    try:
        if not isinstance(backend, MemoryCounting):
            raise BackendError(f"the backend {backend.name} counts no allocations of steps")
        counted = tuple(backend.counted_memory(workload, run.steps))
    except BackendError as error:
        progress(Notice(str(error)), 1.0)
        return run
    return replace(run, counted_memory=counted)
