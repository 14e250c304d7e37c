"""Scaled dot-product attention in basic operators, for opsets without an Attention operator.

The formula: Vaswani et al. 2017, "Attention Is All You Need", equation 1; the meaning of the
masks: torch's documentation of `scaled_dot_product_attention`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir

#: The first opset with the operator.
ATTENTION_OPSET = 23


def translations(opset: int, *, zero_masked_rows: bool) -> dict[Callable[..., Any], Any]:
    """The translation table for torch's exporter: attention by operator.

    Where a mask excludes a whole row, torch's result is zero. `zero_masked_rows` keeps that,
    with two more nodes a layer; without it such a row attends to everything equally.
    """
    import torch

    if opset >= ATTENTION_OPSET:
        return {}
    operator = torch.ops.aten.scaled_dot_product_attention.default
    return {operator: _zeroing if zero_masked_rows else _plain}


def _zeroing(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention in torch's own signature; rows without a key yield zeros."""
    del dropout_p
    key, value = _grouped(query, key, enable_gqa), _grouped(query, value, enable_gqa)
    scores = _scores(query, key, scale)
    if is_causal:
        return _weighted(_masked(query, scores, _causal(query, key), -math.inf), value)
    if attn_mask is None:
        return _weighted(scores, value)
    if not _is_bool(attn_mask):
        return _weighted(_op().Add(scores, attn_mask), value)
    weights = _op().Softmax(_masked(query, scores, attn_mask, -math.inf), axis=-1)
    zero = _constant(0.0, query)
    return _op().MatMul(_op().Where(_op().IsNaN(weights), zero, weights), value)


def _plain(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention in torch's own signature; rows without a key attend to everything equally."""
    if attn_mask is None or not _is_bool(attn_mask):
        return _zeroing(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    key, value = _grouped(query, key, enable_gqa), _grouped(query, value, enable_gqa)
    scores = _scores(query, key, scale)
    return _weighted(_masked(query, scores, attn_mask, _lowest(query)), value)


def _op() -> Any:
    from onnxscript import opset18

    return opset18


def _constant(number: float, like: Any) -> Any:
    import onnx_ir as ir

    return _op().Constant(value=ir.tensor(number, dtype=like.dtype))


def _is_bool(mask: Any) -> bool:
    import onnx_ir as ir

    return bool(mask.dtype == ir.DataType.BOOL)


def _lowest(query: ir.Value) -> float:
    assert query.dtype is not None
    return float(query.dtype.min)


def _scores(query: Any, key: Any, scale: float | None) -> Any:
    """Shape [..., queries, keys]."""
    order = [*range(len(query.shape))]
    order[-2:] = order[-1], order[-2]
    product = _op().MatMul(query, _op().Transpose(key, perm=order))
    if scale is None and not isinstance(query.shape[-1], int):
        width = _op().CastLike(_op().Shape(query, start=-1), query)
        return _op().Div(product, _op().Sqrt(width))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return _op().Mul(product, _constant(factor, query))


def _masked(query: Any, scores: Any, mask: Any, lowest: float) -> Any:
    return _op().Where(mask, scores, _constant(lowest, query))


def _weighted(scores: Any, value: Any) -> Any:
    return _op().MatMul(_op().Softmax(scores, axis=-1), value)


def _causal(query: Any, key: Any) -> Any:
    """Which keys a query sees: those at its own position and before. Shape [queries, keys]."""
    rows = _op().Unsqueeze(_positions(query), [1])
    return _op().GreaterOrEqual(rows, _positions(key))


def _positions(tensor: Any) -> Any:
    length = _op().Squeeze(_op().Shape(tensor, start=-2, end=-1))
    return _op().Range(0, length, 1)


def _grouped(query: Any, key: Any, enabled: bool) -> Any:
    """Repeat each head of keys or values for the queries' heads that share it."""
    if not enabled or query.shape[1] == key.shape[1]:
        return key
    heads, shared = query.shape[1], key.shape[1]
    repeated = _op().Expand(_op().Unsqueeze(key, [2]), [1, 1, heads // shared, 1, 1])
    return _op().Reshape(repeated, [0, heads, -1, key.shape[-1]])
