"""Layers that compute the same as an earlier one: a runtime may run such work once."""

from __future__ import annotations

import hashlib
from typing import Any

from onnxprof.model.graph.operators import MAY_DRAW


def twins(graph: Any) -> dict[str, str]:
    """From the name of a node of an ONNX graph to the first node that computes the same.

    Nodes are equal if operator, attributes and inputs are; constants are equal if type, shape and
    bytes are, whatever their names.
    """
    same = _equal_constants(graph)
    seen: dict[tuple[Any, ...], Any] = {}
    firsts: dict[str, str] = {}
    for node in graph.node:
        if node.op_type in MAY_DRAW:
            continue
        inputs = tuple(same.get(name, name) for name in node.input)
        attributes = sorted(a.SerializeToString(deterministic=True) for a in node.attribute)
        key = (node.domain, node.op_type, inputs, tuple(attributes), len(node.output))
        first = seen.setdefault(key, node)
        if first is not node:
            firsts[node.name] = first.name
            same |= zip(node.output, first.output, strict=True)
    return firsts


def _equal_constants(graph: Any) -> dict[str, str]:
    first: dict[tuple[Any, ...], str] = {}
    same = {}
    for tensor in graph.initializer:
        key = _content(tensor)
        if first.setdefault(key, tensor.name) != tensor.name:
            same[tensor.name] = first[key]
    return same


def _content(tensor: Any) -> tuple[Any, ...]:
    copied = type(tensor)()
    copied.CopyFrom(tensor)
    for name in ("name", "doc_string"):
        copied.ClearField(name)
    data = copied.SerializeToString(deterministic=True)
    return tensor.data_type, tuple(tensor.dims), hashlib.blake2b(data).digest()
