"""One step of the executed graph, alone and many times over, for steps too short for a prefix.

Prefixes give the time of a segment, but cannot divide it among steps of a few microseconds: the
placement of memory makes two sessions differ by more. So a step's nodes are copied side by side,
and every copy reads the values that the step reads in the model, with optimisations off so that
no copy is merged or dropped. The time of one copy is the un-profiled latency, less that of an
empty call, over the number of copies. Weights and values are then in the caches, as they are for
short steps in the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from onnxprof.backends.ort.graphs.saved import unchanged
from onnxprof.backends.ort.graphs.scopes import load_saved
from onnxprof.backends.ort.prefix import model_like, typed
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.session import BoundSession, place_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel


@dataclass(frozen=True, slots=True)
class Repeater:
    """Opens sessions that repeat steps of one saved graph."""

    workload: Workload
    saved: Path
    dtypes: Mapping[str, str]
    """NumPy's name of the dtype of every tensor of the saved graph that the profile saw."""

    def sessions(
        self, places: Mapping[int, Sequence[int]], repeats: Mapping[int, int]
    ) -> dict[int, BoundSession]:
        """From a step's number to a session with `repeats` copies of the step's nodes.

        `places` holds the positions of each step's nodes in the saved graph. Steps that cannot
        be repeated are left out. Raises BackendError where the values that steps read cannot be
        computed.
        """
        executed = load_saved(self.saved)
        shared = {output for _, output in self.workload.carried.shared}
        steps = {
            step: made
            for step, where in places.items()
            if (made := _Step.of(executed.graph, where)) is not None
            and not made.writes(shared)  # copies of it would each have a buffer of their own
        }
        values = self._values(executed, steps.values())
        opened: dict[int, BoundSession] = {}
        for step, nodes in steps.items():
            try:
                model = _repeated(executed, nodes, repeats[step], values)
                opened[step] = self._open(model, values)
                opened[step].infer()
            except BackendError:
                opened.pop(step, None)
        return opened

    def _values(self, executed: onnx.ModelProto, steps: Iterator[_Step] | Any) -> dict[str, Any]:
        """The values that steps read, from one inference of the graph up to these tensors."""
        given = dict(self.workload.inputs)
        wanted = dict.fromkeys(n for step in steps for n in step.reads if n not in given)
        if not wanted:
            return given
        model = onnx.ModelProto()
        model.CopyFrom(executed)
        del model.graph.output[:]
        model.graph.output.extend(typed(name, self.dtypes) for name in wanted)
        session = self._open(model, given)
        session.infer()
        return given | session.values()

    def _open(self, model: onnx.ModelProto, values: Mapping[str, Any]) -> BoundSession:
        prepared = PreparedModel(model.SerializeToString(), self.saved.parent)
        session = ort_session.create(self.workload, prepared, unchanged)
        names = {value.name for value in model.graph.input}
        fed = {name: array for name, array in values.items() if name in names}
        return BoundSession(session, fed, place_of(self.workload))


@dataclass(frozen=True, slots=True)
class _Step:
    nodes: tuple[onnx.NodeProto, ...]
    reads: tuple[str, ...]
    """Names of the step's inputs that are no weights."""
    weights: tuple[onnx.TensorProto, ...]

    def writes(self, names: Collection[str]) -> bool:
        """Whether one of these tensors is a result of the step."""
        return any(name in names for node in self.nodes for name in node.output)

    @classmethod
    def of(cls, graph: onnx.GraphProto, places: Sequence[int]) -> _Step | None:
        """The step of these nodes; None for one with a subgraph or with sparse weights."""
        nodes = tuple(graph.node[place] for place in sorted(places))
        if not nodes or any(a.HasField("g") or a.graphs for n in nodes for a in n.attribute):
            return None
        known = {tensor.name: tensor for tensor in graph.initializer}
        own = {name for node in nodes for name in node.output}
        read = dict.fromkeys(n for node in nodes for n in node.input if n and n not in own)
        if any(tensor.values.name in read for tensor in graph.sparse_initializer):
            return None
        return cls(
            nodes,
            tuple(name for name in read if name not in known),
            tuple(known[name] for name in read if name in known),
        )


def _repeated(
    executed: onnx.ModelProto, step: _Step, repeats: int, values: Mapping[str, Any]
) -> onnx.ModelProto:
    """A model of `repeats` copies of a step's nodes; the last copy's results are outputs."""
    missing = [name for name in step.reads if name not in values]
    if missing:
        raise BackendError(f"the value of tensor {missing[0]!r} is not known")
    nodes = [node for copy in range(repeats) for node in _copy(step.nodes, copy)]
    last = next(name for name in nodes[-1].output if name)
    graph = onnx.helper.make_graph(
        nodes,
        "repeated",
        [_declared(name, values[name]) for name in step.reads],
        [onnx.helper.make_empty_tensor_value_info(last)],
        list(step.weights),
    )
    return model_like(executed, graph)


def _copy(nodes: Sequence[onnx.NodeProto], number: int) -> Iterator[onnx.NodeProto]:
    """A copy of the nodes, with their outputs renamed."""
    own = {name for node in nodes for name in node.output if name}
    for node in nodes:
        made = onnx.NodeProto()
        made.CopyFrom(node)
        made.name = f"{node.name} {number}"
        made.input[:] = [f"{name} {number}" if name in own else name for name in node.input]
        made.output[:] = [f"{name} {number}" if name else "" for name in node.output]
        yield made


def _declared(name: str, value: Any) -> onnx.ValueInfoProto:
    element = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, element, value.shape)
