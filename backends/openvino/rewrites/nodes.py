"""Nodes that stand for one node of a file, with names after its first output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.layer import Tensor

MICROSOFT = "com.microsoft"


@dataclass(slots=True)
class Nodes:
    """The nodes made so far in place of one."""

    node: Any
    made: list[Any] = field(default_factory=list)

    def add(
        self, op_type: str, inputs: Sequence[str], output: str = "", domain: str = "", **more: Any
    ) -> str:
        """Append a node; returns the name of its output."""
        from onnx import helper

        name = f"{self.node.output[0]}~{len(self.made)}"
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        made = helper.make_node(op_type, inputs, [output or name], name, domain=domain, **more)
        self.made.append(made)
        return output or name

    def several(self, op_type: str, inputs: Sequence[str], count: int, **more: Any) -> list[str]:
        """Append a node of several outputs; returns their names."""
        from onnx import helper

        name = f"{self.node.output[0]}~{len(self.made)}"
        names = [f"{name}.{number}" for number in range(count)]
        self.made.append(helper.make_node(op_type, inputs, names, name, **more))
        return names

    def constant(self, value: NDArray[Any]) -> str:
        """A Constant."""
        from onnx import numpy_helper

        return self.add("Constant", [], value=numpy_helper.from_array(value))

    def ints(self, *values: int) -> str:
        """A Constant of whole numbers."""
        return self.constant(np.array(values, np.int64))

    def slice(self, name: str, start: int, end: int, axis: int) -> str:
        """A part of an axis."""
        return self.add("Slice", [name, self.ints(start), self.ints(end), self.ints(axis)])

    def operand(self, position: int) -> str:
        """The name of the node's own operand; empty where it is left out."""
        inputs = self.node.input
        return str(inputs[position]) if position < len(inputs) else ""


def attributes_of(node: Any) -> dict[str, Any]:
    """A node's attributes by name."""
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def known_shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    """A tensor's shape; None where a size is not known."""
    held = tensors.get(name)
    if held is None or held.shape is None:
        return None
    sizes = tuple(size for size in held.shape if isinstance(size, int))
    return sizes if len(sizes) == len(held.shape) else None
