"""ONNX's own shape inference, applied to one node at a time.

Applied to a whole model it propagates the contents of tensors without a bound, and invents
names for unknown sizes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, TypeProto

from onnxprof.model.graph.operators import plain_domain
from onnxprof.model.shapes.rules.call import Call, Types
from onnxprof.model.shapes.rules.scope import Scope, element_type, shape_of, tensor_type

_IR_VERSION = 10
#: Larger contents are weights, not shapes, axes or scales.
_MAX_ELEMENTS = 1024


class RefusedError(Exception):
    """The node does not take operands of these types."""


@lru_cache(maxsize=1024)
def schema_of(op_type: str, domain: str, opset: int) -> Any:
    """The operator's schema in an opset; None for an operator that ONNX does not have."""
    domain = plain_domain(domain)
    try:
        return onnx.defs.get_schema(op_type, opset, domain)
    except Exception:  # no such operator, or not yet in this opset
        return None


def ask(call: Call) -> Types:
    """The outputs' types as ONNX infers them. Raises RefusedError for operands that do not fit."""
    schema = schema_of(call.node.op_type, call.node.domain, call.opset())
    if schema is None:
        return [None] * len(call.node.output)
    _check_form(schema, call)
    types = _infer(schema, call)
    return [_bounded(types.get(name)) for name in call.node.output]


def _check_form(schema: Any, call: Call) -> None:
    """Raise RefusedError for a node that does not have the form of its operator.

    ONNX's rules are compiled code that does not check this; such a node can crash the process.
    """
    node, counts = call.node, (len(call.node.input), len(call.node.output))
    if not schema.min_input <= counts[0] <= schema.max_input:
        raise RefusedError(f"{node.op_type} does not take {counts[0]} inputs")
    if not schema.min_output <= counts[1] <= schema.max_output:
        raise RefusedError(f"{node.op_type} does not yield {counts[1]} outputs")
    for attribute in node.attribute:
        known = schema.attributes.get(attribute.name)
        if known is not None and int(known.type.value) != attribute.type:
            raise RefusedError(f"its attribute {attribute.name!r} is of another type")
    if node.op_type == "Split":
        _check_split(call, counts[1])


def _check_split(call: Call, outputs: int) -> None:
    value = call.value(1)
    parts = call.attribute("split") if value is None else value.reshape(-1)
    count = call.attribute("num_outputs", outputs) if parts is None else len(parts)
    if count != outputs:
        raise RefusedError(f"it yields {count} parts, and has {outputs} outputs")


def _bounded(inferred: TypeProto | None) -> TypeProto | None:
    if inferred is None or inferred.WhichOneof("value") != "tensor_type":
        return inferred
    if any(dim.dim_value < 0 for dim in inferred.tensor_type.shape.dim):
        raise RefusedError(
            f"it would yield {[d.dim_value for d in inferred.tensor_type.shape.dim]}"
        )
    return tensor_type(element_type(inferred), shape_of(inferred))


def _infer(schema: Any, call: Call) -> Mapping[str, TypeProto]:
    names = [name for name in dict.fromkeys(call.node.input) if name]
    known = {name: call.scope.type_of(name) for name in names}
    types = {name: TypeProto() if held is None else held for name, held in known.items()}
    data = contents(call.scope, names, types)
    imports = [
        onnx.helper.make_opsetid(d, v) for d, v in {"": 1, **call.opsets}.items() if d is not None
    ]
    try:
        return dict(
            onnx.shape_inference.infer_node_outputs(
                schema, call.node, types, data, {}, imports, _IR_VERSION
            )
        )
    except Exception as error:
        if all(held is not None and held.WhichOneof("value") for held in known.values()):
            raise RefusedError(_reason(error)) from None
        return {}


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    return first.removeprefix("[ShapeInferenceError] ").removeprefix("[TypeInferenceError] ")


def contents(
    scope: Scope, names: Sequence[str], types: Mapping[str, TypeProto]
) -> dict[str, TensorProto]:
    """Small, wholly known contents as tensors of the operands' types, by name."""
    tensors = {}
    for name in names:
        value = scope.value_of(name)
        if value is None or value.dtype == object or value.size > _MAX_ELEMENTS:
            continue
        kind = element_type(types[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = value.astype(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else value
                tensors[name] = onnx.numpy_helper.from_array(np.asarray(wanted), name)
            except Exception:  # a type that numpy does not have: contents stay unknown
                continue
    return tensors
