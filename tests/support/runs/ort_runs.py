"""Models as workloads of onnxruntime, and what it traces of them."""

from __future__ import annotations

from pathlib import Path

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Trace, Workload


def workload(path: Path, batch: int = 1, **options) -> Workload:
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), threads=1, **options)


def trace_of(job: Workload, inferences: int = 3) -> Trace:
    with OrtBackend().open_traced(job) as session:
        for _ in range(inferences):
            session.infer()
        return session.trace()


def covered(trace: Trace) -> dict[str, str]:
    return {layer: step.name for step in trace.steps for layer in step.layers}
