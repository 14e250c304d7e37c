"""Operations of single layers against figures worked out by hand, beside the arithmetic."""

from __future__ import annotations

import pytest
from support.networks.written_layers import cost_of, kinds, layer

MS = "com.microsoft"

# (what it is, the layer, operations by kind). The arithmetic stands in the comment above each.
CASES = [
    # 64·112·112 = 802,816 outputs of 3·7·7 = 147 products
    ("stem convolution",
     layer("Conv", [(1, 3, 224, 224), (64, 3, 7, 7)], [(1, 64, 112, 112)]),
     {"macs": 118_013_952}),
    # 32·112·112 = 401,408 outputs of 9 products
    ("depthwise convolution",
     layer("Conv", [(1, 32, 112, 112), (32, 1, 3, 3)], [(1, 32, 112, 112)], group=32),
     {"macs": 3_612_672}),
    # 128·28·28 = 100,352 outputs of 128/4·9 = 288 products, and one bias each
    ("grouped convolution with a bias",
     layer("Conv", [(1, 128, 28, 28), (128, 32, 3, 3), (128,)], [(1, 128, 28, 28)], group=4),
     {"macs": 28_901_376, "adds": 100_352}),
    # length 10 - 2·(3-1) = 6: 4·6 = 24 outputs of 2·3 products
    ("dilated convolution in one dimension",
     layer("Conv", [(1, 2, 10), (4, 2, 3)], [(1, 4, 6)], dilations=[2]),
     {"macs": 144}),
    # 2·3·3·3 = 54 outputs of 2·2·2 = 8 products
    ("convolution in three dimensions",
     layer("Conv", [(1, 1, 4, 4, 4), (2, 1, 2, 2, 2)], [(1, 2, 3, 3, 3)]),
     {"macs": 432}),
    # 16·8·8 = 1,024 inputs times 8·4·4 = 128; 8·16·16 = 2,048 biases
    ("transposed convolution",
     layer("ConvTranspose", [(1, 16, 8, 8), (16, 8, 4, 4), (8,)], [(1, 8, 16, 16)], strides=[2, 2]),
     {"macs": 131_072, "adds": 2_048}),
    # 1,024 inputs times 16/4... group 4: kernel [16, 2, 4, 4], so 1,024·2·16
    ("grouped transposed convolution",
     layer("ConvTranspose", [(1, 16, 8, 8), (16, 2, 4, 4)], [(1, 8, 16, 16)], group=4),
     {"macs": 32_768}),
    # 4 outputs of 4 products
    ("ConvInteger",
     layer("ConvInteger", ["uint8 1,1,3,3", "uint8 1,1,2,2", "uint8"], ["int32 1,1,2,2"]),
     {"macs": 16}),
    # 48 outputs of 2; 48 biases; each scaled, shifted, rounded, limited twice
    ("QLinearConv",
     layer("QLinearConv",
           ["uint8 1,2,4,4", "float32", "uint8", "int8 3,2,1,1", "float32", "int8", "float32",
            "uint8", "int32 3"], ["uint8 1,3,4,4"]),
     {"macs": 96, "adds": 48 + 48, "multiplies": 48, "comparisons": 144}),
    # 4·4 products; 16 samples of 4 corners: 48 adds, 64 products; 16 places shifted along 2 axes
    ("DeformConv",
     layer("DeformConv", [(1, 1, 3, 3), (1, 1, 2, 2), (1, 8, 2, 2)], [(1, 1, 2, 2)]),
     {"macs": 16, "adds": 48 + 32, "multiplies": 64}),
    # 2·3·5 = 30 outputs of 4
    ("MatMul in a batch", layer("MatMul", [(2, 3, 4), (2, 4, 5)], [(2, 3, 5)]), {"macs": 120}),
    # 7·2·3·5 = 210 outputs of 4
    ("MatMul that broadcasts",
     layer("MatMul", [(7, 1, 3, 4), (2, 4, 5)], [(7, 2, 3, 5)]), {"macs": 840}),
    ("dot product", layer("MatMul", [(4,), (4,)], [()]), {"macs": 4}),
    # 15 outputs of 4; 15 times alpha; 15 times C added
    ("Gemm with a transposed factor and alpha",
     layer("Gemm", [(4, 3), (4, 5), (5,)], [(3, 5)], transA=1, alpha=0.5),
     {"macs": 60, "adds": 15, "multiplies": 15}),
    ("MatMulInteger", layer("MatMulInteger", ["int8 2,4", "int8 4,3"], ["int32 2,3"]),
     {"macs": 24}),
    ("QLinearMatMul",
     layer("QLinearMatMul",
           ["uint8 2,4", "float32", "uint8", "uint8 4,3", "float32", "uint8", "float32", "uint8"],
           ["uint8 2,3"]),
     {"macs": 24, "adds": 6, "multiplies": 6, "comparisons": 18}),
    # 4096·11008 = 45,088,768 weights, each shifted and scaled once, used by 2·8 rows
    ("MatMulNBits",
     layer("MatMulNBits", ["float16 2,8,4096", "uint8 11008,128,16", "float16 1409024"],
           ["float16 2,8,11008"], MS, K=4096, N=11008, bits=4, block_size=32),
     {"macs": 721_420_288, "adds": 45_088_768, "multiplies": 45_088_768}),
    # b 2, h 3, i 4, j 5, d 6
    ("Einsum of attention scores",
     layer("Einsum", [(2, 3, 4, 6), (2, 3, 5, 6)], [(2, 3, 4, 5)], equation="bhid,bhjd->bhij"),
     {"macs": 720}),
    ("Einsum that sums rows", layer("Einsum", [(3, 4)], [(3,)], equation="ij->i"), {"adds": 9}),
    # 2·3·4 for the first pair, 2·4·5 for the second
    ("Einsum of three matrices",
     layer("Einsum", [(2, 3), (3, 4), (4, 5)], [(2, 5)], equation="ij,jk,kl->il"), {"macs": 64}),
    ("Einsum of an outer product",
     layer("Einsum", [(3,), (4,)], [(3, 4)], equation="i,j->ij"), {"multiplies": 12}),
    # the batch hides behind the dots: 7·2·3·4
    ("Einsum with dots",
     layer("Einsum", [(7, 2, 3), (7, 3, 4)], [(7, 2, 4)], equation="...ij,...jk->...ik"),
     {"macs": 168}),
    # two rows of 5: 4 comparisons, 5 differences and 4 sums, 5 exponentials, 5 quotients
    ("Softmax", layer("Softmax", [(2, 5)], [(2, 5)]),
     {"adds": 18, "divisions": 10, "exponentials": 10, "comparisons": 8}),
    # two rows of 3·4 = 12
    ("Softmax before opset 13",
     layer("Softmax", [(2, 3, 4)], [(2, 3, 4)], opset=11),
     {"adds": 46, "divisions": 24, "exponentials": 24, "comparisons": 22}),
    # a row of 8: mean 7 adds and a quotient, 8 differences, 8 squares, 7 adds, a quotient, epsilon,
    # root, reciprocal, 8 products, 8 scales, 8 biases; two rows
    ("LayerNormalization",
     layer("LayerNormalization", [(2, 8), (8,), (8,)], [(2, 8)]),
     {"adds": 62, "multiplies": 48, "divisions": 6, "exponentials": 2}),
    # 36 elements, a product and a sum each; four channels: epsilon, root, quotient, mean · a, b - …
    ("BatchNormalization",
     layer("BatchNormalization", [(1, 4, 3, 3), (4,), (4,), (4,), (4,)], [(1, 4, 3, 3)]),
     {"adds": 44, "multiplies": 40, "divisions": 4, "exponentials": 4}),
    # 2 items · 2 groups of 8 elements: (7+8+7+1) · 4 = 92 adds and 32 biases
    ("GroupNormalization",
     layer("GroupNormalization", [(2, 4, 2, 2), (4,), (4,)], [(2, 4, 2, 2)], num_groups=2),
     {"adds": 92 + 32, "multiplies": 3 * 32, "divisions": 12, "exponentials": 4}),
    # rows of 4: 4 squares, 3 adds, a quotient, epsilon, root, reciprocal, 4 products, 4 scales
    ("RMSNormalization", layer("RMSNormalization", [(3, 4), (4,)], [(3, 4)]),
     {"adds": 12, "multiplies": 36, "divisions": 6, "exponentials": 3}),
    # 32 elements: a square, 4 adds, times alpha, plus bias, a power, a quotient
    ("LRN", layer("LRN", [(1, 8, 2, 2)], [(1, 8, 2, 2)], size=5),
     {"adds": 160, "multiplies": 64, "divisions": 32, "exponentials": 32}),
    # 64·56·56 = 200,704 outputs of 8 comparisons
    ("MaxPool",
     layer("MaxPool", [(1, 64, 112, 112)], [(1, 64, 56, 56)], kernel_shape=[3, 3], strides=[2, 2]),
     {"comparisons": 1_605_632}),
    ("AveragePool", layer("AveragePool", [(1, 1, 4, 4)], [(1, 1, 2, 2)], kernel_shape=[2, 2]),
     {"adds": 12, "divisions": 4}),
    # 512 channels of 49 elements
    ("GlobalAveragePool", layer("GlobalAveragePool", [(1, 512, 7, 7)], [(1, 512, 1, 1)]),
     {"adds": 24_576, "divisions": 512}),
    ("ReduceMean", layer("ReduceMean", [(2, 3, 4)], [(2, 3)]), {"adds": 18, "divisions": 6}),
    # rows of 3: 2 comparisons, 3 differences, 3 exponentials, 2 sums, a logarithm, the largest
    ("ReduceLogSumExp", layer("ReduceLogSumExp", [(2, 3)], [(2,)]),
     {"adds": 12, "exponentials": 8, "comparisons": 4}),
    ("ArgMax", layer("ArgMax", [(4, 10)], ["int64 4"]), {"comparisons": 36}),
    ("CumSum", layer("CumSum", [(2, 5), "int64"], [(2, 5)], values={1: (1,)}), {"adds": 8}),
    # 4 steps · 2 items · 4 gates · 5 units · (3 + 5); a unit: 4·3 sums, 3 sigmoids, 2 tanh, f·c,
    # i·g, o·h and a sum, for 8 · 5 = 40 units
    ("LSTM",
     layer("LSTM", [(4, 2, 3), (1, 20, 3), (1, 20, 5), (1, 40)], [(4, 1, 2, 5)], hidden_size=5),
     {"macs": 1_280, "adds": 40 * (12 + 3 + 1), "multiplies": 40 * 3, "divisions": 40 * 3,
      "exponentials": 40 * 5}),
    # both directions: 10 · 2 · 4·20·(20 + 20) for 10 steps
    ("LSTM in both directions",
     layer("LSTM", [(10, 1, 20), (2, 80, 20), (2, 80, 20)], [(10, 2, 1, 20)],
           direction="bidirectional", hidden_size=20),
     {"macs": 64_000, "adds": 400 * (4 + 3 + 1), "multiplies": 1_200, "divisions": 1_200,
      "exponentials": 2_000}),
    # 3 steps · 3 gates · 4 units · (2 + 4); a unit: 3 sums, 2 sigmoids, a tanh, r·h, (1-z)·n, z·h,
    # two sums, for 12 units
    ("GRU", layer("GRU", [(3, 1, 2), (1, 12, 2), (1, 12, 4)], [(3, 1, 1, 4)], hidden_size=4),
     {"macs": 216, "adds": 12 * (3 + 2 + 2), "multiplies": 36, "divisions": 24,
      "exponentials": 36}),
    # 3 steps · 2 items · 4 units · (2 + 4); three sums and a tanh a unit
    ("RNN",
     layer("RNN", [(3, 2, 2), (1, 4, 2), (1, 4, 4), (1, 8)], [(3, 1, 2, 4)], hidden_size=4),
     {"macs": 144, "adds": 72, "exponentials": 24}),
    # 8 heads · 4 queries · 6 keys = 192 scores of 16 products, and 16 for the values
    ("Attention with shared keys",
     layer("Attention", [(1, 8, 4, 16), (1, 2, 6, 16), (1, 2, 6, 16)], [(1, 8, 4, 16)], opset=23),
     {"macs": 6_144, "adds": 352, "multiplies": 192, "divisions": 192, "exponentials": 192,
      "comparisons": 160}),
    # 5 keys of the past and 3 new ones: 2·4·3·8 = 192 scores of 8 + 8; 24 rows of 8
    ("Attention with a past",
     layer("Attention",
           [(2, 3, 32), (2, 3, 32), (2, 3, 32), None, (2, 4, 5, 8), (2, 4, 5, 8)],
           [(2, 3, 32), (2, 4, 8, 8), (2, 4, 8, 8)], opset=23, q_num_heads=4, kv_num_heads=4),
     {"macs": 3_072, "adds": 24 * 15, "multiplies": 192, "divisions": 192, "exponentials": 192,
      "comparisons": 24 * 7}),
    # 32 heads meet 128 keys of width 128, one token: 4,096 scores; 40 heads · 128 turned; one mask
    ("GroupQueryAttention",
     layer("GroupQueryAttention",
           ["float16 1,1,4096", "float16 1,1,1024", "float16 1,1,1024", "float16 1,8,127,128",
            "float16 1,8,127,128", "int32 1", "int32"],
           ["float16 1,1,4096", "float16 1,8,128,128", "float16 1,8,128,128"], MS,
           num_heads=32, kv_num_heads=8, do_rotary=1),
     {"macs": 1_048_576, "adds": 4_096 + 32 * 255 + 5_120, "multiplies": 4_096 + 10_240,
      "divisions": 4_096, "exponentials": 4_096, "comparisons": 32 * 127}),
    # 4·32·96 for the projection; 4 heads · 4·4 = 64 scores of 8 + 8; 384 biases; 16 rows of 4
    ("contrib Attention",
     layer("Attention", [(1, 4, 32), (32, 96), (96,)], [(1, 4, 32)], MS, num_heads=4),
     {"macs": 12_288 + 1_024, "adds": 384 + 16 * 7, "multiplies": 64, "divisions": 64,
      "exponentials": 64, "comparisons": 48}),
    # 2 heads · 3 queries · 5 keys = 30 scores of 4 + 4; 6 rows of 5
    ("MultiHeadAttention",
     layer("MultiHeadAttention", [(1, 3, 8), (1, 5, 8), (1, 5, 8)], [(1, 3, 8)], MS, num_heads=2),
     {"macs": 240, "adds": 54, "multiplies": 30, "divisions": 30, "exponentials": 30,
      "comparisons": 24}),
    # 48 elements, each a sum of two products
    ("RotaryEmbedding",
     layer("RotaryEmbedding", [(1, 2, 3, 8), (3, 4), (3, 4)], [(1, 2, 3, 8)], opset=23),
     {"adds": 48, "multiplies": 96}),
    # 6 tokens, 2 of 4 experts: 12 rows through 8·16 and 16·8; a router's softmax of 6 rows of 4
    ("MoE",
     layer("MoE", [(6, 8), (6, 4), (4, 16, 8), None, (4, 8, 16)], [(6, 8)], MS, k=2,
           activation_type="relu"),
     {"macs": 12 * 256, "adds": 6 * 8 + 6 * 7, "multiplies": 12 * 8, "divisions": 24,
      "exponentials": 24, "comparisons": 12 * 16 + 18}),
    # the same experts in 4 bits, gated by SwiGLU, with biases: 12 rows of 3·8·16 products, of 2·16
    # and 8 biases; 12·16 = 192 units: a sigmoid, two products; 48 sums and 96 products of results
    ("QMoE",
     layer("QMoE",
           [(6, 8), (6, 4), "uint8 4,32,4", (4, 32), (4, 32), "uint8 4,8,8", (4, 8), (4, 8)],
           [(6, 8)], MS, k=2, activation_type="swiglu", swiglu_fusion=1),
     {"macs": 12 * 384, "adds": 192 + 12 * 32 + 12 * 8 + 48 + 42, "multiplies": 2 * 192 + 96,
      "divisions": 192 + 24, "exponentials": 192 + 24, "comparisons": 18}),
    # gate and value: 2·(3 rows · 4·5), both sets of weights 2·20 shifted and scaled; SiLU · value
    ("MatMulNBitsMlp",
     layer("MatMulNBitsMlp",
           [(3, 4), None, None, "uint8 5,1,8", (5,), None, "uint8 5,1,8", (5,)], [(3, 5)], MS,
           K=4, N=5, bits=4, block_size=16),
     {"macs": 120, "adds": 40 + 15, "multiplies": 40 + 30, "divisions": 15, "exponentials": 15}),
    # a product of 4 for each of 6 rows, its sigmoid, then a product and a sum for 6·8 elements
    ("GatedAdd",
     layer("GatedAdd", [(2, 3, 8), (2, 3, 8), (2, 3, 4), (4, 1)], [(2, 3, 8)], MS),
     {"macs": 24, "adds": 48 + 6, "multiplies": 48, "divisions": 6, "exponentials": 6}),
    # two groups of 4 in each of 3 rows: 4 squares, 3 adds, a quotient, epsilon, root, reciprocal,
    # 4 products, 4 scales; then the gate's sigmoid, its product and that with the gate
    ("GatedRMSNorm",
     layer("GatedRMSNorm", [(3, 8), (4,), (3, 8)], [(3, 8)], MS, activation="silu"),
     {"adds": 24 + 24, "multiplies": 72 + 48, "divisions": 12 + 24, "exponentials": 6 + 24}),
    # x, ½, erf(x/√2): three products, a sum
    ("Gelu", layer("Gelu", [(10,)], [(10,)]),
     {"adds": 10, "multiplies": 30, "exponentials": 10}),
    ("Relu", layer("Relu", [(2, 3)], [(2, 3)]), {"comparisons": 6}),
    ("Sum of three", layer("Sum", [(4,), (4,), (4,)], [(4,)]), {"adds": 8}),
    ("Clip with one limit", layer("Clip", [(4,), None, ()], [(4,)]), {"comparisons": 4}),
    ("QuantizeLinear", layer("QuantizeLinear", [(10,), "float32", "uint8"], ["uint8 10"]),
     {"adds": 10, "divisions": 10, "comparisons": 30}),
    ("DequantizeLinear without a zero point",
     layer("DequantizeLinear", ["int8 10", "float32"], [(10,)]), {"multiplies": 10}),
    # 192 outputs between 4 corners
    ("Resize, linear",
     layer("Resize", [(1, 3, 4, 4), None, None, "int64 4"], [(1, 3, 8, 8)], mode="linear"),
     {"adds": 576, "multiplies": 768}),
    ("Resize, nearest",
     layer("Resize", [(1, 3, 4, 4), None, None, "int64 4"], [(1, 3, 8, 8)], mode="nearest"), {}),
    # 2 · 8·3 and 3 · 8·3 for a transform of 8
    ("DFT", layer("DFT", [(1, 8, 1)], [(1, 8, 2)], opset=17, axis=1),
     {"adds": 72, "multiplies": 48}),
    # 3·2·5/6 = 5 multiply-accumulates, 3 quotients, 2 products on the diagonal
    ("Det", layer("Det", [(3, 3)], [()]), {"macs": 5, "multiplies": 2, "divisions": 3}),
    ("ScatterND that adds",
     layer("ScatterND", [(10, 4), "int64 2,1", (2, 4)], [(10, 4)], reduction="add"), {"adds": 8}),
    # 16 outputs of 8; the tensor added and Relu
    ("FusedConv",
     layer("FusedConv", [(1, 2, 5, 5), (1, 2, 2, 2), None, (1, 1, 4, 4)], [(1, 1, 4, 4)], MS,
           activation="Relu"),
     {"macs": 128, "adds": 16, "comparisons": 16}),
    ("LinearRegressor",
     layer("LinearRegressor", [(5, 3)], [(5, 2)], "ai.onnx.ml", targets=2),
     {"macs": 30, "adds": 10}),
]  # fmt: skip


