"""Layers and tables written down by shapes, for tests of costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import onnx

from onnxprof.cost.count import costs
from onnxprof.model.file import ModelFile
from onnxprof.model.graph.parameters import parameters
from onnxprof.model.graph.walk import normalise
from onnxprof.records.cost import LayerCost, Operations
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Shape, Tensor
from onnxprof.zoo.catalogue import skeleton_path

KINDS = tuple(field.name for field in fields(Operations))
#: A shape, a dtype and a shape, or None for an operand that is left out.
Given = Sequence[Any] | str | None


def tensor(name: str, given: Any, value: tuple[int, ...] | None = None) -> Tensor:
    """`(2, 3)` is float32; `"int8 2,3"` names its dtype, `"int64"` is a scalar."""
    if isinstance(given, str):
        dtype, _, sizes = given.partition(" ")
        shape: Shape = tuple(int(s) for s in sizes.split(",") if s)
        return Tensor(name, dtype, shape, value)
    return Tensor(name, "float32", tuple(given), value)


def layer(
    op_type: str,
    inputs: Sequence[Given],
    outputs: Sequence[Given],
    domain: str = "",
    opset: int = 21,
    values: dict[int, tuple[int, ...]] | None = None,
    name: str = "layer",
    **attributes: Any,
) -> Layer:
    """One node; attributes are written as a layer table has them."""
    names = [f"in{i}" for i in range(len(inputs))]
    held = values or {}
    return Layer(
        name,
        LayerKind.NODE,
        op_type,
        op_type,
        domain,
        opset,
        tuple(
            tensor(names[i], given, held.get(i))
            for i, given in enumerate(inputs)
            if given is not None
        ),
        tuple(tensor(f"out{i}", given) for i, given in enumerate(outputs) if given is not None),
        tuple((key, _text(value)) for key, value in attributes.items()),
        absent_inputs=tuple(i for i, given in enumerate(inputs) if given is None),
        absent_outputs=tuple(i for i, given in enumerate(outputs) if given is None),
    )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def cost_of(made: Layer) -> LayerCost:
    """The cost of a layer that stands alone."""
    (cost,) = costs(LayerTable((made,), 1))
    return cost


def kinds(cost: LayerCost) -> dict[str, int]:
    """Operations by kind, without those that are zero."""
    assert cost.operations is not None, cost.unknown
    found = {kind: getattr(cost.operations, kind) for kind in KINDS}
    return {kind: count for kind, count in found.items() if count}


def skeleton(name: str) -> ModelFile:
    """A network of the zoo, opened without its weights, which no cost depends on."""
    path = skeleton_path(name)
    structure = onnx.load(path)
    counted = parameters(structure)
    naming, _ = normalise(structure, path)
    return ModelFile(path, name, f"zoo:{name}", structure, naming, counted)
