"""Shapes of onnxruntime's own operators, as a table.

Facts are from onnxruntime's docs/ContribOperators.md. Outputs other than an operator's first
have rules where exporters and optimisers use them, else no type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from onnx import NodeProto, TensorProto

from onnxprof.model.shapes.rules import attention, sizes, stand_ins
from onnxprof.model.shapes.rules.call import Call, Rule, Types, broadcast, matmul
from onnxprof.model.shapes.rules.scope import shape_of
from onnxprof.records.layer import Dim, Shape

_DOMAINS = ("com.microsoft", "com.microsoft.experimental", "com.ms.internal.nhwc")
_FLOAT, _INT32, _BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.BOOL


def rule_of(node: NodeProto) -> Rule | None:
    """The rule of an onnxruntime operator, also in the default domain; None without one."""
    if node.domain in _DOMAINS or node.op_type in _IN_DEFAULT_DOMAIN:
        return RULES.get(node.op_type)
    return None


#: onnxruntime's optimiser puts these into the default domain.
_IN_DEFAULT_DOMAIN = ("SimplifiedLayerNormalization", "FusedConv", "FusedGemm", "Gelu")


def _like(call: Call, position: int = 0, elements: int | None = None) -> Types:
    return call.types(call.shape(position), elements=elements or call.elements(position))


def _normalised(call: Call) -> Types:
    """Outputs: the normalised tensor, mean, inverse deviation, and the sum before normalisation."""
    shape = call.shape(0)
    reduced = None if shape is None else (*shape[:-1], 1)
    whole = call.types(shape)[0]
    return [whole, *call.types(reduced, reduced, elements=_FLOAT), whole]


def _simplified(call: Call) -> Types:
    shape, axis = call.shape(0), call.integer("axis", -1)
    if shape is None or not -len(shape) <= axis < len(shape):
        return [None] * len(call.node.output)
    at = axis % len(shape)
    reduced = tuple(1 if i >= at else size for i, size in enumerate(shape))
    return [*call.types(shape), *call.types(reduced, elements=_FLOAT)]


def _skip_group(call: Call) -> Types:
    return [*_like(call), *_like(call)]


def _broadcast(call: Call, positions: tuple[int, ...] = ()) -> Types:
    chosen = positions or tuple(range(len(call.node.input)))
    shape = broadcast(*(call.shape(i) for i in chosen))
    return call.types(shape, elements=call.elements(chosen[-1]))


def _dropout(call: Call) -> Types:
    shape = call.shape(0)
    return [*call.types(shape), *call.types(shape, elements=_BOOL)]


def _halved(call: Call) -> Types:
    shape = call.shape(0)
    return call.types(None if not shape else (*shape[:-1], sizes.divide(shape[-1], 2)))


def _turned(shape: Shape, turned: int, batch_turned: int) -> Shape:
    """The shape as FusedMatMul transposes it: batch axes shifted, then the last two swapped."""
    if shape is None or len(shape) < 2:
        return shape
    out = list(shape)
    if batch_turned:
        out = [*out[1:-1], out[0], out[-1]]
    if turned:
        out[-2], out[-1] = out[-1], out[-2]
    return tuple(out)


def _fused_matmul(call: Call) -> Types:
    a, b = (
        _turned(call.shape(i), call.integer(f"trans{side}"), call.integer(f"transBatch{side}"))
        for i, side in enumerate("AB")
    )
    return call.types(matmul(a, b))


def _matmul(call: Call, weights: int = 1, scale: int = -1) -> Types:
    elements = call.elements(scale) if scale >= 0 else _FLOAT
    return call.types(matmul(call.shape(0), call.shape(weights)), elements=elements or _FLOAT)


def _packed_matmul(call: Call) -> Types:
    """Weights packed to few bits; attribute N is the number of columns."""
    shape = call.shape(0)
    return call.types(None if not shape else (*shape[:-1], call.attribute("N")))


def _gated_matmul(call: Call) -> Types:
    """Outputs: the product, and the sum that was normalised."""
    return [*_packed_matmul(call), *_like(call)]


def _three_matmuls(call: Call) -> Types:
    """Outputs: queries, keys, values, and the sum that was normalised."""
    shape = call.shape(0)
    columns = [call.attribute(name) for name in ("Nq", "Nkv", "Nkv")]
    return call.types(*(None if not shape else (*shape[:-1], n) for n in columns), shape)


def _rows_of_weights(call: Call) -> Types:
    """Weights [columns, inner], perhaps packed along the second axis."""
    shape, weights = call.shape(0), call.shape(1)
    return call.types(None if not shape or not weights else (*shape[:-1], weights[0]))


def _gemm(call: Call, b: int = 1) -> Types:
    left, right = call.shape(0), call.shape(b)
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return call.types((None, None))
    rows = left[1 if call.integer("transA") else 0]
    return call.types((rows, right[0 if call.integer("transB") else 1]))


def _qgemm(call: Call) -> Types:
    types = _gemm(call, 3)
    elements = call.elements(8) if call.name(8) else _FLOAT
    return _as(types, elements, call)


def _as(types: Types, elements: int, call: Call) -> Types:
    return [t and call.types(shape_of(t), elements=elements)[0] for t in types]


def _embed(call: Call) -> Types:
    ids, table = call.shape(0), call.shape(2)
    width = table[1] if table is not None and len(table) == 2 else None
    batch: Dim = ids[0] if ids else None
    whole = None if ids is None else (*ids, width)
    main = call.types(whole, elements=call.elements(2))
    return [*main, *call.types((batch,), elements=_INT32), *main]


def _quantised_embed(call: Call) -> Types:
    ids, table = call.shape(0), call.shape(2)
    width = table[1] if table is not None and len(table) == 2 else None
    whole = None if ids is None else (*ids, width)
    front: Dim = ids[0] if ids else None
    return [*call.types(whole, elements=_FLOAT), *call.types((front,), elements=_INT32)]


def _gather_quantised(call: Call) -> Types:
    data, indices = call.shape(0), call.shape(1)
    if data is None or indices is None:
        return call.types(None, elements=call.elements(2))
    axis = call.integer("gather_axis") % len(data)
    if call.elements(0) == TensorProto.UINT8:
        packed = sizes.multiply(data[-1], 8 // max(call.integer("bits", 4), 1))
        data = (*data[:-1], packed)
    shape = (*data[:axis], *indices, *data[axis + 1 :])
    return call.types(shape, elements=call.elements(2))


def _torch_embedding(call: Call) -> Types:
    table, ids = call.shape(0), call.shape(1)
    return call.types(None if not table or ids is None else (*ids, table[-1]))


def _qconcat(call: Call) -> Types:
    shapes = [call.shape(i) for i in range(2, len(call.node.input), 3)]
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) != len(shapes) or len({len(s) for s in known}) != 1:
        return call.types(None, elements=call.elements(2))
    axis = call.integer("axis") % len(known[0])
    out = list(known[0])
    out[axis] = sizes.add(*(shape[axis] for shape in known))
    return call.types(tuple(out), elements=call.elements(2))


def _qglobal_pool(call: Call) -> Types:
    shape = call.shape(0)
    if shape is None:
        return call.types(None)
    if call.integer("channels_last"):
        return call.types((shape[0], *(1,) * (len(shape) - 2), shape[-1]))
    return call.types((*shape[:2], *(1,) * (len(shape) - 2)))


def _cdist(call: Call) -> Types:
    a, b = call.shape(0), call.shape(1)
    return call.types((a[0] if a else None, b[0] if b else None))


def _quantised_lstm(call: Call) -> Types:
    """X [length, batch, inputs], W [directions, inputs, 4 · hidden]."""
    x, weights = call.shape(0), call.shape(1)
    directions = weights[0] if weights else None
    hidden = call.attribute("hidden_size")
    length, batch = x[:2] if x is not None and len(x) == 3 else (None, None)
    state = (directions, batch, hidden)
    return call.types((length, directions, batch, hidden), state, state)


def _relative_bias(call: Call) -> Types:
    table = call.shape(0)
    heads = table[1] if table is not None and len(table) == 2 else None
    return call.types((1, heads, call.scalar(1), call.scalar(2)))


def _hashed(call: Call) -> Types:
    return _like(call, 0, TensorProto.UINT32 if call.integer("positive", 1) else _INT32)


_UNARY = (
    *("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "BiasSoftmax", "BiasAdd", "Inverse", "Trilu"),
    *("GroupNorm", "NhwcGroupNorm", "RotaryEmbedding", "MoE", "QMoE", "LongformerAttention"),
    *("MRotaryEmbedding", "GatedRMSNorm"),
    *("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearRelu", "QuickGelu"),
    *("ParametricSoftplus", "ScaledTanh", "ThresholdedRelu", "Affine", "ImageScaler"),
    *("GemmaRotaryEmbedding", "QOrderedGelu", "QOrderedLayerNormalization", "DecoderAttention"),
)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_UNARY, _like),
    "SkipLayerNormalization": _normalised,
    "SkipSimplifiedLayerNormalization": _normalised,
    "SimplifiedLayerNormalization": _simplified,
    "SkipGroupNorm": _skip_group,
    "BiasDropout": _dropout,
    "BiasSplitGelu": _halved,
    "ComplexMul": _broadcast,
    "ComplexMulConj": _broadcast,
    "QLinearAdd": partial(_broadcast, positions=(0, 3)),
    "QLinearMul": partial(_broadcast, positions=(0, 3)),
    "QLinearWhere": partial(_broadcast, positions=(0, 1, 4)),
    "QLinearConcat": _qconcat,
    "QLinearGlobalAveragePool": _qglobal_pool,
    "FusedMatMul": _fused_matmul,
    "FusedMatMulActivation": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "GemmFastGelu": _matmul,
    "DynamicQuantizeMatMul": _matmul,
    "MatMulIntegerToFloat": partial(_matmul, scale=2),
    "MatMulInteger16": lambda call: _as(_matmul(call), _INT32, call),
    "MatMulNBits": _packed_matmul,
    "MatMulBnb4": _packed_matmul,
    "MatMulNBitsMlp": _gated_matmul,
    "MatMulNBitsQkv": _three_matmuls,
    "MatMulBlockQuantizedFp4Weight": _rows_of_weights,
    "MatMulBlockQuantizedFp8Weight": _rows_of_weights,
    "FusedGemm": _gemm,
    "GemmFloat8": lambda call: _as(_gemm(call), call.integer("dtype", 1), call),
    "QGemm": _qgemm,
    "EmbedLayerNormalization": _embed,
    "QEmbedLayerNormalization": _quantised_embed,
    "GatherBlockQuantized": _gather_quantised,
    "TorchEmbedding": _torch_embedding,
    "CDist": _cdist,
    "DynamicQuantizeLSTM": _quantised_lstm,
    "RelativePositionBias": _relative_bias,
    "MurmurHash3": _hashed,
    **attention.RULES,
    **stand_ins.RULES,
}
