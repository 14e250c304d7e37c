"""Function bodies of operators that ONNX defines by other operators, for inference on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import FunctionProto, ModelProto, TypeProto

from onnxprof.model.graph import functions
from onnxprof.model.shapes.rules import onnx_rules
from onnxprof.model.shapes.rules.call import Call, version

_DOMAIN = "onnxprof.body"


def model_of(call: Call) -> ModelProto | None:
    """A model with the body of the node's operator alone; None where ONNX defines no body."""
    schema = onnx_rules.schema_of(call.node.op_type, call.node.domain, call.opset())
    function = None if schema is None else _function(schema, call)
    if function is None:
        return None
    function.domain, function.name = _DOMAIN, call.node.op_type
    defaults = (attribute.default_value for attribute in schema.attributes.values())
    function.attribute_proto.extend(default for default in defaults if default.name)
    names = [name for name in dict.fromkeys(call.node.input) if name]
    held = {name: call.scope.type_of(name) or TypeProto() for name in names}
    node = onnx.NodeProto()
    node.CopyFrom(call.node)
    node.domain = _DOMAIN
    graph = onnx.helper.make_graph(
        [node],
        "body",
        [onnx.helper.make_value_info(name, held[name]) for name in names],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        list(onnx_rules.contents(call.scope, names, held).values()),
    )
    made = onnx.helper.make_model(graph, functions=[function], opset_imports=function.opset_import)
    functions.inline(made, Path())
    return made


def _function(schema: Any, call: Call) -> FunctionProto | None:
    """The function that defines the operator in the model's opset; None where there is none."""
    own = version("", call.opsets)
    if schema.has_function:
        known = [v for v in schema.function_opset_versions if v <= own]
        text = schema.get_function_with_opset_version(max(known)) if known else b""
    elif schema.has_context_dependent_function:
        known = [v for v in schema.context_dependent_function_opset_versions if v <= own]
        types = [
            (call.scope.type_of(name) or TypeProto()) if name else TypeProto()
            for name in call.node.input
        ]
        text = known and schema.get_context_dependent_function_with_opset_version(
            max(known), call.node.SerializeToString(), [t.SerializeToString() for t in types]
        )
    else:
        return None
    return FunctionProto.FromString(text) if text else None
