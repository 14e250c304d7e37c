"""The states of a model file: its layers with free axes, and its outputs as they are declared."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ValueInfoProto

from onnxprof.model.file import ModelFile, rebatched
from onnxprof.model.graph.weights import dtype_name
from onnxprof.model.layers import inspect
from onnxprof.records.layer import Dim, LayerTable, Tensor
from onnxprof.records.sequences.states import States
from onnxprof.sequences.detect import detect


def states_of(model: ModelFile) -> States:
    """The states of a model, and the inputs that speak of its sequence."""
    return states_at(model, inspect(model, 1))


def states_at(model: ModelFile, table: LayerTable) -> States:
    """The same, where the layers at batch 1 are known; sizes of other axes are names."""
    return detect(table, tuple(_outputs(model, table)))


def _outputs(model: ModelFile, table: LayerTable) -> Iterator[Tensor]:
    """Outputs with their declared shapes at batch 1, or inferred ones where these say more."""
    inferred = {t.name: t for layer in table for t in layer.outputs}
    for value in rebatched(model, 1, {}).structure.graph.output:
        made = inferred.get(value.name, Tensor(value.name))
        declared = _declared(value)
        known = made.shape if made.is_static or declared is None else declared
        yield Tensor(value.name, made.dtype or _dtype(value), known)


def _declared(value: ValueInfoProto) -> tuple[Dim, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        for dim in tensor.shape.dim
    )


def _dtype(value: ValueInfoProto) -> str:
    kind = value.type.tensor_type.elem_type
    return str(dtype_name(kind)) if kind else ""
