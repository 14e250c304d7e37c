"""Scaled dot-product attention over heads, with all that onnxruntime's operators add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch


@dataclass(frozen=True, slots=True)
class Scoring:
    """How scores become weights."""

    scale: float = 0.0
    """0 for one over the root of a head's size."""
    softcap: float = 0.0
    sinks: Any = None
    """A term a head in the softmax's denominator, as a logarithm; None for none."""

    def attend(self, q: Any, k: Any, v: Any, bias: Any) -> Any:
        """Queries [batch, heads, tokens, head] over keys and values, of which there may be fewer.

        `bias` is added to the scores: 0 where a key is seen, or None.
        """
        scale = self.scale or None
        if not self.softcap and self.sinks is None:
            return F.scaled_dot_product_attention(
                q, k, v, bias, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
            )
        times = q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(times, 1) if times > 1 else x for x in (k, v))
        scores = torch.matmul(q, k.transpose(-1, -2)).float()
        scores = scores * (scale or q.shape[-1] ** -0.5)
        if self.softcap:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        scores = scores if bias is None else scores + bias
        return torch.matmul(self._weights(scores).to(v.dtype), v)

    def _weights(self, scores: Any) -> Any:
        if self.sinks is None:
            return torch.softmax(scores, -1)
        sinks = self.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.softmax(torch.cat((scores, sinks), -1), -1)[..., :-1]


def hidden(seen: Any, dtype: Any, value: float = float("-inf")) -> Any:
    """A bias of 0 where a key is seen, else `value`."""
    zeros = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return zeros.masked_fill(~seen, value)


def causal(queries: int, keys: int, device: Any) -> Any:
    """Which key each query sees [queries, keys], where the last query sees the last key."""
    ones = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return ones.tril(keys - queries)


def added(*terms: Any) -> Any:
    """The sum of the biases that are there; None without any."""
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total
