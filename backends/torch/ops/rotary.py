"""Rotary embeddings: pairs of elements, turned by the angle of their token's position."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table


def turned(x: Any, cos: Any, sin: Any, interleaved: bool) -> Any:
    """`x` [batch, heads, tokens, head] turned; `cos` and `sin` are [batch or 1, tokens, half].

    Where `half` is less than half a head, the elements behind stay as they are.
    """
    part = 2 * cos.shape[-1]
    cos, sin = cos.unsqueeze(1).to(x.dtype), sin.unsqueeze(1).to(x.dtype)
    moved, rest = x[..., :part], x[..., part:]
    if interleaved:
        left, right = moved[..., 0::2], moved[..., 1::2]
    else:
        left, right = moved.chunk(2, -1)
    pair = (left * cos - right * sin, right * cos + left * sin)
    made = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
    return torch.cat((made, rest), -1) if rest.shape[-1] else made


def by_heads(x: Any, count: int) -> Any:
    """[batch, heads, tokens, head] of [batch, tokens, heads · head]."""
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def side_by_side(x: Any) -> Any:
    """[batch, tokens, heads · head] of [batch, heads, tokens, head]."""
    return x.transpose(1, 2).flatten(2)


def _turned_input(x: Any, cos: Any, sin: Any, heads: int, interleaved: int) -> Any:
    if x.dim() == 4:
        return turned(x, cos, sin, bool(interleaved))
    count = heads or x.shape[-1] // (2 * cos.shape[-1])
    return side_by_side(turned(by_heads(x, count), cos, sin, bool(interleaved)))


def standard(
    x: Any, cos: Any, sin: Any, positions: Any = None, *, interleaved: int = 0,
    num_heads: int = 0, rotary_embedding_dim: int = 0,
) -> Any:  # fmt: skip
    """ONNX's RotaryEmbedding; without positions the tables are those of the tokens."""
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    if rotary_embedding_dim:
        cos, sin = (table[..., : rotary_embedding_dim // 2] for table in (cos, sin))
    return _turned_input(x, cos, sin, num_heads, interleaved)


def table() -> Table:
    """Operator to function."""
    return {"RotaryEmbedding": standard}
