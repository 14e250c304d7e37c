"""tf2onnx's graph of a network, tidied and named after Keras's layers."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import ExportError
from onnxprof.exporters.keras.model import Network
from onnxprof.plugins.exporter import ExportRequest

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto

#: The latest opset that tf2onnx 1.17 writes.
LATEST_OPSET = 18
_SCOPE = "scope"
_LARGEST = 1_900_000_000
_CALLS = re.compile(r"^(StatefulPartitionedCall|PartitionedCall)(_\d+)?$")
#: Keras's name of a weight, by operator and input position.
_ROLES = {
    ("Conv", 1): "kernel",
    ("Conv", 2): "bias",
    ("ConvTranspose", 1): "kernel",
    ("ConvTranspose", 2): "bias",
    ("MatMul", 1): "kernel",
    ("Gemm", 1): "kernel",
    ("Gemm", 2): "bias",
    ("Add", 1): "bias",
    ("Gather", 0): "embeddings",
}


class _Log(logging.Handler):
    """Collects (layer, operator) of tf2onnx's log messages about unsupported operators."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Parse one log message."""
        match = re.search(r"op \[(.+): (\w+)\] is not supported", record.getMessage())
        if match:
            self.unknown.append((match[1], match[2]))


def convert(network: Network, request: ExportRequest) -> ModelProto:
    """The ONNX graph. Raises ExportError, which names the operator that tf2onnx lacks, if any."""
    import onnx_ir
    from onnx_ir.passes.common import ShapeInferencePass

    from onnxprof.exporters.common.tidy import tidy

    model = onnx_ir.from_proto(_converted(network, request))
    scopes = _Scopes(model, network.layers)
    _mark(model, scopes)
    _name_weights(model)
    weights = frozenset(name for name, value in model.graph.initializers.items() if _floats(value))
    for value, item in zip(model.graph.inputs, request.inputs, strict=True):
        value.shape = onnx_ir.Shape(item.shape)
    # Follows sizes through Shape, Gather and Concat, so that targets of Reshapes become constants.
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    tidy(model, weights, network.outputs, _marked, keep_names=False)
    _name_batch(model, request)
    proto: ModelProto = onnx_ir.to_proto(model)
    return proto


def _converted(network: Network, request: ExportRequest) -> ModelProto:
    import tensorflow as tf
    import tf2onnx

    signature = [
        tf.TensorSpec([n if isinstance(n, int) else None for n in i.shape], i.dtype, name=i.name)
        for i in request.inputs
    ]
    log = _Log()
    logging.getLogger("tf2onnx").addHandler(log)
    try:
        function = tf.function(network.call, autograph=False)
        opset = min(request.opset, LATEST_OPSET)
        proto: ModelProto
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    except Exception as error:
        raise _unknown(log.unknown, network) or _failed(error, network) from error
    finally:
        logging.getLogger("tf2onnx").removeHandler(log)
    lacking = _unknown(log.unknown, network)
    if lacking:
        raise lacking
    return proto


def _unknown(unsupported: Sequence[tuple[str, str]], network: Network) -> ExportError | None:
    if not unsupported:
        return None
    layer, operator = unsupported[0]
    return ExportError(
        f"tf2onnx has no translation of operator {operator} (layer {_clean(layer)})",
        where=network.target,
        remedy="Replace that layer, or try a newer tf2onnx",
    )


def _failed(error: Exception, network: Network) -> ExportError:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return ExportError(
        f"tf2onnx cannot convert it: {type(error).__name__}: {line[:200]}",
        where=network.target,
        remedy="--debug shows the whole error",
    )


def _clean(name: str) -> str:
    return "/".join(_parts(name))


def _parts(name: str) -> list[str]:
    """Parts of a node's name, without those of function calls that TensorFlow inserts."""
    return [part for part in name.split("/") if part and not _CALLS.match(part)]


class _Scopes:
    """The Keras layers that contain a node.

    tf2onnx's names end in the operation, and TensorFlow numbers scopes again: the scope of
    layer `conv2d` may be `conv2d_1`, that of `conv2d_1` then `conv2d_1_2`. Scopes are assigned
    to layers in order.
    """

    def __init__(self, model: ir.Model, layers: Sequence[str]) -> None:
        paths = [_parts(node.name or "")[:-1] for node in model.graph]
        self._names = _claimed({part for path in paths for part in path}, layers)
        whole = [path for path in paths if path]
        first = whole[0][0] if whole and len({path[0] for path in whole}) == 1 else None
        self._outermost = first if whole and all(len(path) > 1 for path in whole) else None

    def __call__(self, node: ir.Node) -> tuple[str, ...]:
        """The layers around a node, without a model that contains all of them.

        Nodes that tf2onnx inserts have no scope: they belong to the layer that reads them.
        """
        if "/" not in (node.name or ""):
            readers = [use.node for value in node.outputs for use in value.uses()]
            return self(readers[0]) if readers else ()
        path = _parts(node.name or "")[:-1]
        if path and path[0] == self._outermost:
            path = path[1:]
        return tuple(self._names.get(part, part) for part in path)


def _claimed(scopes: Iterable[str], layers: Sequence[str]) -> dict[str, str]:
    """The layer's name by scope; scopes without a layer are left out."""
    free = set(scopes)
    layer_of: dict[str, str] = {}
    for layer in layers:
        pattern = re.compile(rf"{re.escape(layer)}(_\d+)?")
        own = sorted((s for s in free if pattern.fullmatch(s)), key=lambda s: (len(s), s))
        if own:
            free.discard(own[0])
            layer_of[own[0]] = layer
    return layer_of


def _mark(model: ir.Model, scopes: _Scopes) -> None:
    """Store the scopes in the nodes' metadata, which rewriting keeps."""
    for node in model.graph.all_nodes():
        node.metadata_props[_SCOPE] = json.dumps(scopes(node))


def _marked(node: ir.Node) -> tuple[str, ...]:
    return tuple(json.loads(node.metadata_props.get(_SCOPE, "[]")))


def _floats(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_floating_point() and value.shape != ()


def _name_weights(model: ir.Model) -> None:
    """Like `conv2d/kernel`, after the layer of the first node that reads a weight."""
    from onnxprof.exporters.common.names import Names

    names = Names()
    for node in model.graph:
        for index, value in enumerate(node.inputs):
            known = value is not None and value.name in model.graph.initializers
            if value is None or not known or not _floats(value) or value.metadata_props.get("role"):
                continue
            role = _ROLES.get((node.op_type, index), f"{node.op_type}_{index}")
            value.metadata_props["role"] = role
            value.name = names.take("/".join((*_marked(node), role)))


def _name_batch(model: ir.Model, request: ExportRequest) -> None:
    """Name axis 0 of the outputs as the batch where it has no size, in place of tf2onnx's name."""
    import onnx_ir

    for value in model.graph.outputs:
        sizes = list(value.shape or ())
        if sizes and not isinstance(sizes[0], int) and request.batch:
            value.shape = onnx_ir.Shape([request.batch, *sizes[1:]])


def write(proto: ModelProto, path: str) -> None:
    """Save the model, with external data where a protobuf message would be too large."""
    import onnx

    beside = proto.ByteSize() > _LARGEST
    onnx.save(proto, path, save_as_external_data=beside, location=f"{Path(path).name}.data")
