"""What was worked out for one node, for others that do the same on operands of the same types."""

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
    """Types and small contents of outputs, by operator, attributes, and what the operands are."""

    def __init__(self) -> None:
        self._held: dict[Key, tuple[Types, Values]] = {}
        self._numbers: dict[object, int] = {}
        self._seen: dict[int, tuple[object, int]] = {}
        """Objects by id, kept so that no other takes the id, with the number of what they hold."""
        self._shared: dict[int, TypeProto] = {}

    def key(self, node: NodeProto, scope: Scope) -> Key | None:
        """What the node's outputs follow from; None for a node with large attributes."""
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
        """Types and contents by position, as they were kept."""
        return self._held.get(key)

    def keep(self, key: Key, types: Types, values: Values) -> Types:
        """Keep what was worked out; the same types, equal ones as one object."""
        shared = [None if held is None else self._one(held) for held in types]
        self._held[key] = shared, values
        return shared

    def _one(self, held: TypeProto) -> TypeProto:
        return self._shared.setdefault(self._number(held), held)

    def _operand(self, name: str, scope: Scope) -> tuple[int, int]:
        return self._number(scope.type_of(name)), self._number(scope.value_of(name))

    def _number(self, held: TypeProto | NDArray[Any] | None) -> int:
        """The same for what is equal."""
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
    """Which operands are the same tensor."""
    first: dict[str, int] = {}
    return tuple(first.setdefault(name, place) for place, name in enumerate(names))
