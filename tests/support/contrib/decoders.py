"""Operators of decoders in the forms that exporters write, each as a case of one node."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.contrib.cases import Case, bytes_, ids, real

HEADS = {"num_heads": 4}
GROUPED = {"num_heads": 4, "kv_num_heads": 2}
X = real(2, 5, 32)
#: Eight positions of half a head of eight.
COS, SIN = real(16, 4), real(16, 4)[::-1].copy()
#: The same of a head of sixteen: GroupQueryAttention turns no smaller ones.
COS_8, SIN_8 = real(16, 8), real(16, 8)[::-1].copy()


def last(*counts: int) -> NDArray[Any]:
    """`seqlens_k`: an item's tokens less one."""
    return np.int32(counts)


def grouped(tokens: int, past: int, batch: int = 1, buffer: int = 0, **more: Any) -> Case:
    """A GroupQueryAttention over `past` tokens, held in a buffer of a given length."""
    size, total = max(past, buffer), past + tokens
    cache = [real(batch, 2, size, 16)] * 2 if size else [None, None]
    turns = [COS_8, SIN_8] if more.get("do_rotary") else [None, None]
    operands = [
        real(batch, tokens, 64), real(batch, tokens, 32), real(batch, tokens, 32), *cache,
        last(*[total - 1] * batch), np.int32(total), *turns,
    ]  # fmt: skip
    while operands[-1] is None:
        operands.pop()
    return Case("GroupQueryAttention", operands, GROUPED | more, 3, constant=(6,))


def packed(**more: Any) -> Case:
    """Queries, keys and values in one tensor."""
    operands = [real(1, 5, 128), None, None, *[real(1, 2, 3, 16)] * 2, last(7), np.int32(8)]
    turns = [COS_8, SIN_8] if more.get("do_rotary") else []
    return Case("GroupQueryAttention", [*operands, *turns], GROUPED | more, 3, constant=(6,))


def biased() -> Case:
    """With positions and an attention bias given."""
    operands = [
        real(1, 2, 64), real(1, 2, 32), real(1, 2, 32), *[real(1, 2, 3, 16)] * 2, last(4),
        np.int32(5), COS_8, SIN_8, np.int64([[3, 4]]), real(1, 1, 2, 5),
    ]  # fmt: skip
    return Case("GroupQueryAttention", operands, GROUPED | {"do_rotary": 1}, 3, constant=(6,))


def sunk() -> Case:
    """With a term for each head in the softmax's denominator."""
    operands = [
        X, real(2, 5, 16), real(2, 5, 16), None, None, last(4, 4), np.int32(5),
        None, None, None, None, real(4),
    ]  # fmt: skip
    return Case("GroupQueryAttention", operands, GROUPED, 3, constant=(6,))


