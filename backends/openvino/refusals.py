"""Which layer or tensor it is that OpenVINO does not take, where its message does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from onnxprof.backends.openvino.graphs.elements import name_of
from onnxprof.errors import BackendError
from onnxprof.records.elements.table import inner_type
from onnxprof.records.layer import LayerTable

_REMEDY = "Use --backend ort"
_UNTRANSLATED = re.compile(r"No conversion rule found for operations: (\S.*)")
#: How the frontend names a node, before the reason; and where it says which operator alone.
_NODE = re.compile(r"While validating ONNX node '<Node\((\w+)\): ([^>]*)>'\s*(.*)")
_OPERATOR = re.compile(r"\b(\w+) node\b")
#: The same of a node of its own graph, see `runtime.reason`.
_OWN = re.compile(r"While validating node '(\S+) (\S+?)'\s*:?\s*(.*)")


@contextmanager
def named(table: LayerTable) -> Iterator[None]:
    """Add the layers or tensors of a table to the runtime's refusal of a model."""
    try:
        yield
    except BackendError as error:
        raise _explained(error, table) from error


def _explained(error: BackendError, table: LayerTable) -> BackendError:
    missing = _UNTRANSLATED.search(error.what)
    if missing:
        listed = (_with_layers(part, table) for part in re.split(r",\s*", missing[1].strip(" .")))
        return _refusal(f"OpenVINO has no translation of {'; '.join(listed)}", error)
    node = _NODE.search(error.what)
    if node:
        own = _OWN.search(node[3])
        why = (own[3] or "a shape does not fit") if own else node[3].removeprefix(f"{node[1]}: ")
        layer = _layer(node[2], table)
        return _refusal(f"OpenVINO cannot translate {layer or node[1]}: {why}", error)
    own = _OWN.search(error.what)
    if own and (layer := _layer(own[2], table)):
        return _refusal(f"OpenVINO cannot run {layer}: {own[3] or 'a shape does not fit'}", error)
    if "Unsupported type" in error.what and (tensor := _foreign(table)):
        return _refusal(f"OpenVINO has no type {tensor[1]}, which tensor {tensor[0]!r} has", error)
    operator = _OPERATOR.search(error.what)
    if operator and any(layer.op_type == operator[1] for layer in table.nodes):
        layers = _with_layers(operator[1], table).removeprefix(f"{operator[1]} ")
        return _refusal(f"{error.what} {layers}", error)
    return error


def _refusal(what: str, error: BackendError) -> BackendError:
    return BackendError(what, where=error.where, remedy=error.remedy or _REMEDY)


def _layer(name: str, table: LayerTable) -> str:
    """Operator and name of the layer that has this name, or yields a tensor of it."""
    own = name.partition("~")[0]  # a node that was written in place of one
    for layer in table.nodes:
        if own == layer.name or any(own == tensor.name for tensor in layer.outputs):
            return f"{layer.op_type} {layer.name}"
    return ""


def _with_layers(operator: str, table: LayerTable) -> str:
    """`com.microsoft.MoE (layer moe_0 and 3 others)`."""
    plain = re.sub(r"^\w+::|-\d+$", "", operator)  # its own domain, the operator's version
    domain, _, op_type = plain.rpartition(".")
    domain = "" if domain == "ai.onnx" else domain
    names = [
        layer.name
        for layer in table.nodes
        if layer.op_type == op_type and (not domain or layer.domain == domain)
    ]
    if not names:
        return operator
    others = len(names) - 1
    more = f" and {others} {'other' if others == 1 else 'others'}" if others else ""
    return f"{plain} (layer {names[0]}{more})"


def _foreign(table: LayerTable) -> tuple[str, str] | None:
    """The first tensor of a type that OpenVINO has no name for."""
    for layer in table:
        for tensor in (*layer.inputs, *layer.outputs):
            kind, inner = inner_type(tensor.dtype)
            if tensor.dtype and (kind or not name_of(inner)):
                return tensor.name, tensor.dtype
    return None
