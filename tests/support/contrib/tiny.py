"""A decoder of two layers as onnxruntime-genai's builder writes them, with int4 weights."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from support.contrib.cases import MICROSOFT
from support.networks import models

WIDTH, HEADS, SHARED, HEAD, LAYERS, WORDS = 64, 4, 2, 16, 2, 50
_BLOCK = 16


class _Builder:
    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(7)

    def add(self, op: str, inputs: list[str], *outputs: str, **more: object) -> str:
        name = outputs[0] if outputs else f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, list(outputs) or [name], f"{name}/{op}", **more)
        )
        return name

    def own(self, op: str, inputs: list[str], *outputs: str, **more: object) -> str:
        return self.add(op, inputs, *outputs, domain=MICROSOFT, **more)

    def keep(self, array: np.ndarray) -> str:
        if array.dtype == np.float32 and self.kind == TensorProto.FLOAT16:
            array = array.astype(np.float16)
        name = f"w{len(self.held)}"
        self.held.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, *shape: int, around: float = 0.0) -> str:
        return self.keep(self.random.normal(around, 0.1, shape).astype(np.float32))

    def linear(self, x: str, inner: int, columns: int) -> str:
        blocks = inner // _BLOCK
        packed = self.random.integers(0, 256, (columns, blocks, _BLOCK // 2)).astype(np.uint8)
        scales = self.random.uniform(0.01, 0.03, (columns, blocks)).astype(np.float32)
        weights = [self.keep(packed), self.keep(scales)]
        return self.own("MatMulNBits", [x, *weights], K=inner, N=columns, bits=4, block_size=_BLOCK)


def decoder(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Inputs: `input_ids`, `attention_mask` and the caches; outputs: `logits`, the caches."""
    b = _Builder(kind)
    angle = np.outer(np.arange(64), 1.0 / 100 ** (np.arange(HEAD // 2) / (HEAD // 2)))
    cos, sin = (b.keep(f(angle).astype(np.float32)) for f in (np.cos, np.sin))
    counted = b.add("ReduceSum", ["attention_mask", b.keep(np.int64([1]))], keepdims=0)
    last = b.add("Cast", [b.add("Sub", [counted, b.keep(np.int64([1]))])], to=6)
    length = b.add("Gather", [b.add("Shape", ["attention_mask"]), b.keep(np.array(1))])
    total = b.add("Cast", [length], to=6)
    residual = b.add("Gather", [b.normal(WORDS, WIDTH), "input_ids"])
    x = b.add("SimplifiedLayerNormalization", [residual, b.normal(WIDTH, around=1)], axis=-1)
    for n in range(LAYERS):
        sizes = (HEADS * HEAD, SHARED * HEAD, SHARED * HEAD)
        qkv = [b.linear(x, WIDTH, size) for size in sizes]
        past = [f"past_key_values.{n}.{part}" for part in ("key", "value")]
        made = [f"present.{n}.{part}" for part in ("key", "value")]
        attended = b.own(
            "GroupQueryAttention", [*qkv, *past, last, total, cos, sin], f"attn{n}", *made,
            num_heads=HEADS, kv_num_heads=SHARED, do_rotary=1,
        )  # fmt: skip
        x, residual = _skip(b, residual, b.linear(attended, HEADS * HEAD, WIDTH), f"mid{n}")
        gate, up = b.linear(x, WIDTH, 96), b.linear(x, WIDTH, 96)
        inner = b.add("Mul", [b.add("Mul", [gate, b.add("Sigmoid", [gate])]), up])
        x, residual = _skip(b, residual, b.linear(inner, 96, WIDTH), f"end{n}")
    b.add("MatMul", [x, b.normal(WIDTH, WORDS)], "logits")
    return _model(b, kind)


def _skip(b: _Builder, residual: str, x: str, name: str) -> tuple[str, str]:
    both = (f"{name}_norm", f"{name}_sum")
    scale = b.normal(WIDTH, around=1)
    b.own("SkipSimplifiedLayerNormalization", [residual, x, scale], both[0], "", "", both[1],
          epsilon=1e-5)  # fmt: skip
    return both


def _model(b: _Builder, kind: int) -> onnx.ModelProto:
    ids = models.value("input_ids", ["batch", "sequence_length"], TensorProto.INT64)
    mask = models.value("attention_mask", ["batch", "total_sequence_length"], TensorProto.INT64)
    shape = ["batch", SHARED, "past_sequence_length", HEAD]
    parts = [f"{n}.{part}" for n in range(LAYERS) for part in ("key", "value")]
    past = [models.value(f"past_key_values.{part}", shape, kind) for part in parts]
    present = [models.value(f"present.{part}", None, kind) for part in parts]
    return models.model(
        b.nodes, [ids, mask, *past], [models.value("logits", None, kind), *present], b.held,
        opset=21, ir_version=10, domains=[MICROSOFT],
    )  # fmt: skip
