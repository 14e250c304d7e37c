"""Every value of an original graph and of the one that onnxruntime made of it.

Both are loaded with optimisations off and all intermediate tensors as outputs, so that the
saved graph runs the very steps that were timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from onnxprof.backends import ort_session
from onnxprof.backends.ort_session import BoundSession, place_of
from onnxprof.contracts import BackendError, Workload
from onnxprof.records import PreparedModel
from onnxprof.verify.verdicts import Observed

Arrays = dict[str, NDArray[Any]]


class Observer:
    """Both graphs, loaded once, run on any inputs."""

    def __init__(self, workload: Workload, original: onnx.ModelProto, saved: Path) -> None:
        on_cpu = replace(workload, provider="cpu", device="")
        executed = onnx.load(str(saved), load_external_data=False)
        self._original = _Opened(on_cpu, original, workload.model)
        self._executed = _Opened(workload, executed, PreparedModel(b"", saved.parent))

    def observe(self, inputs: Mapping[str, NDArray[Any]]) -> Observed:
        """The values of one run; what is no tensor is left out. Raises BackendError."""
        return Observed(self._original.values(inputs), self._executed.values(inputs))


class _Opened:
    def __init__(self, workload: Workload, model: onnx.ModelProto, place: PreparedModel) -> None:
        self._workload = workload
        self._model = with_every_output(model)
        prepared = replace(place, source=self._model.SerializeToString())
        self._session = ort_session.create(workload, prepared, _as_it_is)
        self._inputs = {value.name for value in model.graph.input}

    def values(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        fed = {name: array for name, array in inputs.items() if name in self._inputs}
        session = BoundSession(self._session, fed, place_of(self._workload))
        session.infer()
        return {**fed, **session.values()}


def _as_it_is(made: Any) -> None:
    import onnxruntime as ort

    made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def with_every_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every tensor that its top-level nodes yield as an output."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    there = {value.name for value in made.graph.output}
    for node in made.graph.node:
        for name in node.output:
            if name and name not in there:
                made.graph.output.append(onnx.ValueInfoProto(name=name))
    return made


def observed(
    workload: Workload,
    original: onnx.ModelProto,
    saved: Path,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
) -> list[Observed]:
    """One observation for each set of inputs. Raises BackendError."""
    observer = Observer(workload, original, saved)
    try:
        return [observer.observe(inputs) for inputs in feeds]
    except MemoryError:
        raise BackendError("the intermediate tensors do not fit into memory") from None
