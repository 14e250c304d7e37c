"""A graph in pieces that are looked up by name and put together anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxprof.zoo.making.recipe import Recipe
from onnxprof.zoo.making.skeleton import RECIPE_KEY

Vector = NDArray[np.float32]


class Parts:
    """Nodes in order, and what is stored, of a graph that is being changed."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.given = [value.name for value in model.graph.input]
        self.outputs = frozenset(value.name for value in model.graph.output)

    def readers(self) -> Counter[str]:
        """How many nodes read each tensor, the graph's own outputs among them."""
        return Counter([*(name for node in self.nodes for name in node.input), *self.outputs])

    def recipe(self, name: str) -> Recipe | None:
        """The recipe of a stored tensor; None where it is no weight."""
        entries = self.stored[name].metadata_props if name in self.stored else ()
        return next((Recipe.from_json(e.value) for e in entries if e.key == RECIPE_KEY), None)

    def values(self, name: str) -> Vector:
        """The values of a stored tensor in float32; meant for small ones."""
        recipe, tensor = self.recipe(name), self.stored[name]
        if recipe is None:
            return np.asarray(numpy_helper.to_array(tensor), np.float32)
        shape = tuple(tensor.dims)
        made: Vector = recipe.values("<f4", 0, int(np.prod(shape))).reshape(shape)
        return made

    def store(self, name: str, values: NDArray[Any]) -> str:
        """Keep a tensor with its data."""
        self.stored[name] = numpy_helper.from_array(values, name)
        return name

    def store_made(self, name: str, data_type: int, like: str, recipe: Recipe) -> str:
        """Keep a weight of another one's shape that a recipe makes."""
        made = TensorProto(name=name, data_type=data_type, dims=self.stored[like].dims)
        made.metadata_props.add(key=RECIPE_KEY, value=recipe.to_json())
        self.stored[name] = made
        return name

    def finish(self, nodes: Sequence[NodeProto]) -> ModelProto:
        """The model with these nodes, and of what is stored the tensors that they read."""
        used = dict.fromkeys(name for node in nodes for name in node.input)
        graph = self.model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self.stored[name] for name in used if name in self.stored)
        return self.model


def node(operator: str, name: str, inputs: Sequence[str], output: str, **facts: Any) -> NodeProto:
    """A node of one output."""
    return helper.make_node(operator, inputs, [output], name=name, **facts)


def attribute(of: NodeProto, name: str, default: int) -> int:
    """A whole number that a node has as an attribute."""
    return next((each.i for each in of.attribute if each.name == name), default)
