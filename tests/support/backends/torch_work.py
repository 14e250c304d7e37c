"""Work for the torch backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Trace, Workload

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
Builder = Callable[[], onnx.ModelProto]


def workload(path: Path, batch: int = 1, **options) -> Workload:
    """A model as it stands in its file, its inputs made up."""
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), threads=1, **options)


def trace_of(job: Workload, inferences: int = 3) -> Trace:
    """Some inferences, timed layer by layer."""
    with TorchBackend().open_traced(job) as session:
        for _ in range(inferences):
            session.infer()
        return session.trace()
