"""Node attributes as short text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import AttributeProto, NodeProto, TensorProto

from onnxprof.model.graph.weights import dtype_name

_LONGEST_LIST = 16
_LONGEST_TEXT = 200


def attributes(node: NodeProto) -> tuple[tuple[str, str], ...]:
    """Names and values in file order; tensors as type and shape, graphs as a count, lists cut."""
    return tuple((a.name, _text(a)) for a in node.attribute)


def _text(attribute: AttributeProto) -> str:
    kind = AttributeProto.AttributeType
    if attribute.ref_attr_name:
        return f"@{attribute.ref_attr_name}"
    match attribute.type:
        case kind.FLOAT:
            return f"{attribute.f:.7g}"
        case kind.INT:
            return str(attribute.i)
        case kind.STRING:
            return _string(attribute.s)
        case kind.TENSOR:
            return _tensor(attribute.t)
        case kind.GRAPH:
            return f"graph({attribute.g.name}, {len(attribute.g.node)} nodes)"
        case kind.FLOATS:
            return _list([f"{v:.7g}" for v in attribute.floats[:_LONGEST_LIST]], attribute.floats)
        case kind.INTS:
            return _list([str(v) for v in attribute.ints[:_LONGEST_LIST]], attribute.ints)
        case kind.STRINGS:
            return _list([_string(v) for v in attribute.strings[:_LONGEST_LIST]], attribute.strings)
        case kind.TENSORS:
            return _list([_tensor(t) for t in attribute.tensors[:_LONGEST_LIST]], attribute.tensors)
        case kind.GRAPHS:
            return f"{len(attribute.graphs)} graphs"
    return str(kind.Name(attribute.type)).lower()


def _list(shown: list[str], whole: Sequence[Any]) -> str:
    more = [f"… {len(whole)} in all"] if len(whole) > len(shown) else []
    return f"[{','.join(shown + more)}]"


def _string(value: bytes) -> str:
    text = value.decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _tensor(tensor: TensorProto) -> str:
    return f"{dtype_name(tensor.data_type)}[{','.join(str(d) for d in tensor.dims)}]"
