"""Linear attention and convolutions over a state: what recurrent decoders have for a cache."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Table
from onnxprof.errors import BackendError

_ACTIVATIONS = ("", "none", "silu", "swish")


def _linear(
    query: Any, key: Any, value: Any, past: Any = None, decay: Any = None, beta: Any = None, *,
    q_num_heads: int, kv_num_heads: int, update_rule: str = "gated_delta", scale: float = 0.0,
    chunk_size: int = 0, state_window: int = 0, outputs: int = 2,
) -> Any:  # fmt: skip
    """A state [keys, values] for each head, updated token by token."""
    del chunk_size
    if state_window:
        raise BackendError("windows of states of LinearAttention are not supported")
    q, k, v = (
        x.unflatten(-1, (count, -1)).float()
        for x, count in ((query, q_num_heads), (key, kv_num_heads), (value, kv_num_heads))
    )
    batch, tokens, heads, width = k.shape
    state = k.new_zeros(batch, heads, width, v.shape[-1]) if past is None else past.float()
    gates = None if decay is None or "gated" not in update_rule else _gates(decay, k)
    rates = None
    if beta is not None and "delta" in update_rule:
        rates = beta.float().expand(batch, tokens, heads).unsqueeze(-1)
    most = max(q_num_heads, kv_num_heads)
    results = []
    for at in range(tokens):
        state = state if gates is None else state * gates[:, at]
        fresh = v[:, at]
        if rates is not None:
            fresh = rates[:, at] * (fresh - _read(k[:, at], state))
        state = state + k[:, at].unsqueeze(-1) * fresh.unsqueeze(-2)
        asked, held = _shared(q[:, at], most), _shared(state, most)
        results.append(_read(asked, held) * (scale or width**-0.5))
    done = torch.stack(results, 1).flatten(2).to(query.dtype)
    kept = state.to(query.dtype if past is None else past.dtype)
    return done if outputs == 1 else (done, kept)


def _gates(decay: Any, keys: Any) -> Any:
    """[batch, tokens, heads, keys or 1, 1]: the decay of a head, or of each key of it."""
    apart = decay.float().unflatten(-1, (keys.shape[2], -1))
    return torch.exp(apart).unsqueeze(-1)


def _read(asked: Any, state: Any) -> Any:
    return torch.matmul(asked.unsqueeze(-2), state).squeeze(-2)


def _shared(x: Any, heads: int) -> Any:
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


def _convolution(
    x: Any, weights: Any, bias: Any = None, past: Any = None, *, activation: str = "none",
    ndim: int = 1, channels_last: int = 0, state_window: int = 0, outputs: int = 2,
) -> Any:  # fmt: skip
    """Each channel [batch, channels, tokens] over itself and the tokens before it."""
    if ndim != 1 or channels_last or state_window or activation not in _ACTIVATIONS:
        raise BackendError("only CausalConvWithState along one last axis is supported")
    before = weights.shape[-1] - 1
    if past is None:
        past = x.new_zeros(*x.shape[:2], before)
    whole = torch.cat((past, x), -1)
    done = F.conv1d(whole, weights, bias, groups=x.shape[1])
    if activation in ("silu", "swish"):
        done = F.silu(done)
    kept = whole[..., whole.shape[-1] - before :]
    return done if outputs == 1 else (done, kept)


def table() -> Table:
    """Operator to function."""
    return {"LinearAttention": _linear, "CausalConvWithState": _convolution}
