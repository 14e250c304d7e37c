"""com.microsoft's RotaryEmbedding."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table
from onnxprof.backends.torch.ops.rotary import standard
from onnxprof.errors import BackendError


def _contrib(
    x: Any, positions: Any, cos: Any, sin: Any, *, interleaved: int = 0, num_heads: int = 0,
    rotary_embedding_dim: int = 0, is_packed_batching: int = 0, scale: float = 1.0,
) -> Any:  # fmt: skip
    """One position for all items is that of the first token."""
    if is_packed_batching or scale != 1.0:
        raise BackendError("packed batches and scales of RotaryEmbedding are not supported")
    tokens = x.shape[2 if x.dim() == 4 else 1]
    if positions.numel() == 1 and positions.dim() < 2:
        steps = torch.arange(tokens, device=positions.device)
        positions = (positions.reshape(1) + steps).unsqueeze(0)
    return standard(
        x, cos, sin, positions, interleaved=interleaved, num_heads=num_heads,
        rotary_embedding_dim=rotary_embedding_dim,
    )  # fmt: skip


def table() -> Table:
    """Operator to function."""
    return {"RotaryEmbedding": _contrib}
