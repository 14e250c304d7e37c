"""GroupQueryAttention over a cache that grows, as a MultiHeadAttention over repeated heads.

The frontend's own translation is for one item and for caches that are buffers, in which the new
tokens are put; a cache as long as what is in it has no room for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.elements.arrays import dtype_of
from onnxprof.records.layer import Tensor

_MICROSOFT = "com.microsoft"
#: Attributes that have no counterpart: their values other than these are left to the frontend.
_PLAIN: Mapping[str, Any] = {
    "softcap": 0.0,
    "smooth_softmax": 0,
    "qk_output": 0,
    "sliding_window_cache": 0,
    "k_quant_type": b"NONE",
    "v_quant_type": b"NONE",
}
_LAST_OPERAND = 11


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of one attention, all of them known."""

    heads: int
    shared: int
    width: int
    tokens: int
    past: int
    dtype: str

    @property
    def keys(self) -> int:
        """Tokens of the past and new ones."""
        return self.past + self.tokens


def grouped(
    node: Any, tensors: Mapping[str, Tensor], masks: dict[tuple[Any, ...], str]
) -> list[Any] | None:
    """The nodes in place of one; None where it is left to the frontend.

    `masks` holds the names of masks that nodes before made, for others of the same sizes.
    """
    given = {attribute.name: _value(attribute) for attribute in node.attribute}
    sizes = _sizes(node, given, tensors)
    plain = all(given.get(name, usual) in (usual, b"") for name, usual in _PLAIN.items())
    if sizes is None or not plain or any(node.input[_LAST_OPERAND:]) or len(node.output) > 3:
        return None
    return _Expansion(node, given, sizes, masks).nodes()


def _value(attribute: Any) -> Any:
    from onnx import helper

    return helper.get_attribute_value(attribute)