@pytest.mark.parametrize(("made", "figures"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_operations_by_kind(made, figures):
    assert kinds(cost_of(made)) == figures


def test_there_are_at_least_forty_of_them():
    assert len({made.op_type for _, made, _ in CASES}) >= 40


@pytest.mark.parametrize(
    ("made", "figures"),
    [
        # a heap of 5: 2·1000 elements · 3 levels
        (layer("TopK", [(2, 1000), "int64 1"], [(2, 5), "int64 2,5"]), {"comparisons": 6_000}),
        # 12 elements · ceil(log2 12) = 4
        (layer("Unique", ["int64 12"], ["int64 12"]), {"comparisons": 48}),
        # 2 classes · 6 boxes · 3 kept = 36 overlaps; 12 scores · (1 + 3); 6 areas
        (layer("NonMaxSuppression", [(1, 6, 4), (1, 2, 6), "int64"], ["int64 6,3"],
               values={2: (3,)}),
         {"adds": 144 + 12, "multiplies": 36 + 6, "divisions": 36, "comparisons": 252 + 48}),
        # 2 heads · 1 query · 4 keys of the buffer = 8 scores of 4 + 4; a mask; 2 rows of 4
        (layer("SparseAttention",
               [(1, 1, 8), (1, 1, 8), (1, 1, 8), (1, 2, 4, 4), (1, 2, 4, 4), "int32 1,2",
                "int32 1,2", "int32", "int32 1"],
               [(1, 1, 8), (1, 2, 4, 4), (1, 2, 4, 4)], MS, num_heads=2, kv_num_heads=2),
         {"macs": 64, "adds": 8 + 14, "multiplies": 8, "divisions": 8, "exponentials": 8,
          "comparisons": 6}),
        # 3 rows meet at most 5 nodes
        (layer("TreeEnsembleRegressor", [(3, 4)], [(3, 1)], "ai.onnx.ml",
               nodes_featureids=[0, 1, 2, 0, 0]),
         {"adds": 15, "comparisons": 15}),
    ],
    ids=["TopK", "Unique", "NonMaxSuppression", "SparseAttention", "TreeEnsembleRegressor"],
)  # fmt: skip
def test_what_data_decide_is_a_bound_and_says_so(made, figures):
    cost = cost_of(made)
    assert kinds(cost) == figures
    assert "data" in cost.bound


def test_sequence_lengths_make_a_recurrent_cost_a_bound():
    full = layer("GRU", [(3, 1, 2), (1, 12, 2), (1, 12, 4)], [(3, 1, 1, 4)], hidden_size=4)
    short = layer(
        "GRU",
        [(3, 1, 2), (1, 12, 2), (1, 12, 4), None, "int32 1"],
        [(3, 1, 1, 4)],
        hidden_size=4,
    )
    assert not cost_of(full).bound
    assert "sequence_lens" in cost_of(short).bound
    assert cost_of(full).operations == cost_of(short).operations


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (layer("Conv", [(1, 3, 8, 8), (4, 3, 3, 3)], [(1, 4, None, 6)]), "the size ?"),
        (layer("NoSuchThing", [(1,)], [(1,)]), "not known here"),
        (layer("RandomNormalLike", [(4,)], [(4,)]), "random"),
        (layer("FusedConv", [(1, 1, 4, 4), (1, 1, 1, 1)], [(1, 1, 4, 4)], MS, activation="Foo"),
         "'Foo'"),
        (layer("MaxPool", [(1, 1, 4, 4)], [(1, 1, 2, 2)]), "kernel_shape"),
        (layer("Conv", [(1, 3, 8, 8)], [(1, 4, 6, 6)]), "no input 1"),
        (layer("GroupNormalization", [(2, 4)], [(2, 4)], num_groups="many"), "do not fit"),
        (layer("Einsum", [(2, 3)], [(2,)], equation="abc->a"), "does not fit"),
        (layer("RoiAlign", [(1, 3, 8, 8), (2, 4), "int64 2"], [(2, 3, 2, 2)]), "sampling_ratio"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_never_zero(made, reason):
    cost = cost_of(made)
    assert cost.operations is None
    assert reason in cost.unknown
    assert cost.at_least
    assert not cost.modelled
    assert cost.intensity is None


@pytest.mark.parametrize(
    "operator", ["ReduceSum", "ReduceMax", "ReduceMean", "ReduceProd", "ReduceL2", "ArgMax"]
)
def test_a_reduction_over_nothing_is_known(operator):
    found = cost_of(layer(operator, [(0, 16)], [(1, 16)], axis="0", axes="[0]"))
    assert found.unknown == ""
    assert found.operations is not None
    assert found.operations.adds == found.operations.comparisons == found.operations.multiplies == 0


def test_a_running_sum_over_nothing_is_known():
    assert cost_of(layer("CumSum", [(0, 16), "int64 "], [(0, 16)], values={1: (0,)})).unknown == ""
