"""Attention in its many forms, rotary embeddings, and mixtures of experts.

Scores are counted for every pair of a query and a key, those that a mask hides included: that is
what the operators' definitions compute. A runtime that skips hidden pairs does less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Estimate, Formula, Work
from onnxprof.cost.operators.elementwise import activation
from onnxprof.cost.operators.normalise import rms, softmax_of

_LENGTHS = "lengths are data: every place of the padded input counts"


@dataclass(frozen=True, slots=True)
class Heads:
    """Sizes of scaled dot-product attention."""

    batch: Size
    heads: Size
    """Of queries; keys and values may be shared by several."""
    queries: Size
    keys: Size
    """Of the past, too."""
    width: Size
    """Elements of a query and of a key."""
    value_width: Size

    @property
    def scores(self) -> Size:
        """Pairs of a query and a key, in all heads."""
        return self.batch * self.heads * self.queries * self.keys

    def work(self, masks: int = 0, softcap: bool = False) -> Work:
        """Scores, scaled, masked, their softmax, and the weighted sum of the values."""
        scores = self.scores
        capped = Work(multiplies=1, divisions=1, exponentials=1) if softcap else Work()
        return (
            Work(macs=scores * (self.width + self.value_width), multiplies=scores)
            + (Work(adds=masks) + capped) * scores
            + softmax_of(scores, self.batch * self.heads * self.queries)
        )


def _whole(size: Size, parts: int) -> Size:
    if parts < 1:
        raise Unknown("its number of heads is unknown")
    return size // parts


def _split(shape: tuple[Size, ...], heads: int) -> tuple[Size, Size, Size, Size]:
    """[batch, heads, length, width] of a tensor with three or four axes."""
    if len(shape) == 4:
        return shape
    batch, length, width = shape
    return batch, heads, length, _whole(width, heads)


def _standard(call: Call) -> Work:
    heads, shared = call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0)
    batch, count, queries, width = _split(call.shape(0), heads)
    _, _, keys, _ = _split(call.shape(1), shared)
    _, _, _, value_width = _split(call.shape(2), shared)
    past = call.shape(4)[-2] if call.has(4) else 0
    sizes = Heads(batch, count, queries, keys + past, width, value_width)
    masks = int(call.has(3)) + (call.integer("is_causal", 0) != 0)
    return sizes.work(masks, call.number("softcap", 0.0) != 0.0)


def _flexible(call: Call) -> Work:
    """The bodies that change scores and weights are layers of their own."""
    batch, count, queries, width = call.shape(0)
    return Heads(batch, count, queries, call.shape(1)[2], width, call.shape(2)[3]).work()


def _projected(call: Call) -> Work:
    """com.microsoft.Attention: one product makes queries, keys and values of the input."""
    batch, length, _ = call.shape(0)
    sizes = call.integers("qkv_hidden_sizes")
    columns = call.shape(1)[-1]
    third = _whole(columns, 3)
    wide, deep = (sizes[0], sizes[2]) if sizes else (third, third)
    heads = call.required("num_heads")
    macs = batch * length * call.shape(0)[2] * columns
    bias = batch * length * columns if call.has(2) else 0
    past = call.shape(4)[3] if call.has(4) else 0
    scores = Heads(batch, heads, length, length + past, _whole(wide, heads), _whole(deep, heads))
    masks = int(call.has(3)) + int(call.has(5)) + call.integer("unidirectional", 0)
    return Work(macs=macs, adds=bias) + scores.work(masks)


def _quantised(call: Call) -> Work:
    """QAttention: the product is one of integers, scaled afterwards."""
    batch, length, inner = call.shape(0)
    columns, heads = call.shape(1)[-1], call.required("num_heads")
    third = _whole(columns, 3)
    made = batch * length * columns
    past = call.shape(8)[3] if call.has(8) else 0
    width = _whole(third, heads)
    scores = Heads(batch, heads, length, length + past, width, width)
    masks = int(call.has(5)) + call.integer("unidirectional", 0)
    return Work(macs=made * inner, adds=made, multiplies=made) + scores.work(masks)


def _multi_head(call: Call) -> Work:
    """com.microsoft.MultiHeadAttention: keys and values may be packed with the queries."""
    heads = call.required("num_heads")
    shape = call.shape(0)
    batch, length = shape[0], shape[1]
    if len(shape) == 5:  # [batch, length, heads, 3, width]
        width, keys, deep = shape[4], length, shape[4]
    elif len(shape) != 3:
        raise Unknown(f"its query has {len(shape)} axes")
    else:
        width = deep = _whole(shape[2], heads)
        keys = length
        if call.has(1):
            key = call.shape(1)
            keys = key[2] if len(key) == 4 else key[1]
        if call.has(2):
            value = call.shape(2)
            deep = value[3] if len(value) == 4 else _whole(value[2], heads)
    past = call.shape(6)[2] if call.has(6) else 0
    if call.has(1) and len(call.shape(1)) == 4:
        past = 0  # keys of cross attention come with their heads apart, and no past
    bias = _packed_bias(call, 3)
    masks = int(call.has(4)) + int(call.has(5)) + call.integer("unidirectional", 0)
    return Heads(batch, heads, length, keys + past, width, deep).work(masks) + Work(adds=bias)


def _packed_bias(call: Call, position: int) -> Size:
    """Additions of a bias to queries, keys and values as they are given."""
    if not call.has(position):
        return 0
    return sum((call.elements(i) for i in range(3) if call.has(i)), start=0)


def _grouped(call: Call) -> Estimate:
    """com.microsoft.GroupQueryAttention; key and value may be packed behind the query."""
    heads, shared = call.required("num_heads"), call.required("kv_num_heads")
    batch, length, columns = call.shape(0)
    width = _whole(columns, heads) if call.has(1) else _whole(columns, heads + 2 * shared)
    keys = _grouped_keys(call, length)
    masks = 1 + int(call.has(10))
    work = Heads(batch, heads, length, keys, width, width).work(
        masks, call.number("softcap", 0.0) != 0.0
    )
    if call.integer("do_rotary", 0):
        turned = batch * length * (heads + shared) * width
        work = work + Work(adds=turned, multiplies=2 * turned)
    for position, count in ((14, heads), (15, shared)):
        if call.has(position):
            work = work + rms(batch * length * count * width, batch * length * count)
    return Estimate(work, bound="lengths are data: the whole of the past counts")


def _grouped_keys(call: Call, length: Size) -> Size:
    """Keys that a query meets: those of `present`, which holds the past, too."""
    if call.yields(1):
        return call.out(1)[2]
    past = call.shape(3)[2] if call.has(3) else 0
    return past + length


def _masked_decoder(call: Call) -> Work:
    """One token for each sequence: keys are those of the past and its own."""
    heads = call.required("num_heads")
    batch, length, columns = call.shape(0)
    width = _whole(columns, heads)
    keys = call.out(1)[2] if call.yields(1) else (call.shape(5)[2] if call.has(5) else 0) + length
    masks = int(call.has(3)) + int(call.has(4))
    return Heads(batch, heads, length, keys, width, width).work(masks)


def _masked_self(call: Call) -> Work:
    batch, length, inner = call.shape(0)
    columns, heads = call.shape(1)[-1], call.required("num_heads")
    width = _whole(_whole(columns, 3), heads)
    made = batch * length * columns
    scores = Heads(batch, heads, length, call.out(1)[3], width, width)
    masks = int(call.has(3)) + int(call.has(5))
    return Work(macs=made * inner, adds=made) + scores.work(masks)


def _packed(call: Call) -> Estimate:
    """Sequences without padding [tokens, inputs]: each may be as long as the offsets are wide."""
    tokens, inner = call.shape(0)
    batch, longest = call.shape(3)
    columns, heads = call.shape(1)[-1], call.required("num_heads")
    sizes = call.integers("qkv_hidden_sizes")
    third = _whole(columns, 3)
    wide, deep = (sizes[0], sizes[2]) if sizes else (third, third)
    made = tokens * columns
    scores = Heads(batch, heads, longest, longest, _whole(wide, heads), _whole(deep, heads))
    work = Work(macs=made * inner, adds=made) + scores.work(int(call.has(5)))
    return Estimate(work, bound=_LENGTHS)


def _packed_multi_head(call: Call) -> Estimate:
    batch, longest = call.shape(4)
    heads, shape = call.required("num_heads"), call.shape(0)
    width = shape[-1] if len(shape) == 4 else _whole(shape[-1], heads)
    deep = _whole(call.shape(2)[-1], heads) if call.has(2) else width
    work = Heads(batch, heads, longest, longest, width, deep).work(int(call.has(6)))
    return Estimate(work + Work(adds=_packed_bias(call, 3)), bound=_LENGTHS)


def _linear(call: Call) -> Work:
    """A state [keys, values] for each head, updated at each token."""
    heads, shared = call.required("q_num_heads"), call.required("kv_num_heads")
    batch, tokens, columns = call.shape(0)
    width = _whole(columns, heads)
    deep = _whole(call.shape(2)[2], shared)
    state = batch * tokens * shared * width * deep
    read = batch * tokens * heads * width * deep
    rule = call.text("update_rule", "gated_delta") or "gated_delta"
    work = Work(macs=state + read, multiplies=batch * tokens * heads * deep)
    if "gated" in rule and call.has(4):
        work = work + Work(multiplies=state, exponentials=call.elements(4))
    if "delta" in rule:
        values = batch * tokens * shared * deep
        work = work + Work(macs=state, adds=values, multiplies=values)
    return work


def rotary(size: Size) -> Work:
    """Each element of a pair is the sum of two products."""
    return Work(adds=size, multiplies=2 * size)


def _standard_rotary(call: Call) -> Work:
    shape, part = call.shape(), call.integer("rotary_embedding_dim", 0)
    if not part:
        return rotary(product(shape))
    if len(shape) == 4:
        return rotary(product(shape[:3]) * part)
    return rotary(product(shape[:2]) * call.required("num_heads") * part)


def _contrib_rotary(call: Call) -> Work:
    shape, part = call.shape(), call.integer("rotary_embedding_dim", 0)
    if not part:
        return rotary(product(shape))
    if len(shape) == 4:
        return rotary(product(shape[:3]) * part)
    return rotary(product(shape[:2]) * call.integer("num_heads", 0) * part)


def _gemma_rotary(call: Call) -> Work:
    """sin and cos of the embedding, then both queries and keys are turned."""
    return rotary(call.elements(1) + call.elements(3)) + Work(exponentials=2 * call.elements(0))


def _experts(call: Call, positions: tuple[int, int, int], bits: int = 8) -> Estimate:
    """Each token passes through k experts; which ones is data, so all weights may be read."""
    shape = call.shape(0)
    tokens, width = product(shape[:-1]), shape[-1]
    chosen = call.integer("k", 1)
    first, second, third = positions
    hidden = _inner(call, second, width, bits)
    fused = call.integer("swiglu_fusion", 0) > 0 or call.text("activation_type") == "swiglu"
    gated = call.has(third) or fused
    name = call.text("activation_type", "relu") or "relu"
    act = activation("silu" if name == "swiglu" else name)
    if act is None:
        raise Unknown(f"the activation {name!r} is not modelled")
    rows = tokens * chosen
    macs = rows * width * hidden * (3 if gated else 2)
    work = Work(macs=macs) + act * (rows * hidden) + Work(multiplies=rows * hidden * gated)
    work = work + Work(adds=(chosen - 1) * tokens * width, multiplies=rows * width)
    experts = call.shape(first)[0]
    router = softmax_of(tokens * experts, tokens)
    return Estimate(
        work + router, bound="which experts are read is data: all of them count as read"
    )


def _inner(call: Call, second: int, width: Size, bits: int) -> Size:
    """The experts' inner width: an expert's second weights over the width, in either order."""
    packed = product(call.shape(second)[1:])
    if not isinstance(width, int):
        raise Unknown("the width of its input is not fixed")
    return _whole(packed * 8, bits * width) if 0 < bits < 8 else _whole(packed, width)


def _moe(call: Call) -> Estimate:
    return _experts(call, (2, 4, 6))


def _qmoe(call: Call) -> Estimate:
    return _experts(call, (2, 5, 8), call.integer("expert_weight_bits", 4))


OPERATORS: Mapping[str, Formula] = {
    "Attention": _standard,
    "FlexAttention": _flexible,
    "LinearAttention": _linear,
    "RotaryEmbedding": _standard_rotary,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "Attention": _projected,
    "QAttention": _quantised,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _grouped,
    "DecoderMaskedMultiHeadAttention": _masked_decoder,
    "DecoderMaskedSelfAttention": _masked_self,
    "PackedAttention": _packed,
    "PackedMultiHeadAttention": _packed_multi_head,
    "LinearAttention": _linear,
    "RotaryEmbedding": _contrib_rotary,
    "MRotaryEmbedding": _contrib_rotary,
    "GemmaRotaryEmbedding": _gemma_rotary,
    "MoE": _moe,
    "QMoE": _qmoe,
}
