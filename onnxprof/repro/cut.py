"""Some layers of a model as a model of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from onnxprof.errors import ModelError
from onnxprof.model.graph.operators import RANDOM_OPERATORS
from onnxprof.model.graph.walk import reads
from onnxprof.records.layer import LayerTable

#: Gives an initializer with its data in it.
Loaded = Callable[[TensorProto], TensorProto]


@dataclass(frozen=True, slots=True)
class Cut:
    """Layers with what they need; names are those of the whole model."""

    model: ModelProto
    """Its inputs and outputs have no types yet."""
    inputs: tuple[str, ...]
    """Tensors that the rest of the model computes, or that are fed."""
    outputs: tuple[str, ...]
    """Tensors that the rest of the model reads, or hands out."""


def cut(model: ModelProto, names: Collection[str], table: LayerTable, loaded: Loaded) -> Cut:
    """Take the nodes of these names out of a model.

    What follows from constants alone comes along, so that a runtime can fold and pack it as in
    the whole. Shape operands that the table knows are constants. Raises ModelError where a node is
    not at the top level of the graph.
    """
    graph = model.graph
    chosen = [node for node in graph.node if node.name in names]
    if missing := set(names) - {node.name for node in chosen}:
        raise ModelError(f"has no layer {min(missing)!r} at the top of its graph")
    constant = _constants(graph)
    made = {name for node in chosen for name in node.output if name}
    needed = {name for node in chosen for name in reads(node)} - made
    known = _known_operands(table, needed - constant)
    folded = _behind(graph, needed & constant)
    inner = {name for node in folded for name in reads(node)}
    inputs = tuple(sorted(needed - constant - set(known), key=_first_read(chosen)))
    outputs = _read_elsewhere(graph, chosen, made)
    weights = [*_weights(graph, needed | inner, loaded), *known.values()]
    built = helper.make_graph(
        [*folded, *chosen],
        "step",
        [onnx.ValueInfoProto(name=name) for name in inputs],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        weights,
    )
    for sparse in graph.sparse_initializer:
        if sparse.values.name in needed | inner:
            built.sparse_initializer.append(sparse)
    return Cut(_as_model(model, built), inputs, outputs)


def upstream(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """The model with these tensors as its outputs, and nothing that they do not need."""
    wanted = list(dict.fromkeys(names))
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    kept = _behind(graph, set(wanted))
    needed = {name for node in kept for name in reads(node)}
    del graph.node[:]
    graph.node.extend(kept)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    del graph.value_info[:]
    return made


def _as_model(whole: ModelProto, graph: GraphProto) -> ModelProto:
    made = helper.make_model(graph, opset_imports=whole.opset_import, producer_name="onnxprof")
    made.ir_version = whole.ir_version
    made.functions.extend(whole.functions)
    return made


def _constants(graph: GraphProto) -> set[str]:
    """Tensors that do not depend on inputs."""
    held = {tensor.name for tensor in graph.initializer}
    held |= {sparse.values.name for sparse in graph.sparse_initializer}
    held -= {value.name for value in graph.input}  # an input may override what it starts with
    for node in graph.node:
        if node.op_type not in RANDOM_OPERATORS and reads(node) <= held:
            held.update(name for name in node.output if name)
    return held


def _behind(graph: GraphProto, names: Collection[str]) -> list[NodeProto]:
    """The nodes that these tensors need, in graph order."""
    wanted, kept = set(names), []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted |= reads(node)
    return kept[::-1]


def _read_elsewhere(
    graph: GraphProto, chosen: Collection[NodeProto], made: Collection[str]
) -> tuple[str, ...]:
    own = {node.name for node in chosen}
    read = {value.name for value in graph.output}
    for node in graph.node:
        if node.name not in own:
            read |= reads(node)
    ordered = [name for node in chosen for name in node.output if name in made]
    return tuple(name for name in ordered if name in read) or tuple(ordered)


def _first_read(chosen: Iterable[NodeProto]) -> Callable[[str], int]:
    places: dict[str, int] = {}
    for node in chosen:
        for name in (*node.input, *sorted(reads(node))):
            places.setdefault(name, len(places))
    return places.__getitem__


def _weights(graph: GraphProto, names: Collection[str], loaded: Loaded) -> list[TensorProto]:
    return [loaded(tensor) for tensor in graph.initializer if tensor.name in names]


def _known_operands(table: LayerTable, names: Collection[str]) -> Mapping[str, TensorProto]:
    """Shape operands whose contents the table has, as initializers."""
    found: dict[str, TensorProto] = {}
    for layer in table:
        for tensor in layer.inputs:
            shape = tensor.shape
            if tensor.name in names and tensor.value is not None and shape is not None:
                sizes = () if not shape else (len(tensor.value),)
                kind = TensorProto.INT32 if tensor.dtype == "int32" else TensorProto.INT64
                if len(sizes) == len(shape):
                    held = helper.make_tensor(tensor.name, kind, sizes, tensor.value)
                    found[tensor.name] = held
    return found
