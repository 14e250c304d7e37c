"""A node with the known types, shapes and values of its operands, for the operators' rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TypeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.shapes.rules import sizes
from onnxprof.model.shapes.rules.scope import Scope, element_type, shape_of, tensor_type
from onnxprof.records.layer import Dim, Shape

#: The types of a node's outputs by position; None where a rule knows nothing.
Types = list[TypeProto | None]
Rule = Callable[["Call"], Types]


@dataclass(slots=True)
class Call:
    """A node in its scope. Positions that are missing or empty have no type, shape or value."""

    node: NodeProto
    scope: Scope
    opsets: Mapping[str, int]
    _given: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._given = {a.name: a for a in self.node.attribute}

    def name(self, position: int) -> str:
        """The name of an operand; empty where it is left out."""
        return self.node.input[position] if position < len(self.node.input) else ""

    def type(self, position: int) -> TypeProto | None:
        """An operand's type."""
        name = self.name(position)
        return self.scope.type_of(name) if name else None

    def shape(self, position: int) -> Shape:
        """An operand's shape."""
        name = self.name(position)
        return self.scope.shape(name) if name else None

    def elements(self, position: int) -> int:
        """An operand's element type; 0 if unknown."""
        return element_type(self.type(position))

    def value(self, position: int) -> NDArray[Any] | None:
        """An operand's contents where they are small and known."""
        name = self.name(position)
        return self.scope.value_of(name) if name else None

    def vector(self, position: int) -> list[Dim] | None:
        """The contents of a one-dimensional operand as sizes."""
        value = self.value(position)
        return None if value is None or value.ndim != 1 else [as_size(v) for v in value]

    def scalar(self, position: int) -> Dim:
        """The contents of an operand of one element as a size."""
        value = self.value(position)
        return None if value is None or value.size != 1 else as_size(value.flat[0])

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        held = self._given.get(name)
        return default if held is None else onnx.helper.get_attribute_value(held)

    def integer(self, name: str, default: int = 0) -> int:
        """An attribute that is a whole number."""
        held = self.attribute(name, default)
        return held if isinstance(held, int) else default

    def opset(self) -> int:
        """The version of the node's domain that the model imports."""
        return version(self.node.domain, self.opsets)

    def types(self, *shapes: Shape, elements: int | None = None) -> Types:
        """Tensor types of these shapes, of the first operand's element type if none is given."""
        kind = self.elements(0) if elements is None else elements
        return [tensor_type(kind, shape) for shape in shapes]


def version(domain: str, opsets: Mapping[str, int]) -> int:
    """The imported version of a domain; 1 where none is imported."""
    if domain in DEFAULT_DOMAINS:
        versions = [opsets[name] for name in DEFAULT_DOMAINS if name in opsets]
        return max(versions, default=1)
    return opsets.get(domain, 1)


def as_size(value: Any) -> Dim:
    """A value of a shape computation as a size: a number, an expression, or None."""
    if isinstance(value, str):
        return None if value == "?" else value
    whole = int(value)
    return whole if whole == value else None


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an elementwise operation (numpy's rule); unknown sizes stay unknown."""
    if not shapes or any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    rank = max(len(shape) for shape in known)
    padded = [(1,) * (rank - len(shape)) + shape for shape in known]
    return tuple(_common(column) for column in zip(*padded, strict=True))


def _common(column: Iterable[Dim]) -> Dim:
    wide = {size for size in column if size != 1}
    numbers = [size for size in wide if isinstance(size, int)]
    if len(numbers) == 1:  # a size of which nothing is known is this or 1
        return numbers[0]
    return next(iter(wide), 1) if len(wide) <= 1 else None


def matmul(a: Shape, b: Shape) -> Shape:
    """numpy.matmul's shape."""
    if not a or not b:
        return None
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    front = broadcast(left[:-2], right[:-2])
    if front is None:
        return None
    rows = (left[-2],) if len(a) > 1 else ()
    columns = (right[-1],) if len(b) > 1 else ()
    return (*front, *rows, *columns)


def join(a: Shape, b: Shape) -> Shape:
    """The shape that covers both: sizes that differ are None, as is the result if ranks differ."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def refine(known: TypeProto | None, other: TypeProto | None) -> TypeProto | None:
    """The first type, completed by sizes and an element type that only the second has."""
    if known is None or not known.WhichOneof("value"):
        return other
    if other is None or known.WhichOneof("value") != "tensor_type":
        return known
    mine, theirs = shape_of(known), shape_of(other)
    kind = element_type(known) or element_type(other)
    if mine is None or theirs is None:
        return tensor_type(kind, theirs if mine is None else mine)
    if len(mine) != len(theirs):
        return known
    return tensor_type(kind, tuple(map(_better, mine, theirs)))


def _better(mine: Dim, theirs: Dim) -> Dim:
    if isinstance(mine, int) or theirs is None:
        return mine
    return theirs if mine is None or isinstance(theirs, int) else mine


def product(shape: Iterable[Dim]) -> Dim:
    """The number of elements."""
    return sizes.multiply(*shape)
