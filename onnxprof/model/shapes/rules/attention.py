"""Shapes of the attention operators that onnxruntime's optimiser and model builders emit.

Axes are batch, tokens, heads, size of a head; facts are from docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from onnxprof.model.shapes.rules import sizes
from onnxprof.model.shapes.rules.call import Call, Rule, Types
from onnxprof.records.layer import Dim, Shape


def _last(shape: Shape) -> Dim:
    return shape[-1] if shape else None


def _axis(shape: Shape, axis: int) -> Dim:
    return shape[axis] if shape is not None and axis < len(shape) else None


def _attention(call: Call, past: int = 4, elements: int | None = None) -> Types:
    """input [batch, tokens, in], weights [in, q + k + v]."""
    data = call.shape(0)
    parts = call.attribute("qkv_hidden_sizes")
    packed = _last(call.shape(1)) if call.name(1) else _last(call.shape(2))
    values = parts[2] if parts else sizes.divide(packed, 3)
    out = None if data is None else (*data[:-1], values)
    present = _present(call, past, data, parts[0] if parts else sizes.divide(packed, 3))
    return call.types(out, present, elements=elements)


def _present(call: Call, past: int, data: Shape, hidden: Dim) -> Shape:
    """[2, batch, heads, past + tokens, head]."""
    heads = call.integer("num_heads")
    held = call.shape(past)
    before: Dim = (_axis(held, 3) if held else None) if call.name(past) else 0
    total = sizes.add(before, _axis(data, 1))
    if call.integer("past_present_share_buffer") and call.name(past):
        total = before
    return 2, _axis(data, 0), heads, total, sizes.divide(hidden, heads)


def _quantised(call: Call) -> Types:
    return _attention(call, 8, call.elements(3))


def _multi_head(call: Call, past: int = 6) -> Types:
    """query [batch, tokens, hidden], or packed [batch, tokens, heads, 3, head]."""
    query, key, value = (call.shape(i) for i in range(3))
    batch, tokens, heads = _axis(query, 0), _axis(query, 1), call.integer("num_heads")
    head = _last(query) if query and len(query) == 5 else sizes.divide(_last(query), heads)
    if query is not None and len(query) == 4:
        tokens, head = query[2], query[3]
    kept, width = _kept(key, value, tokens, head, heads)
    if not call.name(1):
        kept = tokens
    before: Dim = _axis(call.shape(past), 2) if call.name(past) else 0
    crosses = key is not None and len(key) == 4
    total = kept if crosses else sizes.add(before, kept)
    if call.integer("past_present_share_buffer") or call.name(past + 2):
        total = before if call.name(past) else total
    out = (batch, tokens, sizes.multiply(heads, width)) if query is not None else None
    return call.types(out, (batch, heads, total, head), (batch, heads, total, width))


def _kept(key: Shape, value: Shape, tokens: Dim, head: Dim, heads: int) -> tuple[Dim, Dim]:
    """How many keys there are, and the size of a value's head."""
    if key is not None and len(key) == 5:  # packed keys and values
        return key[1], key[4]
    if value is not None and len(value) == 4:
        return value[2], value[3]
    if value is not None:
        return _axis(key, 1), sizes.divide(_last(value), heads)
    return _axis(key, 1) if key is not None else tokens, head


def _decoder_multi_head(call: Call) -> Types:
    return _multi_head(call, 5)


def _grouped(call: Call) -> Types:
    """query [batch, tokens, heads · head], or with keys and values packed behind it."""
    query, heads, grouped = (
        call.shape(0), call.integer("num_heads"), call.integer("kv_num_heads"),
    )  # fmt: skip
    packed = not call.name(1)
    head = sizes.divide(_last(query), heads + 2 * grouped if packed else heads)
    past, total = call.shape(3), call.scalar(6)
    kept: Dim = total if not call.name(3) else _longer(_axis(past, 2), total)
    width = sizes.multiply(heads, head)
    out = None if query is None else (*query[:-1], width)
    present = (_axis(query, 0), grouped, kept, head)
    types = call.types(out, present, present)
    if call.name(3) and call.elements(3):
        return [types[0], *call.types(present, present, elements=call.elements(3))]
    return types


def _longer(past: Dim, total: Dim) -> Dim:
    """The longer of the two: a cache that is larger than what is kept in it keeps its size."""
    if isinstance(past, int) and isinstance(total, int):
        return max(past, total)
    return total if past == 0 else None


