"""The topologies that the onnx package carries as test data (`light_*.onnx`), made usable.

Those files have a fixed batch of 1, weights that ConstantOfShape nodes produce, and tensors
called r0, r1, …. Here the batch becomes a symbol, the weights initializers without data, and
every tensor and its node are called after the weights they belong to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from onnxprof.errors import ModelError

#: The batch axis of inputs and outputs.
BATCH = "batch"


def load(stem: str) -> ModelProto:
    """Topology `light_STEM.onnx` with a free batch and initializers without data.

    Raises ModelError where the installed onnx package does not carry the file.
    """
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    path = folder / f"light_{stem}.onnx"
    if not path.is_file():
        raise ModelError(
            "the installed onnx package lacks this test model",
            where=path.name,
            remedy="Install an onnx that carries it, such as 1.23",
        )
    model = onnx.load(path)
    model.ir_version = 8  # since 4, initializers need not be inputs
    _lift_weights(model.graph)
    _drop_unused(model.graph)
    _rename(model.graph)
    _free_batch(model.graph)
    return model


def _lift_weights(graph: GraphProto) -> None:
    """Turn ConstantOfShape nodes, and trained vectors left over, into weights without data."""
    given = {t.name: t for t in graph.initializer}
    weights = [
        _weight(node.output[0], [int(d) for d in numpy_helper.to_array(given[node.input[0]])])
        for node in graph.node
        if node.op_type == "ConstantOfShape"
    ]
    for tensor in graph.initializer:
        is_float = tensor.data_type == TensorProto.FLOAT
        weights.append(_weight(tensor.name, list(tensor.dims)) if is_float else tensor)
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    for node in nodes:
        if node.op_type == "Dropout":
            del node.output[1:]  # the mask, which nothing reads
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)


def _weight(name: str, dims: list[int]) -> TensorProto:
    return TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT)


def _drop_unused(graph: GraphProto) -> None:
    """Keep the initializers that nodes read, in order of first use, and the true inputs."""
    given = {t.name: t for t in graph.initializer}
    used = list(dict.fromkeys(name for node in graph.node for name in node.input))
    inputs = [value for value in graph.input if value.name in used and value.name not in given]
    del graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.initializer.extend(given[name] for name in used if name in given)
    graph.input.extend(inputs)


def _rename(graph: GraphProto) -> None:
    """Call nodes and tensors after weights, and a node like its first output."""
    names = _Names(graph)
    for node in graph.node:
        names.take(node)
    for node in graph.node:
        node.input[:] = [names.tensors[name] for name in node.input]
        node.output[:] = [names.tensors[name] for name in node.output]
        node.name = node.output[0]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.tensors[value.name]


class _Names:
    """New names for tensors, given out in node order."""

    def __init__(self, graph: GraphProto) -> None:
        fixed = [v.name for v in (*graph.input, *graph.output, *graph.initializer)]
        self._weights = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
        self.tensors = {name: name.removeprefix("gpu_0/") for name in fixed}
        self._stems = {v.name: self.tensors[v.name].removesuffix("_0") for v in graph.input}
        self._taken = set(self.tensors.values())

    def take(self, node: NodeProto) -> None:
        """Name a node's output and its shape operand."""
        output = node.output[0]
        self._stems[output], name = self._proposal(node)
        if output not in self.tensors:
            self.tensors[output] = self._unique(name)
        if node.op_type == "Reshape":
            self.tensors[node.input[1]] = self._unique(f"{self.tensors[output]}_shape")

    def _proposal(self, node: NodeProto) -> tuple[str, str]:
        """Stem that successors inherit, and name."""
        weight = next((name for name in node.input if name in self._weights), None)
        if weight is not None:
            full = self.tensors[weight].removesuffix("_0")
            stem = re.sub(r"_(w|b|s|scale)$", "", full)
            is_view = node.op_type in ("Unsqueeze", "Reshape")
            return stem, f"{full}/{node.op_type.lower()}" if is_view else stem
        stem = self._joint([self._stems[name] for name in node.input if name in self._stems])
        return stem, f"{stem}/{node.op_type.lower()}"

    def _joint(self, stems: list[str]) -> str:
        """The block that all inputs lie in; else the first input's stem, or a Concat's newest."""
        return (
            posixpath.commonpath(stems) or stems[-1 if len(stems) == 2 and "/" in stems[-1] else 0]
        )

    def _unique(self, name: str) -> str:
        candidates = (name, *(f"{name}_{i}" for i in range(2, len(self._taken) + 3)))
        free = next(candidate for candidate in candidates if candidate not in self._taken)
        self._taken.add(free)
        return free


def _free_batch(graph: GraphProto) -> None:
    """Make axis 0 of inputs and outputs a symbol, and let Reshape operands copy it."""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    operands = set(_reshape_operands(graph))
    for tensor in graph.initializer:
        if tensor.name in operands:
            target = numpy_helper.to_array(tensor).copy()
            if target[0] == 1:
                # 0 copies the input's axis: shape inference keeps the symbol; -1 would lose it.
                target[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(target, tensor.name))


def _reshape_operands(graph: GraphProto) -> Iterator[str]:
    return (node.input[1] for node in graph.node if node.op_type == "Reshape")
