"""Which bodies of control-flow nodes ran, by the values of conditions and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from onnxprof.backends.ort.check.unfold import Path, Pending, Unfolded, scanned, unfolded
from onnxprof.errors import BackendError
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.provenance.onnx_graph import graph_attributes

Array = NDArray[Any]
#: Runs a model and returns the values of some tensors. May raise BackendError.
Read = Callable[[onnx.ModelProto, Collection[str]], Mapping[str, Array]]
#: Before this version a Scan had a batch axis.
_SCAN_WITHOUT_BATCH = 9


def settled(model: onnx.ModelProto, read: Read, deadline: float = float("inf")) -> Unfolded:
    """The model with executed bodies in place of their nodes, outer bodies before inner ones.

    A body that cannot be decided, or not before `deadline`, a moment of `time.monotonic`, stays
    inside its node.
    """
    taken: dict[Path, bool] = {}
    made = unfolded(model, taken)
    while made.pending and time.monotonic() < deadline:
        with suppress(BackendError):
            known = _values(made, read)
            for pending in made.pending:
                taken |= _decided(pending, known, _version(model))
        for pending in made.pending:
            taken |= {path: taken.get(path, False) for path in _bodies(pending)}
        made = unfolded(model, taken)
    return made


def _version(model: onnx.ModelProto) -> int:
    plain = (opset.version for opset in model.opset_import if opset.domain in DEFAULT_DOMAINS)
    return max(plain, default=1)


def _bodies(pending: Pending) -> list[Path]:
    *outside, (place, _) = pending.path
    return [(*outside, (place, body.name)) for body in graph_attributes(pending.node)]


def _values(made: Unfolded, read: Read) -> Mapping[str, Array]:
    """Values that decide the pending nodes; the model is run only if they are not constant."""
    wanted = {name for pending in made.pending for name in _deciding(pending.node)}
    known = _constants(made.model.graph, wanted)
    return {**known, **read(made.model, wanted - known.keys())} if wanted - known.keys() else known


def _constants(graph: onnx.GraphProto, wanted: Collection[str]) -> dict[str, Array]:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    outside = onnx.TensorProto.EXTERNAL
    return {
        name: numpy_helper.to_array(stored[name])
        for name in wanted
        if name in stored and stored[name].data_location != outside
    }


def _deciding(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that decide whether a body runs."""
    if node.op_type == "If":
        yield node.input[0]
    elif node.op_type == "Loop":
        yield from filter(None, node.input[:2])
    elif node.op_type == "Scan":
        yield from node.input[len(node.input) - scanned(node) :]


def _decided(pending: Pending, known: Mapping[str, Array], version: int) -> Mapping[Path, bool]:
    """For each body of a node, whether it ran; empty where that is not known."""
    node = pending.node
    if node.domain or not {*_deciding(node)} <= known.keys():
        return {}
    values = [known[name] for name in _deciding(node)]
    if node.op_type == "If":
        goes = "then_branch" if values[0].all() else "else_branch"
        return {path: path[-1][1] == goes for path in _bodies(pending)}
    if node.op_type == "Loop":
        return dict.fromkeys(_bodies(pending), all((value > 0).all() for value in values))
    if node.op_type == "Scan" and version >= _SCAN_WITHOUT_BATCH:
        return dict.fromkeys(_bodies(pending), all(value.size for value in values))
    return {}
