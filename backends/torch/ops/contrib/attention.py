"""com.microsoft's Attention and MultiHeadAttention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table
from onnxprof.backends.torch.ops.contrib import grouped
from onnxprof.backends.torch.ops.contrib.scores import Scoring, added, causal, hidden
from onnxprof.backends.torch.ops.rotary import by_heads, side_by_side
from onnxprof.errors import BackendError

_FILTER = -10000.0


def _masked(mask: Any, q: Any, keys: int, value: float) -> Any:
    """A bias [batch, 1, queries or 1, keys] of a mask in one of the operators' forms."""
    if mask is None:
        return None
    batch, tokens = q.shape[0], q.shape[2]
    places = torch.arange(keys, device=q.device)
    if mask.dim() == 1 and mask.numel() == batch:  # how many keys count
        seen = places < mask.reshape(batch, 1)
    elif mask.dim() == 1 and mask.numel() == 2 * batch:  # their end, and where they begin
        ends, starts = mask.reshape(2, batch, 1)
        seen = (places < ends) & (places >= starts)
    elif mask.dim() == 2:
        seen = mask != 0
    elif mask.dim() == 3:
        return hidden(mask.unsqueeze(1) != 0, q.dtype, value)
    elif mask.dim() == 4:
        rows = mask[:, :, keys - tokens : keys, :keys]
        return hidden(rows != 0, q.dtype, value)
    else:
        raise BackendError(f"a mask of the shape {list(mask.shape)} is not supported")
    return hidden(seen[:, None, None, :], q.dtype, value)


def _looking_back(q: Any, keys: int, applies: int) -> Any:
    return hidden(causal(q.shape[2], keys, q.device), q.dtype) if applies else None


def _projected(
    x: Any, weights: Any, bias: Any = None, mask: Any = None, past: Any = None, extra: Any = None,
    length: Any = None, *, num_heads: int, unidirectional: int = 0,
    qkv_hidden_sizes: Sequence[int] = (), mask_filter_value: float = _FILTER, scale: float = 0.0,
    past_present_share_buffer: int = 0, do_rotary: int = 0, rotary_embedding_dim: int = 0,
    outputs: int = 1,
) -> Any:  # fmt: skip
    """com.microsoft.Attention: one product makes queries, keys and values."""
    del rotary_embedding_dim
    if length is not None or past_present_share_buffer or do_rotary:
        raise BackendError("shared buffers and rotation in com.microsoft.Attention")
    made = torch.matmul(x, weights)
    made = made if bias is None else made + bias
    sizes = list(qkv_hidden_sizes) or [made.shape[-1] // 3] * 3
    q, k, v = (by_heads(part, num_heads) for part in made.split(sizes, -1))
    if past is not None:
        k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
    keys = k.shape[2]
    seen = added(
        _masked(mask, q, keys, mask_filter_value), _looking_back(q, keys, unidirectional), extra
    )
    done = side_by_side(Scoring(scale).attend(q, k, v, seen))
    return done if outputs == 1 else (done, torch.stack((k, v)))


def _multi_head(
    query: Any, key: Any = None, value: Any = None, bias: Any = None, mask: Any = None,
    extra: Any = None, past_key: Any = None, past_value: Any = None, length: Any = None,
    beams: Any = None, *, num_heads: int, unidirectional: int = 0,
    mask_filter_value: float = _FILTER, scale: float = 0.0, outputs: int = 1,
) -> Any:  # fmt: skip
    """com.microsoft.MultiHeadAttention; outputs: the result, keys and values with the past's."""
    if length is not None or beams is not None or outputs > 3:
        raise BackendError("shared buffers, beams and scores of MultiHeadAttention")
    q, k, v = _parts(query, key, value, bias, num_heads)
    if past_key is not None:
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    keys = k.shape[2]
    seen = added(
        _masked(mask, q, keys, mask_filter_value), _looking_back(q, keys, unidirectional), extra
    )
    done = side_by_side(Scoring(scale).attend(q, k, v, seen))
    return done if outputs == 1 else (done, k, v)[:outputs]


def _parts(query: Any, key: Any, value: Any, bias: Any, heads: int) -> tuple[Any, Any, Any]:
    """[batch, heads, tokens, head] of queries, keys and values in one of their layouts."""
    if query.dim() == 5:  # [batch, tokens, heads, 3, head]
        q, k, v = (part.transpose(1, 2) for part in query.unbind(3))
        return q, k, v
    biases = _biases(bias, query.shape[-1])
    q = by_heads(query if bias is None else query + biases[0], heads)
    if key.dim() == 5:  # [batch, tokens, heads, 2, head]
        k, v = (part.transpose(1, 2) for part in key.unbind(3))
        return q, k, v
    if key.dim() == 4:
        return q, key, value
    if bias is not None:
        key, value = key + biases[1], value + biases[2]
    return q, by_heads(key, heads), by_heads(value, heads)


def _biases(bias: Any, width: int) -> Any:
    """The bias of queries, of keys (as wide) and of values (the rest)."""
    return () if bias is None else bias.split([width, width, bias.shape[0] - 2 * width])


def _quantised(
    x: Any, weights: Any, bias: Any, x_scale: Any, scale: Any, mask: Any = None, x_zero: Any = None,
    zero: Any = None, past: Any = None, *, num_heads: int, unidirectional: int = 0,
    do_rotary: int = 0, past_present_share_buffer: int = 0, mask_filter_value: float = _FILTER,
    outputs: int = 1,
) -> Any:  # fmt: skip
    """QAttention: the product is one of integers."""
    wide = x.float() - (0 if x_zero is None else x_zero.float())
    held = weights.float() - (0 if zero is None else zero.float())
    return _projected(
        wide * x_scale, held * scale, bias, mask, past, num_heads=num_heads,
        unidirectional=unidirectional, do_rotary=do_rotary,
        past_present_share_buffer=past_present_share_buffer,
        mask_filter_value=mask_filter_value, outputs=outputs,
    )  # fmt: skip


def table() -> Table:
    """Operator to function."""
    return {
        "Attention": _projected, "MultiHeadAttention": _multi_head, "QAttention": _quantised,
        **grouped.table(),
    }  # fmt: skip