def _sizes(node: Any, given: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Sizes | None:
    """The sizes; None where one is unknown, or the cache is a buffer with room for more."""
    heads, shared = given.get("num_heads", 0), given.get("kv_num_heads", 0)
    query = _shape(tensors, node.input[0])
    if query is None or len(query) != 3 or not shared or heads % shared:
        return None
    parts = heads if node.input[1] else heads + 2 * shared
    past = _shape(tensors, node.input[3]) if node.input[3] else (0, 0, 0, 0)
    kept = _shape(tensors, node.output[1]) if len(node.output) > 1 else None
    if past is None or len(past) != 4 or query[2] % parts:
        return None
    if kept is not None and past[2] and kept[2] == past[2]:
        return None
    dtype = tensors[node.input[0]].dtype
    return Sizes(heads, shared, query[2] // parts, query[1], past[2], dtype)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    held = tensors.get(name)
    if held is None or held.shape is None:
        return None
    sizes = tuple(size for size in held.shape if isinstance(size, int))
    return sizes if len(sizes) == len(held.shape) else None


@dataclass(slots=True)
class _Expansion:
    """The nodes of one attention, each with an output named after the attention's."""

    node: Any
    given: Mapping[str, Any]
    sizes: Sizes
    masks: dict[tuple[Any, ...], str]
    made: list[Any] = field(default_factory=list)

    def nodes(self) -> list[Any]:
        query, key, value = self._parts()
        if self.given.get("do_rotary", 0):
            places = self._places()
            query = self._turned(query, places, self.sizes.heads)
            key = self._turned(key, places, self.sizes.shared)
        keys = self._repeated(self._cached(key, 3, 1))
        values = self._repeated(self._cached(value, 4, 2))
        scale = self.given.get("scale", 0.0)
        self._add(
            "MultiHeadAttention",
            [query, keys, values, "", "", self._bias()],
            self.node.output[0],
            domain=_MICROSOFT,
            num_heads=self.sizes.heads,
            **({"scale": scale} if scale else {}),
        )
        return self.made

    def _add(
        self, op_type: str, inputs: Sequence[str], output: str = "", domain: str = "", **more: Any
    ) -> str:
        from onnx import helper

        name = f"{self.node.output[0]}~{len(self.made)}"
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        made = helper.make_node(op_type, inputs, [output or name], name, domain=domain, **more)
        self.made.append(made)
        return output or name

    def _constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        return self._add("Constant", [], value=numpy_helper.from_array(value))

    def _ints(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _operand(self, position: int) -> str:
        inputs = self.node.input
        return str(inputs[position]) if position < len(inputs) else ""

    def _parts(self) -> tuple[str, str, str]:
        """Queries, keys and values [batch, tokens, heads · head]."""
        if self._operand(1):
            return self._operand(0), self._operand(1), self._operand(2)
        width, sizes = self.sizes.width, self.sizes
        ends = np.cumsum([0, *(n * width for n in (sizes.heads, sizes.shared, sizes.shared))])
        cuts = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        query, key, value = (self._sliced(self._operand(0), *cut) for cut in cuts)
        return query, key, value

    def _sliced(self, name: str, start: int, end: int) -> str:
        bounds = [self._ints(start), self._ints(end), self._ints(2)]
        return self._add("Slice", [name, *bounds])

    def _places(self) -> str:
        """Positions [batch, tokens]: given, or those up to an item's last token."""
        if self._operand(9):
            return self._operand(9)
        last = self._add("Cast", [self._operand(5)], to=7)
        column = self._add("Reshape", [last, self._ints(-1, 1)])
        steps = self._constant(np.arange(1 - self.sizes.tokens, 1, dtype=np.int64))
        return self._add("Add", [column, steps])

    def _turned(self, name: str, places: str, heads: int) -> str:
        """Queries or keys turned, with their heads apart: the frontend asks for that."""
        apart = self._apart(name, heads)
        return self._joined(
            self._add(
                "RotaryEmbedding",
                [apart, places, self._operand(7), self._operand(8)],
                domain=_MICROSOFT,
                interleaved=self.given.get("rotary_interleaved", 0),
            ),
            heads,
        )

    def _apart(self, name: str, heads: int) -> str:
        """[batch, heads, tokens, head]."""
        shape = self._ints(0, 0, heads, self.sizes.width)
        return self._add("Transpose", [self._add("Reshape", [name, shape])], perm=[0, 2, 1, 3])

    def _joined(self, name: str, heads: int) -> str:
        """[batch, tokens, heads · head]."""
        turned = self._add("Transpose", [name], perm=[0, 2, 1, 3])
        return self._add("Reshape", [turned, self._ints(0, 0, heads * self.sizes.width)])

    def _cached(self, name: str, past: int, output: int) -> str:
        """Keys or values behind those of the past, which is the cache that the node yields."""
        kept = self.node.output[output] if output < len(self.node.output) else ""
        fresh = self._apart(name, self.sizes.shared)
        if self._operand(past):
            return self._add("Concat", [self._operand(past), fresh], kept, axis=2)
        return self._add("Identity", [fresh], kept) if kept else fresh

    def _repeated(self, name: str) -> str:
        """Keys or values once for each query head that shares them."""
        sizes = self.sizes
        times = sizes.heads // sizes.shared
        if times == 1:
            return name
        wide = self._add("Reshape", [name, self._ints(0, sizes.shared, 1, sizes.keys, sizes.width)])
        tiled = self._add("Tile", [wide, self._ints(1, 1, times, 1, 1)])
        return self._add("Reshape", [tiled, self._ints(0, sizes.heads, sizes.keys, sizes.width)])

    def _bias(self) -> str:
        """What is added to the scores: the given bias, and -inf for keys that are not seen."""
        seen = _seen(self.sizes, self.given)
        extra = self._operand(10)
        if seen.all():
            return extra
        key = (self.sizes, self.given.get("local_window_size", -1))
        if key not in self.masks:
            hidden = np.where(seen, 0, -np.inf).astype(dtype_of(self.sizes.dtype))[None, None]
            self.masks[key] = self._constant(hidden)
        mask = self.masks[key]
        return self._add("Add", [extra, mask]) if extra else mask


def _seen(sizes: Sizes, given: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which key each query sees [queries, keys], the last query as the last key."""
    ends = np.arange(sizes.past, sizes.keys)[:, None]
    places = np.arange(sizes.keys)[None]
    window = given.get("local_window_size", -1)
    seen: NDArray[np.bool_] = places <= (ends if given.get("causal", 1) else sizes.keys)
    return seen & (places > ends - window) if window >= 0 else seen