def _packed_tokens(call: Call) -> Types:
    """input [tokens, in], weights [in, q + k + v]: no batch axis."""
    data, parts = call.shape(0), call.attribute("qkv_hidden_sizes")
    width = parts[2] if parts else sizes.divide(_last(call.shape(1)), 3)
    return call.types((_axis(data, 0), width))


def _packed_multi_head(call: Call) -> Types:
    query, value = call.shape(0), call.shape(2)
    if query is not None and len(query) == 4:  # [tokens, heads, 3, head]
        return call.types((query[0], sizes.multiply(query[1], query[3])))
    return call.types((_axis(query, 0), _last(value)))


def _gated_bias(call: Call) -> Types:
    """query [batch, tokens, hidden]: a bias [batch, heads, tokens, tokens]."""
    query = call.shape(0)
    tokens = _axis(query, 1)
    return call.types((_axis(query, 0), call.integer("num_heads"), tokens, tokens))


def _remove_padding(call: Call) -> Types:
    """The number of tokens that are not padding is known at run time only."""
    data = call.shape(0)
    batch = _axis(data, 0)
    bounds = sizes.add(batch, 1)
    return [
        *call.types((None, _last(data))),
        *call.types((batch, _axis(data, 1)), (bounds,), (1,), elements=TensorProto.INT32),
    ]


def _restore_padding(call: Call) -> Types:
    offset = call.shape(1)
    return call.types((_axis(offset, 0), _axis(offset, 1), _last(call.shape(0))))


def _linear(call: Call) -> Types:
    """Tokens [batch, tokens, heads · size], and a state [batch, heads, key, value] a head.

    With a `state_window` the states of the last tokens stand side by side on a leading axis.
    """
    query, value = call.shape(0), call.shape(2)
    heads, shared = call.integer("q_num_heads"), call.integer("kv_num_heads")
    width, deep = sizes.divide(_last(query), heads), sizes.divide(_last(value), shared)
    out = None if query is None else (*query[:-1], sizes.multiply(max(heads, shared), deep))
    state = (_axis(query, 0), shared, width, deep)
    window = call.integer("state_window")
    types = call.types(out, (window, *state) if window else state)
    kind = call.elements(3) if call.name(3) else 0
    return [types[0], *call.types((window, *state) if window else state, elements=kind or None)]


def _causal_convolution(call: Call) -> Types:
    """The input's shape, and the last elements of each channel [batch, channels, kernel - 1]."""
    data, weights = call.shape(0), call.shape(1)
    kept = sizes.add(_last(weights), -1) if weights else None
    state = (_axis(data, 0), _axis(data, 1), kept)
    plain = not call.integer("channels_last") and call.integer("ndim", 1) == 1
    window = call.integer("state_window")
    known = call.shape(3) if call.name(3) else None
    if known is None and plain:
        known = (window, *state) if window else state
    return call.types(data, known)


def _paged(call: Call) -> Types:
    """Tokens [tokens, heads · head]; the caches are those that are given."""
    query, heads, shared = (
        call.shape(0), call.integer("num_heads"), call.integer("kv_num_heads"),
    )  # fmt: skip
    whole = _last(query)
    if not call.name(1):
        whole = sizes.multiply(sizes.divide(whole, heads + 2 * shared), heads)
    out = None if query is None else (query[0], whole)
    kept = [call.types(call.shape(i), elements=call.elements(i))[0] for i in (3, 4)]
    return [*call.types(out), *kept]


RULES: Mapping[str, Rule] = {
    "LinearAttention": _linear,
    "CausalConvWithState": _causal_convolution,
    "PagedAttention": _paged,
    "Attention": _attention,
    "QAttention": _quantised,
    "DecoderMaskedSelfAttention": _attention,
    "MultiHeadAttention": _multi_head,
    "DecoderMaskedMultiHeadAttention": _decoder_multi_head,
    "GroupQueryAttention": _grouped,
    "SparseAttention": _grouped,
    "PackedAttention": _packed_tokens,
    "PackedMultiHeadAttention": _packed_multi_head,
    "GatedRelativePositionBias": _gated_bias,
    "RemovePadding": _remove_padding,
    "RestorePadding": _restore_padding,
}
