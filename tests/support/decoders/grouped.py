"""A decoder as onnxruntime-genai's builder writes it: GroupQueryAttention, int4 weights."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from support.decoders.plain import NEW, PAST, TINY, Parts, Sizes
from support.networks.models import INT64, model, node, value

TOTAL = "total_sequence_length"
_BLOCK = 32


def grouped_decoder(sizes: Sizes = TINY, shared_heads: int = 2) -> ModelProto:
    parts = Parts()
    add = parts.add
    table = parts.weight("embed_tokens.weight", sizes.vocabulary, sizes.hidden)
    x = add("Gather", [table, "input_ids"], "embed")
    _counts(parts)
    for name in ("cos_cache", "sin_cache"):
        angles = np.outer(np.arange(sizes.positions), 0.5 ** np.arange(sizes.head // 2))
        made = np.cos(angles) if name == "cos_cache" else np.sin(angles)
        parts.weights.append(numpy_helper.from_array(made.astype(np.float32), name))
    for number in range(sizes.layers):
        x = _layer(parts, sizes, x, number, shared_heads)
    x = _norm(parts, sizes, x, "final")
    _packed(parts, x, "lm_head", sizes.hidden, sizes.vocabulary)
    parts.nodes[-1].output[0] = "logits"
    inputs = [
        value("input_ids", ["batch_size", NEW], INT64),
        value("attention_mask", ["batch_size", TOTAL], INT64),
    ]
    outputs = [value("logits", ["batch_size", NEW, sizes.vocabulary])]
    for number in range(sizes.layers):
        for kind in ("key", "value"):
            front = ["batch_size", shared_heads]
            inputs.append(value(f"past_key_values.{number}.{kind}", [*front, PAST, sizes.head]))
            outputs.append(value(f"present.{number}.{kind}", [*front, TOTAL, sizes.head]))
    return model(parts.nodes, inputs, outputs, parts.weights, domains=["com.microsoft"])


def _counts(parts: Parts) -> None:
    """Counts of tokens from the mask."""
    axis, one = parts.ints("axis", 1), parts.ints("one", 1)
    counted = parts.add("ReduceSum", ["attention_mask", axis], "mask_sum", keepdims=1)
    last = parts.add("Sub", [counted, one], "mask_last")
    parts.add("Cast", [last], "last", to=TensorProto.INT32)
    shape = parts.add("Shape", ["attention_mask"], "mask_shape")
    parts.weights.append(numpy_helper.from_array(np.array(1, np.int64), "second"))
    total = parts.add("Gather", [shape, "second"], "mask_total", axis=0)
    parts.add("Cast", [total], "total", to=TensorProto.INT32)


def _norm(parts: Parts, sizes: Sizes, data: str, name: str) -> str:
    scale = parts.weight(f"{name}.scale", sizes.hidden)
    return parts.add(
        "SimplifiedLayerNormalization", [data, scale], f"{name}.norm", axis=-1, epsilon=1e-5
    )


def _packed(parts: Parts, data: str, name: str, rows: int, columns: int) -> str:
    """A product with int4 weights in blocks of 32."""
    rng = np.random.default_rng(len(parts.weights))
    blocks = rows // _BLOCK
    bits = rng.integers(0, 256, (columns, blocks, _BLOCK // 2), np.uint8)
    scales = rng.uniform(0.005, 0.02, columns * blocks).astype(np.float32)
    parts.weights.append(numpy_helper.from_array(bits, f"{name}.bits"))
    parts.weights.append(numpy_helper.from_array(scales, f"{name}.scales"))
    return parts.add(
        "MatMulNBits", [data, f"{name}.bits", f"{name}.scales"], name,
        domain="com.microsoft", K=rows, N=columns, bits=4, block_size=_BLOCK,
    )  # fmt: skip


def _layer(parts: Parts, sizes: Sizes, x: str, number: int, shared_heads: int) -> str:
    name, grouped = f"layers.{number}", shared_heads * sizes.head
    data = _norm(parts, sizes, x, f"{name}.attention")
    query = _packed(parts, data, f"{name}.q", sizes.hidden, sizes.hidden)
    key = _packed(parts, data, f"{name}.k", sizes.hidden, grouped)
    kept = _packed(parts, data, f"{name}.v", sizes.hidden, grouped)
    past = [f"past_key_values.{number}.{kind}" for kind in ("key", "value")]
    outputs = [f"{name}.mixed", *(f"present.{number}.{kind}" for kind in ("key", "value"))]
    parts.nodes.append(
        node(
            "GroupQueryAttention",
            [query, key, kept, *past, "last_out", "total_out", "cos_cache", "sin_cache"],
            outputs,
            f"{name}.attention",
            domain="com.microsoft",
            num_heads=sizes.heads,
            kv_num_heads=shared_heads,
            do_rotary=1,
        )
    )
    out = _packed(parts, outputs[0], f"{name}.o", sizes.hidden, sizes.hidden)
    x = parts.add("Add", [x, out], f"{name}.a")
    data = _norm(parts, sizes, x, f"{name}.mlp")
    up = _packed(parts, data, f"{name}.up", sizes.hidden, 4 * sizes.hidden)
    up = parts.add("Relu", [up], f"{name}.relu")
    return parts.add(
        "Add", [x, _packed(parts, up, f"{name}.down", 4 * sizes.hidden, sizes.hidden)], f"{name}.b"
    )
