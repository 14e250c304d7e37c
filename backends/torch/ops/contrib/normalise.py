"""Normalisations with what stands around them: skip connections, biases, embeddings."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Table

_EPSILON = 1e-12


def _wide(x: Any) -> Any:
    return x.float() if x.element_size() < 4 else x


def _summed(x: Any, skip: Any, bias: Any) -> Any:
    total = x + skip
    return total if bias is None else total + bias


def _skip_layer(
    x: Any, skip: Any, scale: Any, shift: Any = None, bias: Any = None, *,
    epsilon: float = _EPSILON, outputs: int = 1,
) -> Any:  # fmt: skip
    """Outputs: the normalised sum, its mean, its inverse deviation, and the sum."""
    total = _summed(x, skip, bias)
    size = (total.shape[-1],)
    done = F.layer_norm(_wide(total), size, _cast(scale, total), _cast(shift, total), epsilon)
    done = done.to(x.dtype)
    if outputs == 1:
        return done
    wide = _wide(total)
    mean = wide.mean(-1, keepdim=True)
    spread = torch.rsqrt(wide.var(-1, correction=0, keepdim=True) + epsilon)
    return (done, mean, spread, total)[:outputs]


def _cast(parameter: Any, total: Any) -> Any:
    """A scale or shift in the type that the normalisation computes in."""
    return None if parameter is None else parameter.to(_wide(total).dtype)


def rms(x: Any, scale: Any, epsilon: float) -> tuple[Any, Any]:
    """Elements over the root of their mean square along the last axis, scaled; and 1 / root."""
    wide = _wide(x)
    spread = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * spread * _cast(scale, x)).to(x.dtype), spread


def _skip_rms(
    x: Any, skip: Any, scale: Any, bias: Any = None, *, epsilon: float = _EPSILON, outputs: int = 1
) -> Any:
    """Outputs: the normalised sum, two that nobody fills, and the sum."""
    total = _summed(x, skip, bias)
    done, spread = rms(total, scale, epsilon)
    return done if outputs == 1 else (done, torch.zeros_like(spread), spread, total)[:outputs]


def simplified(
    x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1,
    outputs: int = 1,
) -> Any:  # fmt: skip
    """SimplifiedLayerNormalization: no mean is taken out."""
    del stash_type
    first = axis % x.dim()
    wide = _wide(x)
    spread = torch.rsqrt(wide.square().mean(tuple(range(first, x.dim())), keepdim=True) + epsilon)
    done = (wide * spread * _cast(scale, x)).to(x.dtype)
    return done if outputs == 1 else (done, spread)


def _embeddings(
    ids: Any, segments: Any, words: Any, places: Any, kinds: Any, scale: Any, shift: Any,
    mask: Any = None, positions: Any = None, *, epsilon: float = _EPSILON,
    mask_index_type: int = 0, outputs: int = 1,
) -> Any:  # fmt: skip
    """Words, positions and segments are looked up, added and normalised."""
    del mask_index_type
    if positions is None:
        positions = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
    total = F.embedding(ids.long(), words) + F.embedding(positions.long(), places)
    if segments is not None:
        total = total + F.embedding(segments.long(), kinds)
    done = F.layer_norm(
        _wide(total), (total.shape[-1],), _cast(scale, total), _cast(shift, total), epsilon
    ).to(total.dtype)
    if outputs == 1:
        return done
    zeros = torch.zeros(ids.shape[0], dtype=torch.int32, device=ids.device)
    lengths = zeros if mask is None else mask.sum(1).to(torch.int32)
    return (done, lengths, total)[:outputs]


def table() -> Table:
    """Operator to function."""
    return {
        "SkipLayerNormalization": _skip_layer,
        "SkipSimplifiedLayerNormalization": _skip_rms,
        "SimplifiedLayerNormalization": simplified,
        "EmbedLayerNormalization": _embeddings,
    }
