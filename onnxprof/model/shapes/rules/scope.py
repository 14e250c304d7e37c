"""Known types, shapes and small contents of a graph's tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import TypeProto

from onnxprof.model.graph import weights
from onnxprof.model.shapes.rules.sizes import MAX_TEXT, canonical
from onnxprof.records.layer import Dim, Shape, Tensor

#: No runtime here takes more axes; a file may not make each tensor's type grow.
MAX_RANK = 64
MAX_SIZE = (1 << 63) - 1


class Facts:
    """What is known about a tensor: its type, and its contents where they are small."""

    __slots__ = ("shape", "type", "value", "words")

    def __init__(self, held: TypeProto, value: NDArray[Any] | None = None) -> None:
        self.type, self.value = held, value
        self.shape: Shape = shape_of(held)
        self.words = type_name(held)

    @property
    def is_whole(self) -> bool:
        """Whether the shape is known, every size with a number or a name."""
        return self.shape is not None and None not in self.shape


@dataclass(slots=True)
class Scope:
    """Facts about one graph's tensors by name; other names are looked up in `outer`."""

    outer: Scope | None = None
    known: dict[str, Facts] = field(default_factory=dict)
    inner: dict[tuple[int, int], Scope] = field(default_factory=dict)
    """Scopes of subgraphs, by node index and position among the node's subgraphs."""
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """(node name, reason) of each node that does not accept its operands."""
    doubts: list[tuple[str, str]] = field(default_factory=list)
    """The same for nodes in one branch of an If whose other branch accepts its operands."""
    disbelieved: tuple[str, ...] = ()
    """Declared shapes that contradict the inferred ones, in words."""

    def facts(self, name: str) -> Facts | None:
        """What is known about a tensor; None where nothing is."""
        scope: Scope | None = self
        while scope is not None:
            held = scope.known.get(name)
            if held is not None:
                return held
            scope = scope.outer
        return None

    def finder(self) -> Callable[[str], Facts | None]:
        """`facts`, as the quickest function that does the same."""
        return self.known.get if self.outer is None else self.facts

    def type_of(self, name: str) -> TypeProto | None:
        """The tensor's type, or None if nothing is known."""
        held = self.facts(name)
        return None if held is None else held.type

    def value_of(self, name: str) -> NDArray[Any] | None:
        """The tensor's contents where known; symbolic sizes stand in it as strings."""
        held = self.facts(name)
        return None if held is None else held.value

    def shape(self, name: str) -> Shape:
        """The tensor's shape; None where not even the rank is known."""
        held = self.facts(name)
        return None if held is None else held.shape

    def declare(self, name: str, held: TypeProto) -> None:
        """Replace what is known about a tensor: its type, and no contents."""
        self.known[name] = Facts(held)

    def tensor(self, name: str) -> Tensor:
        """The tensor as a record, without value."""
        held = self.facts(name)
        return Tensor(name) if held is None else Tensor(name, held.words, held.shape)


def type_name(held: TypeProto) -> str:
    """`float32`, `sequence(int64)`, `optional(float32)`, `map(int64,float32)`; empty if unknown."""
    kind = held.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        return weights.dtype_name(getattr(held, kind).elem_type)
    if kind in ("sequence_type", "optional_type"):
        return f"{kind[:-5]}({type_name(getattr(held, kind).elem_type)})"
    if kind == "map_type":
        key = weights.dtype_name(held.map_type.key_type)
        return f"map({key},{type_name(held.map_type.value_type)})"
    return ""


def shape_of(held: TypeProto) -> Shape:
    """The shape of a tensor type (or of an optional tensor); None where the rank is unknown."""
    kind = held.WhichOneof("value")
    if kind == "optional_type":
        return shape_of(held.optional_type.elem_type)
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return None
    tensor = getattr(held, kind)
    if not tensor.HasField("shape"):
        return None
    return tuple(_dim(d) for d in tensor.shape.dim)


def item_shape(held: TypeProto) -> Shape:
    """The shape that a sequence declares for each item; None where it declares none."""
    kind = held.WhichOneof("value")
    return shape_of(held.sequence_type.elem_type) if kind == "sequence_type" else None


def _dim(dim: Any) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    text = dim.dim_param
    return canonical(text) if isinstance(text, str) and 0 < len(text) <= MAX_TEXT else None


def element_type(held: TypeProto | None) -> int:
    """The element type of a tensor (or of an optional tensor); 0 where there is none."""
    if held is None:
        return 0
    kind = held.WhichOneof("value")
    if kind == "optional_type":
        return element_type(held.optional_type.elem_type)
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return 0
    return int(getattr(held, kind).elem_type)


def tensor_type(data_type: int, shape: Shape) -> TypeProto:
    """The type of a tensor; a rank or a size that is None, negative or absurd is left open."""
    if shape is None or len(shape) > MAX_RANK:
        return onnx.helper.make_tensor_type_proto(data_type, None)
    fit = [None if isinstance(d, int) and not 0 <= d <= MAX_SIZE else d for d in shape]
    return onnx.helper.make_tensor_type_proto(data_type, fit)
