"""Definitions of operators by other operators: the model's own, or those of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from onnxprof.model.graph.operators import plain_domain


def definition(
    model: onnx.ModelProto, node: onnx.NodeProto, opset: int, type_of: Callable[[str], Any]
) -> onnx.FunctionProto | None:
    """The function that defines the node's operator; None where there is none."""
    for function in model.functions:
        candidate: onnx.FunctionProto = function
        if (candidate.domain, candidate.name) == (node.domain, node.op_type):
            return candidate
    return _specified(node, opset, type_of)


def _specified(
    node: onnx.NodeProto, opset: int, type_of: Callable[[str], Any]
) -> onnx.FunctionProto | None:
    domain = plain_domain(node.domain)
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, opset, domain)
    except onnx.defs.SchemaError:
        return None
    if schema.has_function:
        version = _version(schema.function_opset_versions, opset)
        return _parsed(schema.get_function_with_opset_version(version), schema)
    if not schema.has_context_dependent_function:
        return None
    types = [type_of(name) if name else onnx.TypeProto() for name in node.input]
    if any(kind is None for kind in types):
        return None
    version = _version(schema.context_dependent_function_opset_versions, opset)
    text = schema.get_context_dependent_function_with_opset_version(
        version, node.SerializeToString(), [kind.SerializeToString() for kind in types]
    )
    return _parsed(text, schema) if text else None


def _version(known: list[int], opset: int) -> int:
    return max((version for version in known if version <= opset), default=min(known))


def _parsed(text: bytes, schema: Any) -> onnx.FunctionProto:
    """The function, with the operator's defaults for the attributes that a node leaves out."""
    function = onnx.FunctionProto()
    function.ParseFromString(text)
    defaults = (attribute.default_value for attribute in schema.attributes.values())
    function.attribute_proto.extend(default for default in defaults if default.name)
    return function


def types_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Types of the main graph's tensors, as far as they can be inferred."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        if tensor.ByteSize() > 1 << 16:  # shapes follow from small ones alone
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    try:
        inferred = onnx.shape_inference.infer_shapes(bare)
    except Exception:  # for an invalid model, declared types are used
        inferred = bare
    graph = inferred.graph
    types = {v.name: v.type for v in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer:
        made = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        types.setdefault(tensor.name, made)
    return types
