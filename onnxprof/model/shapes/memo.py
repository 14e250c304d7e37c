"""A memo of inferred facts, shared by nodes with equal operators, attributes and operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TypeProto

from onnxprof.model.graph.outline import Form
from onnxprof.model.shapes.rules.scope import Facts, tensor_type

#: A node's form, and the facts about its operands.
Key = tuple[Form | Facts | None, ...]
#: Facts about a node's outputs by position; None where nothing is known.
Outputs = tuple[Facts | None, ...]


class Memo:
    """Facts about outputs by form and operands; equal facts are one object."""

    def __init__(self) -> None:
        self._held: dict[Key, Outputs] = {}
        self._numbers: dict[object, int] = {}
        self._seen: dict[int, tuple[object, int]] = {}
        """(object, number of its content) by id; kept so that the id is not reused."""
        self._facts: dict[tuple[int, int], Facts] = {}
        self._stored: dict[tuple[int, tuple[int, ...]], TypeProto] = {}

    def get(self, key: Key) -> Outputs | None:
        """Memoised facts about the outputs; None where there are none."""
        return self._held.get(key)

    def keep(self, key: Key, outputs: Outputs) -> None:
        """Store facts about the outputs under a key."""
        self._held[key] = outputs

    def facts(self, held: TypeProto, value: NDArray[Any] | None = None) -> Facts:
        """The facts of this type and these contents."""
        numbers = self._number(held), self._number(value)
        known = self._facts.get(numbers)
        if known is None:
            known = self._facts[numbers] = Facts(held, value)
        return known

    def stored(self, data_type: int, dims: Sequence[int]) -> TypeProto:
        """The type of a tensor that the model stores."""
        key = data_type, tuple(dims)
        held = self._stored.get(key)
        if held is None:
            held = self._stored[key] = tensor_type(*key)
        return held

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
