"""A memo of inferred types, shared by nodes with equal operators, attributes and operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TypeProto

from onnxprof.model.shapes.rules.call import Types
from onnxprof.model.shapes.rules.scope import Scope

Key = tuple[Any, ...]
Values = tuple[NDArray[Any] | None, ...]
#: Attributes of more bytes are tensors, which few nodes share.
_MOST_BYTES = 4096


class Memo:
    """Types and small contents of outputs, by operator, attributes and operands' types."""

    def __init__(self) -> None:
        self._held: dict[Key, tuple[Types, Values]] = {}
        self._numbers: dict[object, int] = {}
        self._seen: dict[int, tuple[object, int]] = {}
        """(object, number of its content) by id; kept so that the id is not reused."""
        self._shared: dict[int, TypeProto] = {}

    def key(self, node: NodeProto, scope: Scope) -> Key | None:
        """A key of all that determines the outputs; None for a node with large attributes."""
        attributes: tuple[bytes, ...] = ()
        if node.attribute:
            if sum(a.ByteSize() for a in node.attribute) > _MOST_BYTES:
                return None
            attributes = tuple(a.SerializeToString(deterministic=True) for a in node.attribute)
        names = tuple(node.input)
        operands = tuple(self._operand(name, scope) if name else None for name in names)
        same = _places(names) if len(names) > 1 else ()
        return node.op_type, node.domain, attributes, operands, same, tuple(map(bool, node.output))

    def get(self, key: Key) -> tuple[Types, Values] | None:
        """Memoised types and contents of the outputs by position; None where there are none."""
        return self._held.get(key)

    def keep(self, key: Key, types: Types, values: Values) -> Types:
        """Store types and contents under a key; returns the types, equal ones as one object."""
        shared = [None if held is None else self._one(held) for held in types]
        self._held[key] = shared, values
        return shared

    def _one(self, held: TypeProto) -> TypeProto:
        return self._shared.setdefault(self._number(held), held)

    def _operand(self, name: str, scope: Scope) -> tuple[int, int]:
        return self._number(scope.type_of(name)), self._number(scope.value_of(name))

    def _number(self, held: TypeProto | NDArray[Any] | None) -> int:
        """A number that is the same for equal types or arrays; 0 for None."""
        if held is None:
            return 0
        known = self._seen.get(id(held))
        if known is None:
            number = self._numbers.setdefault(_content(held), len(self._numbers) + 1)
            known = self._seen[id(held)] = (held, number)
        return known[1]


def _content(held: TypeProto | NDArray[Any]) -> object:
    if isinstance(held, TypeProto):
        return held.SerializeToString(deterministic=True)
    data = repr(held.tolist()) if held.dtype == np.object_ else held.tobytes()
    return held.dtype.str, held.shape, data


def _places(names: Sequence[str]) -> tuple[int, ...]:
    """For each operand the position of the first operand of the same name."""
    first: dict[str, int] = {}
    return tuple(first.setdefault(name, place) for place, name in enumerate(names))
