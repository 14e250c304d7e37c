"""Loading a graph that onnxruntime saved, with names made unique.

The subgraphs of an If, Loop or Scan are optimised one by one, so that a name that the runtime
makes up, such as `reorder_token_0`, may occur in a subgraph and in the graph around it. On
loading, the runtime refuses such a tensor, and such a node once the body is in the main graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import onnx

from onnxprof.model.graph.read import read_file


def load_saved(path: Path) -> onnx.ModelProto:
    """The saved graph without weights; names of the top level are unchanged."""
    model = read_file(path)
    _store_once(model.graph)
    numbers = count()
    _tell_apart(model.graph, frozenset(_made(model.graph)), {}, numbers)
    _name_nodes(model.graph, {node.name for node in model.graph.node}, numbers)
    return model


def _store_once(graph: onnx.GraphProto) -> None:
    """Remove repeated weights: onnxruntime 1.23 may save them in subgraphs, but refuses them."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    if len(stored) < len(graph.initializer):
        kept = list(stored.values())
        del graph.initializer[:]
        graph.initializer.extend(kept)
    for inner in (inner for node in graph.node for inner in _graphs(node)):
        _store_once(inner)


def _tell_apart(
    graph: onnx.GraphProto,
    known: frozenset[str],
    renamed: Mapping[str, str],
    numbers: Iterator[int],
) -> None:
    """Rename tensors of subgraphs whose names are used in a graph around them."""
    for node in graph.node:
        for inner in _graphs(node):
            own = set(_made(inner))
            clashing = sorted(own & known)
            names = {old: new for old, new in renamed.items() if old not in own}
            names |= {name: _inside(name, numbers) for name in clashing}
            _rename(inner, names)
            _tell_apart(inner, known | own, names, numbers)


def _name_nodes(graph: onnx.GraphProto, known: set[str], numbers: Iterator[int]) -> None:
    """Rename nodes of subgraphs whose names another node has."""
    for inner in (inner for node in graph.node for inner in _graphs(node)):
        for node in inner.node:
            if node.name and node.name in known:
                node.name = _inside(node.name, numbers)
            known.add(node.name)
        _name_nodes(inner, known, numbers)


def _inside(name: str, numbers: Iterator[int]) -> str:
    return f"{name} inside {next(numbers)}"


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _made(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of the tensors that this graph itself defines."""
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    yield from (name for node in graph.node for name in node.output if name)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    if not names:
        return
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