def nbits(bits: int, zeros: str = "", bias: bool = False, inner: int = 32, **more: Any) -> Case:
    """A product with packed weights [48, inner] in blocks of 16."""
    blocks = -(-inner // 16)
    held: list[NDArray[Any] | None] = [
        real(2, 5, inner), bytes_(48, blocks, 2 * bits), real(48, blocks),
    ]  # fmt: skip
    points = {
        "packed": bytes_(48, -(-blocks * bits // 8)),
        "floats": real(48, blocks) + np.float32(7),
    }
    if zeros or bias:
        held.append(points.get(zeros))
    if bias:
        held += [None, real(48)]
    attributes = {"K": inner, "N": 48, "bits": bits, "block_size": 16} | more
    return Case("MatMulNBits", held, attributes, constant=(1, 2, 3), tolerance=1e-4)


def rows(bits: int, zeros: bool = False) -> Case:
    """A table of packed rows in blocks of 16."""
    width = 32 * bits // 8
    held: list[NDArray[Any] | None] = [bytes_(6, width), ids(2, 5, kind=np.int64), real(6, 2)]
    if zeros:
        held.append(bytes_(6, -(-2 * bits // 8)))
    attributes = {"block_size": 16, "bits": bits, "gather_axis": 0, "quantize_axis": 1}
    return Case("GatherBlockQuantized", held, attributes, constant=(0, 2, 3))


def experts(
    kind: str, fusion: int = 0, third: bool = False, held: tuple[int, ...] = (), **more: Any
) -> Case:
    """Four experts of 8 to 16 elements, of which two are chosen; operands `held` are constants."""
    inner = 32 if fusion else 16
    operands = [real(2, 5, 8), real(10, 4), real(4, inner, 8), None, real(4, 8, 16)]
    if third:
        operands += [None, real(4, 16, 8) + np.float32(0.1)]
    attributes = {"k": 2, "activation_type": kind} | more
    if fusion:
        attributes["swiglu_fusion"] = fusion
    return Case("MoE", operands, attributes, constant=held, tolerance=1e-4)


def biased_experts(fusion: int, **more: Any) -> Case:
    """Gated experts with biases, a limit and a shifted value, as in gpt-oss."""
    gated = {"activation_alpha": 1.702, "activation_beta": 1.0}
    case = experts("swiglu", fusion, held=(2, 3, 4, 5), **gated, **more)
    case.operands[3:] = [real(4, 32), case.operands[4], real(4, 8)]
    return case


def packed_experts(bits: int, kind: str = "silu", fusion: int = 0, block: int = 0,
                   zeros: bool = False, bias: bool = False) -> Case:  # fmt: skip
    """The same with weights of few bits, a scale a row or a block, perhaps zero points."""
    height, parts = 128 if fusion else 64, (32 // (block or 32), 64 // (block or 64))
    operands: list[NDArray[Any] | None] = [real(2, 5, 32), real(10, 4)]
    points: list[NDArray[Any]] = []
    for rows, columns, blocks in ((height, 32, parts[0]), (32, 64, parts[1])):
        held = bytes_(4, rows, columns * bits // 8)
        scales = real(4, rows, blocks) if block else real(4, rows)
        operands += [held, scales, real(4, rows) if bias else None]
        points.append(bytes_(4, rows, -(-blocks * bits // 8)))
    if zeros:
        operands += [None, None, None, *points]
    elif not bias:
        operands.pop()
    attributes: dict[str, Any] = {"k": 2, "activation_type": kind, "expert_weight_bits": bits}
    if fusion:
        attributes["swiglu_fusion"] = fusion
    if block:
        attributes["block_size"] = block
    held_ones = (2, 3, 5, 6, *((11, 12) if zeros else ()))
    # onnxruntime rounds tokens to eight bits where the weights have as many
    return Case(
        "QMoE", operands, attributes, constant=held_ones, tolerance=5e-2 if bits == 8 else 2e-2
    )


def turned(shape: tuple[int, ...], positions: NDArray[Any], **more: Any) -> Case:
    return Case("RotaryEmbedding", [real(*shape), positions, COS, SIN], more)


_IDS = np.int64([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]])
_PAST = [real(2, 4, 3, 8)] * 2
_S, _Z = np.float32(0.1), np.uint8(3)
DECODERS = [
    grouped(5, 0, 2),
    grouped(1, 3),
    grouped(1, 3, 2),
    grouped(3, 4),
    grouped(5, 0, buffer=9),
    grouped(1, 3, 2, buffer=9),
    grouped(5, 0, do_rotary=1),
    grouped(1, 3, 2, do_rotary=1),
    grouped(1, 3, do_rotary=1, rotary_interleaved=1),
    grouped(6, 0, local_window_size=2),
    grouped(1, 7, local_window_size=3),
    grouped(5, 0, softcap=0.5),
    grouped(5, 0, scale=0.3),
    grouped(5, 0, smooth_softmax=1),
    packed(),
    packed(do_rotary=1),
    biased(),
    sunk(),
    turned((2, 5, 32), _IDS, num_heads=4),
    turned((2, 5, 32), _IDS),
    turned((2, 5, 32), np.int64([3])),
    turned((2, 4, 5, 8), _IDS, interleaved=1),
    turned((2, 5, 64), _IDS, num_heads=4, rotary_embedding_dim=8),
    *(nbits(bits) for bits in (2, 4, 8)),
    nbits(4, "packed"),
    nbits(4, "floats"),
    nbits(8, "packed"),
    nbits(4, bias=True),
    nbits(4, inner=40),
    *(rows(bits, zeros) for bits in (4, 8) for zeros in (False, True)),
    experts("relu"),
    experts("silu"),
    experts("gelu", normalize_routing_weights=1),
    experts("swiglu", 1, activation_alpha=1.702, activation_beta=1.0),
    experts("swiglu", 1, normalize_routing_weights=1),
    experts("swiglu", 1, held=(2, 4)),
    experts("identity"),
    biased_experts(1, swiglu_limit=0.05),
    biased_experts(1),
    packed_experts(4),
    packed_experts(8),
    packed_experts(4, "swiglu", 1),
    packed_experts(4, "swiglu", 1, block=16),
    packed_experts(8, "swiglu", 1, block=16),
    packed_experts(4, "swiglu", 1, block=16, zeros=True),
    packed_experts(8, "swiglu", 1, block=16, zeros=True),
    packed_experts(4, "swiglu", 1, block=32, bias=True),
    Case("Attention", [X, real(32, 96), real(96)], HEADS | {"unidirectional": 1}, 2),
    Case("Attention", [X, real(32, 96), real(96), np.int32([3, 5])], HEADS),
    Case("Attention", [X, real(32, 96), real(96), np.int32([[1, 1, 1, 0, 0], [1] * 5])], HEADS),
    Case("Attention", [X, real(32, 96), real(96), None, real(2, 2, 4, 3, 8)],
         HEADS | {"unidirectional": 1}, 2),
    Case("Attention", [X, real(32, 96), real(96), None, None, real(1, 4, 5, 5)], HEADS),
    Case("MultiHeadAttention", [X, X, X, real(96)], HEADS),
    Case("MultiHeadAttention", [X, X, X], HEADS | {"unidirectional": 1}),
    Case("MultiHeadAttention", [X, X, X, None, np.int32([3, 5])], HEADS),
    Case("MultiHeadAttention", [X, X, X, None, None, real(2, 1, 5, 5)], HEADS),
    Case("MultiHeadAttention", [X, X, X, None, None, None, *_PAST], HEADS, 3),
    Case("QAttention", [bytes_(2, 5, 32), bytes_(32, 96), real(96), _S, _S, None, _Z, _Z], HEADS,
         tolerance=1e-4),
    Case("DynamicQuantizeMatMul", [X, bytes_(32, 7), real(7), bytes_(7)]),
    Case("MatMulIntegerToFloat", [bytes_(2, 5, 32), bytes_(32, 7), _S, real(7), _Z, bytes_(7)]),
    Case("FusedMatMul", [real(2, 32, 5), real(2, 32, 7)], {"transA": 1, "alpha": 0.5}),
    Case("FusedMatMul", [real(5, 2, 32), real(2, 32, 7)], {"transBatchA": 1}),
    Case("TransposeMatMul", [real(2, 32, 5), real(32, 7)], {"transA": 1}),
    Case("EmbedLayerNormalization",
         [ids(2, 5), ids(2, 5, high=2), real(9, 32), real(8, 32), real(2, 32), real(32), real(32),
          np.ones((2, 5), np.int32)], {}, 3),
    Case("EmbedLayerNormalization",
         [ids(2, 5), None, real(9, 32), real(8, 32), None, real(32), real(32)], {}, 2),
    Case("SimplifiedLayerNormalization", [X, real(32)], {"axis": -1}, domain=""),
    *(Case(op, [X]) for op in ("Gelu", "FastGelu")),
    Case("FastGelu", [X, real(32)]),
    Case("BiasGelu", [X, real(32)]),
    Case("BiasAdd", [X, real(32), X]),
    Case("QuickGelu", [X], {"alpha": 1.5}),
    Case("BiasSplitGelu", [real(2, 5, 64), real(64)]),
    Case("SkipLayerNormalization", [X, real(5, 32), real(32)], {"epsilon": 1e-5}),
    Case("SkipSimplifiedLayerNormalization", [X, X, real(32), real(32)], {}, 1),
]  # fmt: skip
#: Recurrences, which OpenVINO does not translate.
RECURRENT = [
    Case("LinearAttention", [real(2, 5, 32), real(2, 5, 32), real(2, 5, 64), real(2, 4, 8, 16)],
         {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "linear"}, 2),
    Case("LinearAttention", [real(2, 5, 32), real(2, 5, 16), real(2, 5, 32)],
         {"q_num_heads": 4, "kv_num_heads": 2, "update_rule": "linear"}, 2),
    Case("CausalConvWithState", [real(2, 6, 5), real(6, 1, 4), real(6), real(2, 6, 3)], {}, 2),
    Case("CausalConvWithState", [real(2, 6, 5), real(6, 1, 4)], {}, 2),
    Case("CausalConvWithState", [real(2, 6, 5), real(6, 1, 4)], {"activation": "silu"}, 2),
    Case("LinearAttention", [real(2, 5, 32), real(2, 5, 32), real(2, 5, 64), None, real(2, 5, 4)],
         {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "gated"}, 2),
    Case("LinearAttention",
         [real(2, 5, 32), real(2, 5, 32), real(2, 5, 64), None, real(2, 5, 32), real(2, 5, 4)],
         {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "gated_delta"}, 2),
    Case("LinearAttention",
         [real(2, 5, 32), real(2, 5, 32), real(2, 5, 64), None, None, real(2, 5, 4)],
         {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "delta", "scale": 0.5}, 2),
]  # fmt: skip
#: Operators of opset 23 and 24 in the default domain.
STANDARD = [
    Case("RMSNormalization", [X, real(32)], {"epsilon": 1e-6}, domain="", opset=23),
    Case("RotaryEmbedding", [real(2, 4, 5, 8), COS, SIN, _IDS], {}, domain="", opset=23),
    Case("RotaryEmbedding", [X, COS, SIN, _IDS], {"num_heads": 4}, domain="", opset=23),
    Case("Attention", [X, real(2, 7, 16), real(2, 7, 16)],
         {"q_num_heads": 4, "kv_num_heads": 2}, domain="", opset=23),
    Case("Attention", [real(2, 4, 1, 8), *[real(2, 2, 1, 8)] * 2, None, *[real(2, 2, 6, 8)] * 2],
         {}, 3, domain="", opset=23),
    Case("Attention", [real(2, 4, 5, 8), *[real(2, 4, 5, 8)] * 2], {"is_causal": 1},
         domain="", opset=23),
    Case("Attention", [real(2, 4, 5, 8), *[real(2, 4, 5, 8)] * 2, real(5, 5)], {},
         domain="", opset=23),
]  # fmt: skip
