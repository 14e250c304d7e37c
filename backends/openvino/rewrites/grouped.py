"""GroupQueryAttention over a cache that grows, as a MultiHeadAttention over repeated heads.

The frontend's own translation is for one item and for caches that are buffers, in which the new
tokens are put; a cache as long as what is in it has no room for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.openvino.rewrites.nodes import (
    MICROSOFT,
    Nodes,
    attributes_of,
    known_shape,
)
from onnxprof.records.elements.arrays import dtype_of
from onnxprof.records.layer import Tensor

#: Attributes that have no counterpart: their values other than these are left to the frontend.
_PLAIN: Mapping[str, Any] = {
    "qk_output": 0,
    "sliding_window_cache": 0,
    "k_quant_type": b"NONE",
    "v_quant_type": b"NONE",
}
#: Operands behind this one (scales of a cache, norms) are left to the frontend.
_LAST_OPERAND = 12


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of one attention, all of them known."""

    batch: int
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
    given = attributes_of(node)
    sizes = _sizes(node, given, tensors)
    plain = all(given.get(name, usual) in (usual, b"") for name, usual in _PLAIN.items())
    if sizes is None or not plain or any(node.input[_LAST_OPERAND:]) or len(node.output) > 3:
        return None
    return _Expansion(Nodes(node), given, sizes, masks).nodes()


