"""Layers of an original graph computed alone, from values that are given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from onnxprof.backends.ort.check.observe import Arrays, reference_values
from onnxprof.backends.ort.check.unfold import Unfolded, renamed
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.onnx_graph import read_node
from onnxprof.provenance.verify.alone import Task
from onnxprof.provenance.verify.verdicts import Values

#: Since this version initializers need not be inputs.
_IR_VERSION = 4

Results = Sequence[Arrays] | None


@dataclass(frozen=True, slots=True)
class Alone:
    """Runs tasks by the reference, all in one model."""

    workload: Workload
    original: Unfolded
    deadline: float = float("inf")

    def __call__(self, tasks: Sequence[Task]) -> list[Results]:
        """One result a task, in order; None for a task that fails.

        All tasks run together; if that fails, halves are run until the failing task is alone.
        """
        if time.monotonic() > self.deadline:
            return [None] * len(tasks)
        try:
            return list(self._together(tasks))
        except (BackendError, MemoryError, ValueError, KeyError, TypeError):
            if len(tasks) == 1:
                return [None]
        half = len(tasks) // 2
        return self(tasks[:half]) + self(tasks[half:])

    def _together(self, tasks: Sequence[Task]) -> Iterator[Sequence[Arrays]]:
        runs = range(len(tasks[0].fed))
        numbered = list(enumerate(tasks))
        feeds = [
            {_own(k, name): value for k, task in numbered for name, value in task.fed[i].items()}
            for i in runs
        ]
        values = reference_values(self.workload, model_of(self.original, tasks), feeds)
        for k, task in numbered:
            made = [out for node in _nodes(self.original, task) for out in node.output if out]
            names = {name: _own(k, name) for name in made}
            yield [
                {n: values[i][own] for n, own in names.items() if own in values[i]} for i in runs
            ]


def _own(task: int, name: str) -> str:
    """The name of a task's tensor in the model of several tasks."""
    return f"{task}:{name}"


def _nodes(original: Unfolded, task: Task) -> list[onnx.NodeProto]:
    """The nodes of a task's layers, in the model's order."""
    layers = set(task.layers)
    made = {out for node in original.graph.nodes if node.name in layers for out in node.outputs}
    return [node for node in original.model.graph.node if made.intersection(node.output)]


def model_of(original: Unfolded, tasks: Sequence[Task]) -> onnx.ModelProto:
    """A model of the layers of all tasks, with their weights, and with fed tensors as inputs."""
    model = original.model
    made = onnx.ModelProto(ir_version=max(model.ir_version, _IR_VERSION))
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.graph.name = "layers"
    read: set[str] = set()
    for k, task in enumerate(tasks):
        nodes = _nodes(original, task)
        read.update(name for node in nodes for name in read_node(node).inputs)
        names = {name: _own(k, name) for name in task.fed[0]}
        names |= {out: _own(k, out) for node in nodes for out in node.output if out}
        made.graph.node.extend(_with_name(k, renamed(node, names)) for node in nodes)
        made.graph.input.extend(_inputs(names, task.fed))
    given = {name for task in tasks for name in task.fed[0]}
    _add_weights(made.graph, model.graph, read - given)
    return made


def _with_name(task: int, node: onnx.NodeProto) -> onnx.NodeProto:
    node.name = _own(task, node.name)
    return node


def _inputs(names: Mapping[str, str], fed: Sequence[Values]) -> Iterator[onnx.ValueInfoProto]:
    for name, value in fed[0].items():
        ranks = {run[name].ndim for run in fed}
        open_shape = [None] * value.ndim if len(ranks) == 1 else None
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
        yield onnx.helper.make_tensor_value_info(names[name], kind, open_shape)


def _add_weights(made: onnx.GraphProto, graph: onnx.GraphProto, names: set[str]) -> None:
    made.initializer.extend(tensor for tensor in graph.initializer if tensor.name in names)
    sparse = (tensor for tensor in graph.sparse_initializer if tensor.values.name in names)
    made.sparse_initializer.extend(sparse)
