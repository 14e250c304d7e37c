"""Beams: rows of queries and caches are prompts times beams, those of a table of beams prompts.

`cache_indirection` of onnxruntime's decoding attention is [prompts, beams, tokens]. Exporters call
the first axis of all inputs alike, or rows by a name of their own, so that what they have to do
with one another is spelled out here: prompts * beams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnx import ModelProto, NodeProto, ValueInfoProto

from onnxprof.model.graph.walk import graphs
from onnxprof.model.shapes.rules import sizes

#: Positions of a cache of keys, its axis of rows, and the position of the table of beams, by
#: operator of com.microsoft (onnxruntime, docs/ContribOperators.md).
_TABLES = {
    "DecoderMaskedMultiHeadAttention": (5, 0, 9),
    "DecoderMaskedSelfAttention": (4, 1, 8),
    "MultiHeadAttention": (6, 0, 9),
}
_DOMAIN = "com.microsoft"
#: Axes of a table of beams.
_RANK = 3


def relate_beams(model: ModelProto) -> bool:
    """Name every axis of rows as prompts * beams; whether there was one to name."""
    inputs = {value.name: value for value in model.graph.input}
    found = list(_tables(model, inputs))
    tables = {table.name for table, _ in found}
    renamed = {}
    for table, rows in found:
        prompts, beams = _named(table, 0), _named(table, 1)
        product = sizes.multiply(prompts, beams)
        if isinstance(prompts, str) and beams != 1 and isinstance(product, str):
            renamed[rows] = product
    for value in model.graph.input if "" in renamed else ():
        if value.name not in tables and value.type.tensor_type.shape.dim:
            _named(value, 0, renamed[""])
    for graph in graphs(model.graph) if renamed else ():
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.name not in tables:
                _rename(value, renamed)
    return bool(renamed)


def _tables(
    model: ModelProto, inputs: Mapping[str, ValueInfoProto]
) -> Iterator[tuple[ValueInfoProto, str]]:
    """Tables of beams, each once, and what the rows beside them are called; empty for no name."""
    done: set[str] = set()
    for node in model.graph.node:
        for cache, axis, table in _places(node):
            if table in done or not {cache, table} <= inputs.keys():
                continue
            is_table = len(inputs[table].type.tensor_type.shape.dim) == _RANK
            dims = inputs[cache].type.tensor_type.shape.dim
            if is_table and axis < len(dims) and not dims[axis].HasField("dim_value"):
                done.add(table)
                yield inputs[table], dims[axis].dim_param


def _places(node: NodeProto) -> Iterator[tuple[str, int, str]]:
    """Cache, its axis of rows, and table of beams, where a node reads both."""
    places = _TABLES.get(node.op_type) if node.domain == _DOMAIN else None
    if places and places[2] < len(node.input):
        yield node.input[places[0]], places[1], node.input[places[2]]


def _named(value: ValueInfoProto, axis: int, name: str = "") -> int | str:
    """The size of an axis, or its name; one without either gets this name, or that of others."""
    dim: Any = value.type.tensor_type.shape.dim[axis]
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    if not dim.dim_param:
        dim.dim_param = name or f"{value.name}.axis{axis}"
    return str(dim.dim_param)


def _rename(value: ValueInfoProto, renamed: Mapping[str, str]) -> None:
    for dim in value.type.tensor_type.shape.dim:
        if dim.dim_param and dim.dim_param in renamed:
            dim.dim_param = renamed[dim.dim_param]