def _sizes(node: Any, given: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Sizes | None:
    """The sizes; None where one is unknown, or the cache is a buffer with room for more."""
    heads, shared = given.get("num_heads", 0), given.get("kv_num_heads", 0)
    query = known_shape(tensors, node.input[0])
    if query is None or len(query) != 3 or not shared or heads % shared:
        return None
    parts = heads if node.input[1] else heads + 2 * shared
    past = known_shape(tensors, node.input[3]) if node.input[3] else (0, 0, 0, 0)
    kept = known_shape(tensors, node.output[1]) if len(node.output) > 1 else None
    if past is None or len(past) != 4 or query[2] % parts:
        return None
    if kept is not None and past[2] and kept[2] == past[2]:
        return None
    dtype = tensors[node.input[0]].dtype
    return Sizes(query[0], heads, shared, query[2] // parts, query[1], past[2], dtype)


@dataclass(slots=True)
class _Expansion:
    """The nodes of one attention."""

    all: Nodes
    given: Mapping[str, Any]
    sizes: Sizes
    masks: dict[tuple[Any, ...], str]

    def nodes(self) -> list[Any]:
        query, key, value = self._parts()
        if self.given.get("do_rotary", 0):
            places = self._places()
            query = self._turned(query, places, self.sizes.heads)
            key = self._turned(key, places, self.sizes.shared)
        keys = self._repeated(self._cached(key, 3, 1))
        values = self._repeated(self._cached(value, 4, 2))
        if self.given.get("softcap") or self.given.get("smooth_softmax") or self.all.operand(11):
            self._attention(query, keys, values)
            return self.all.made
        scale = self.given.get("scale", 0.0)
        self.all.add(
            "MultiHeadAttention",
            [query, keys, values, "", "", self._bias()],
            self.all.node.output[0],
            domain=MICROSOFT,
            num_heads=self.sizes.heads,
            **({"scale": scale} if scale else {}),
        )
        return self.all.made

    def _attention(self, query: str, keys: str, values: str) -> None:
        """In plain operators: scores may be capped, and the softmax may have a sink."""
        sizes = self.sizes
        swapped = self.all.add("Transpose", [keys], perm=[0, 1, 3, 2])
        scores = self.all.add("MatMul", [self._apart(query, sizes.heads), swapped])
        scores = self._times(scores, self.given.get("scale") or sizes.width**-0.5)
        if cap := self.given.get("softcap"):
            scores = self._times(self.all.add("Tanh", [self._times(scores, 1 / cap)]), cap)
        if bias := self._bias():
            scores = self.all.add("Add", [scores, bias])
        shares = self.all.add("Softmax", [self._with_sinks(scores)], axis=-1)
        if self._sinks():
            shares = self.all.slice(shares, 0, sizes.keys, 3)
        done = self.all.add("MatMul", [shares, values])
        turned = self.all.add("Transpose", [done], perm=[0, 2, 1, 3])
        shape = self.all.ints(0, 0, sizes.heads * sizes.width)
        self.all.add("Reshape", [turned, shape], self.all.node.output[0])

    def _times(self, name: str, factor: float) -> str:
        held = np.array(factor, dtype_of(self.sizes.dtype))
        return self.all.add("Mul", [name, self.all.constant(held)])

    def _sinks(self) -> bool:
        return bool(self.given.get("smooth_softmax") or self.all.operand(11))

    def _with_sinks(self, scores: str) -> str:
        """The scores with one more column: a head's sink, or 0 for the smooth softmax."""
        if not self._sinks():
            return scores
        sizes = self.sizes
        shape = (sizes.batch, sizes.heads, sizes.tokens, 1)
        column = self.all.constant(np.zeros(shape, dtype_of(sizes.dtype)))
        if self.all.operand(11):
            heads = self.all.add("Reshape", [self.all.operand(11), self.all.ints(1, -1, 1, 1)])
            column = self.all.add("Add", [heads, column])
        return self.all.add("Concat", [scores, column], axis=3)

    def _parts(self) -> tuple[str, str, str]:
        """Queries, keys and values [batch, tokens, heads · head]."""
        if self.all.operand(1):
            return self.all.operand(0), self.all.operand(1), self.all.operand(2)
        width, sizes = self.sizes.width, self.sizes
        ends = np.cumsum([0, *(n * width for n in (sizes.heads, sizes.shared, sizes.shared))])
        cuts = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        query, key, value = (self.all.slice(self.all.operand(0), *cut, 2) for cut in cuts)
        return query, key, value

    def _places(self) -> str:
        """Positions [batch, tokens]: given, or those up to an item's last token."""
        if self.all.operand(9):
            return self.all.operand(9)
        last = self.all.add("Cast", [self.all.operand(5)], to=7)
        column = self.all.add("Reshape", [last, self.all.ints(-1, 1)])
        steps = self.all.constant(np.arange(1 - self.sizes.tokens, 1, dtype=np.int64))
        return self.all.add("Add", [column, steps])

    def _turned(self, name: str, places: str, heads: int) -> str:
        """Queries or keys turned, with their heads apart: the frontend asks for that."""
        apart = self._apart(name, heads)
        return self._joined(
            self.all.add(
                "RotaryEmbedding",
                [apart, places, self.all.operand(7), self.all.operand(8)],
                domain=MICROSOFT,
                interleaved=self.given.get("rotary_interleaved", 0),
            ),
            heads,
        )

    def _apart(self, name: str, heads: int) -> str:
        """[batch, heads, tokens, head]."""
        shape = self.all.ints(0, 0, heads, self.sizes.width)
        return self.all.add(
            "Transpose", [self.all.add("Reshape", [name, shape])], perm=[0, 2, 1, 3]
        )

    def _joined(self, name: str, heads: int) -> str:
        """[batch, tokens, heads · head]."""
        turned = self.all.add("Transpose", [name], perm=[0, 2, 1, 3])
        return self.all.add("Reshape", [turned, self.all.ints(0, 0, heads * self.sizes.width)])

    def _cached(self, name: str, past: int, output: int) -> str:
        """Keys or values behind those of the past, which is the cache that the node yields."""
        kept = self.all.node.output[output] if output < len(self.all.node.output) else ""
        fresh = self._apart(name, self.sizes.shared)
        if self.all.operand(past):
            return self.all.add("Concat", [self.all.operand(past), fresh], kept, axis=2)
        return self.all.add("Identity", [fresh], kept) if kept else fresh

    def _repeated(self, name: str) -> str:
        """Keys or values once for each query head that shares them."""
        sizes = self.sizes
        times = sizes.heads // sizes.shared
        if times == 1:
            return name
        wide = self.all.add(
            "Reshape", [name, self.all.ints(0, sizes.shared, 1, sizes.keys, sizes.width)]
        )
        tiled = self.all.add("Tile", [wide, self.all.ints(1, 1, times, 1, 1)])
        return self.all.add(
            "Reshape", [tiled, self.all.ints(0, sizes.heads, sizes.keys, sizes.width)]
        )

    def _bias(self) -> str:
        """What is added to the scores: the given bias, and -inf for keys that are not seen."""
        seen = _seen(self.sizes, self.given)
        extra = self.all.operand(10)
        if seen.all():
            return extra
        key = (self.sizes, self.given.get("local_window_size", -1))
        if key not in self.masks:
            hidden = np.where(seen, 0, -np.inf).astype(dtype_of(self.sizes.dtype))[None, None]
            self.masks[key] = self.all.constant(hidden)
        mask = self.masks[key]
        return self.all.add("Add", [extra, mask]) if extra else mask


def _seen(sizes: Sizes, given: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which key each query sees [queries, keys], the last query as the last key."""
    ends = np.arange(sizes.past, sizes.keys)[:, None]
    places = np.arange(sizes.keys)[None]
    window = given.get("local_window_size", -1)
    seen: NDArray[np.bool_] = places <= (ends if given.get("causal", 1) else sizes.keys)
    return seen & (places > ends - window) if window >= 0 else seen
