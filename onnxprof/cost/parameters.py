"""Parameters of a table's layers: each weight stands on the first layer that reads it."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.model.graph.parameters import PACKED, Roles, Use
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor, placed


def by_layer(table: LayerTable) -> dict[str, int]:
    """Elements of the weights that each layer is the first to read, by layer name."""
    roles = Roles([_use(layer) for layer in table.nodes])
    waiting = {tensor.name: tensor for tensor in _weights(table)}
    found: dict[str, int] = {}
    for layer in table.nodes:
        for tensor in layer.inputs:
            weight = waiting.pop(tensor.name, None)
            if weight is not None:
                count = roles.weight(weight.name, weight.dtype, weight.shape or ())  # type: ignore[arg-type]
                found[layer.name] = found.get(layer.name, 0) + count
    return found


def _weights(table: LayerTable) -> Iterator[Tensor]:
    for layer in table:
        if layer.kind is LayerKind.INITIALIZER:
            yield from (t for t in layer.outputs if t.is_static)
        elif layer.op_type == "Constant" and not layer.domain:
            yield from (t for t in layer.outputs if t.is_static and t.shape != () and _many(t))


def _many(tensor: Tensor) -> bool:
    """Whether it has more than one element: a Constant of one is an operand."""
    return any(size != 1 for size in tensor.shape or ())


def _use(layer: Layer) -> Use:
    inputs = placed(layer.inputs, layer.absent_inputs)
    _, name = PACKED.get(layer.op_type, ((), "bits"))
    bits = dict(layer.attributes).get(name, "4")
    return Use(
        layer.op_type,
        tuple(tensor.name if tensor else "" for tensor in inputs),
        tuple(tensor.name for tensor in layer.outputs),
        int(bits) if bits.isdecimal() else 4,
    )
