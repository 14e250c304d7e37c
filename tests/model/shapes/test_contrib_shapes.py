"""onnxruntime's own operators: every shape and dtype that is inferred is that of a real run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.contrib.cases import Case, built, bytes_, ids, real, run
from support.contrib.decoders import DECODERS, RECURRENT
from support.networks import models

from onnxprof.model.file import open_model, plan_for
from onnxprof.model.layers import inspect

S, Z = np.float32(0.1), np.uint8(3)
Q = [bytes_(2, 4, 6, 6), S, Z]
HEADS = {"num_heads": 4}
X, W = real(2, 5, 32), real(32, 96)
CASES = [
    *(Case(op, [X]) for op in ("Gelu", "FastGelu", "QuickGelu")),
    Case("FastGelu", [X, real(32)]),
    Case("BiasGelu", [X, real(32)]),
    Case("SkipLayerNormalization", [X, X, real(32), real(32)], {"epsilon": 1e-5}, 1),
    Case("SkipLayerNormalization", [X, X, real(32), real(32), real(32)], {}, 4, open=(1, 2)),
    Case("SkipSimplifiedLayerNormalization", [X, X, real(32)], {}, 4, open=(1, 2)),
    Case("SimplifiedLayerNormalization", [X, real(32)], {"axis": -1}, 1, domain=""),
    Case("Attention", [X, W, real(96)], HEADS),
    Case("Attention", [X, W, real(96)], HEADS, 2),
    Case("Attention", [X, W, real(96), None, real(2, 2, 4, 3, 8)], HEADS, 2),
    Case("Attention", [X, real(32, 80), real(80)], {**HEADS, "qkv_hidden_sizes": [32, 32, 16]}),
    Case("Attention", [X, W, real(96), np.full(2, 5, np.int32)], HEADS),
    Case("QAttention", [bytes_(2, 5, 32), bytes_(32, 96), real(96), S, S, None, Z, Z], HEADS),
    Case("MultiHeadAttention", [X, X, X], HEADS),
    Case("MultiHeadAttention", [X, real(2, 7, 32), real(2, 7, 64)], HEADS),
    Case("MultiHeadAttention", [X, real(2, 4, 7, 8), real(2, 4, 7, 8)], HEADS),
    Case("MultiHeadAttention", [X, X, X, None, None, None, *[real(2, 4, 3, 8)] * 2], HEADS, 3),
    Case("MultiHeadAttention", [X, X, X], HEADS, 3),
    Case(
        "DecoderMaskedMultiHeadAttention",
        [*[real(2, 1, 32)] * 3, None, None, *[real(2, 4, 9, 8)] * 2, np.int32([4])],
        {**HEADS, "past_present_share_buffer": 1}, 3,
    ),
    Case(
        "GroupQueryAttention",
        [X, real(2, 5, 16), real(2, 5, 16), None, None, np.full(2, 4, np.int32), np.int32(5)],
        {**HEADS, "kv_num_heads": 2}, 3, constant=(6,),
    ),
    Case(
        "GroupQueryAttention",
        [real(1, 5, 64), None, None, *[real(1, 2, 3, 8)] * 2, np.full(1, 7, np.int32), np.int32(8)],
        {**HEADS, "kv_num_heads": 2}, 3, constant=(6,),
    ),
    Case(
        "GroupQueryAttention",
        [X, real(2, 5, 16), real(2, 5, 16), None, None, np.full(2, 4, np.int32), np.int32(5)],
        {**HEADS, "kv_num_heads": 2}, 3, open=(1, 2),
    ),
    Case("RotaryEmbedding", [X, ids(2, 5, kind=np.int64), real(9, 4), real(9, 4)], HEADS),
    Case("RotaryEmbedding", [real(2, 4, 5, 8), ids(2, 5, kind=np.int64), real(9, 4), real(9, 4)]),
    Case(
        "EmbedLayerNormalization",
        [ids(2, 5), ids(2, 5, high=2), real(9, 32), real(8, 32), real(2, 32), real(32), real(32),
         np.ones((2, 5), np.int32)], {}, 3,
    ),
    Case(
        "EmbedLayerNormalization",
        [ids(2, 5), None, real(9, 32), real(8, 32), None, real(32), real(32)], {}, 2,
    ),
    Case("Inverse", [real(2, 3, 3) + np.eye(3, dtype=np.float32)]),
    Case("FusedMatMul", [X, real(48, 32)], {"transB": 1}),
    Case("FusedMatMul", [real(2, 32, 5), real(2, 32, 7)], {"transA": 1, "alpha": 0.5}),
    Case("FusedMatMul", [real(5, 2, 32), real(2, 32, 7)], {"transBatchA": 1}),
    Case("FusedMatMul", [real(3, 4, 5), real(3, 5, 6)]),
    Case("TransposeMatMul", [real(2, 32, 5), real(32, 7)], {"transA": 1}),
    Case("FusedGemm", [real(2, 4), real(6, 4), real(6)], {"transB": 1, "activation": "Relu"}),
    Case("MatMulNBits", [X, bytes_(48, 2, 8), real(48, 2)],
         {"K": 32, "N": 48, "bits": 4, "block_size": 16}, constant=(1, 2)),
    Case("DynamicQuantizeMatMul", [X, bytes_(32, 7), real(7), bytes_(7)]),
    Case("MatMulIntegerToFloat", [bytes_(2, 5, 32), bytes_(32, 7), S, real(7), Z, bytes_(7)]),
    Case("MatMulInteger16", [ids(2, 5, kind=np.int16), ids(5, 7, kind=np.int16)]),
    Case("QGemm", [bytes_(2, 4), S, Z, bytes_(6, 4), S, Z], {"transB": 1}),
    Case("QGemm", [bytes_(2, 4), S, Z, bytes_(4, 6), S, Z, None, S, Z]),
    Case("FusedConv", [real(2, 3, 9, 9), real(4, 3, 3, 3)],
         {"activation": "Relu", "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    Case("QLinearConv",
         [bytes_(2, 9, 9, 3), S, Z, bytes_(4, 3, 3, 3), S, Z, S, Z], {"channels_last": 1},
         constant=(3, 4, 5)),
    Case("QLinearAdd", [*Q, bytes_(4, 1, 1), S, Z, S, Z]),
    Case("QLinearMul", [bytes_(2, 4), S, Z, bytes_(2, 4), S, Z, S, Z]),
    Case("QLinearWhere", [np.ones((2, 4), bool), bytes_(2, 4), S, Z, bytes_(4), S, Z, S, Z]),
    Case("QLinearSigmoid", [*Q, S, Z]),
    Case("QLinearLeakyRelu", [*Q, S, Z], {"alpha": 0.1}),
    Case("QLinearSoftmax", [*Q, S, Z], {"axis": -1, "opset": 13}),
    Case("QLinearAveragePool", [*Q, S, Z], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("QLinearAveragePool", [*Q, S, Z], {"kernel_shape": [3, 3], "channels_last": 1}),
    Case("QLinearGlobalAveragePool", [*Q, S, Z], {"channels_last": 0}),
    Case("QLinearGlobalAveragePool", [*Q, S, Z], {"channels_last": 1}),
    Case("QLinearConcat", [S, Z, bytes_(2, 4), S, Z, bytes_(2, 3), S, Z], {"axis": 1},),
    Case("QuantizeLinear", [X, S, Z]),
    Case("DequantizeLinear", [bytes_(2, 4), S, Z]),
    Case("GatherBlockQuantized", [bytes_(6, 16), ids(2, 5, kind=np.int64), real(6, 2)],
         {"block_size": 16, "bits": 4, "gather_axis": 0, "quantize_axis": 1}, constant=(0, 2)),
    Case("MoE", [real(2, 5, 8), real(10, 4), real(4, 16, 8), None, real(4, 8, 16)],
         {"k": 2, "activation_type": "relu"}),
    Case("CDist", [real(2, 8), real(5, 8)], {"metric": "euclidean"}),
    Case("MaxpoolWithMask", [real(2, 3, 8, 8), np.ones((2, 3, 8, 8), np.int32)],
         {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("MurmurHash3", [ids(2, 5)], {"positive": 1}),
    Case("Trilu", [real(2, 5, 5)], {"upper": 0}),
    Case("DynamicQuantizeLSTM",
         [real(6, 2, 4), bytes_(1, 4, 32), bytes_(1, 8, 32), real(1, 64), None, None, None, None,
          real(1), bytes_(1), real(1), bytes_(1)], {"hidden_size": 8}, 3,
         constant=(1, 2, 8, 9, 10, 11)),
    Case("Pad", [X, np.int64([0, 1, 0, 0, 2, 0])], {"mode": "constant"}, constant=(1,)),
    Case("GridSample", [real(2, 3, 8, 8), real(2, 4, 5, 2)]),
    Case("NhwcMaxPool", [bytes_(2, 8, 8, 3)], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("TransposeMatMul", [real(4, 3), real(3, 2)]),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *DECODERS, *RECURRENT], ids=str)
def test_inferred_shapes_are_those_of_a_run(case: Case, tmp_path: Path) -> None:
    made = built(case)
    path = models.save(made, tmp_path)
    model = open_model(str(path))
    table = inspect(model, plan_for(model, {}, deep=False).batch.own, {})
    found = [(t.dtype, t.shape) for t in table.nodes[0].outputs]
    real_ones = [(str(value.dtype), value.shape) for value in run(case, made)]
    for index, ((dtype, shape), (real_dtype, real_shape)) in enumerate(
        zip(found, real_ones, strict=True)
    ):
        assert dtype == real_dtype
        assert shape is not None
        assert len(shape) == len(real_shape)
        assert all(a in (None, b) for a, b in zip(shape, real_shape, strict=True))
        assert None not in shape or index in case.open
