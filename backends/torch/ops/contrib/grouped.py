"""com.microsoft.GroupQueryAttention: several queries share a key, and the cache may be a buffer."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table, on_host
from onnxprof.backends.torch.ops.contrib.normalise import rms
from onnxprof.backends.torch.ops.contrib.scores import Scoring, added, hidden
from onnxprof.backends.torch.ops.rotary import by_heads, side_by_side, turned
from onnxprof.backends.torch.ops.shape import numbers
from onnxprof.errors import BackendError


def _grouped(
    query: Any, key: Any, value: Any, past_key: Any, past_value: Any, last: Any, total: Any,
    cos: Any = None, sin: Any = None, positions: Any = None, extra: Any = None, sinks: Any = None,
    k_scale: Any = None, v_scale: Any = None, q_norm: Any = None, k_norm: Any = None, *,
    num_heads: int, kv_num_heads: int, causal: int = 1, do_rotary: int = 0,
    rotary_interleaved: int = 0, scale: float = 0.0, softcap: float = 0.0,
    smooth_softmax: int = 0, local_window_size: int = -1, qk_norm_epsilon: float = 1e-6,
    k_quant_type: str = "NONE", v_quant_type: str = "NONE", kv_cache_bit_width: int = 0,
    qk_output: int = 0, sliding_window_cache: int = 0, outputs: int = 1,
) -> Any:  # fmt: skip
    """Outputs: the result, and the cache with the new keys and values in it.

    `last` holds an item's number of tokens less one, those of the past included; `total` the
    largest number. Both are read on the host.
    """
    del kv_cache_bit_width
    kinds = {k_quant_type or "NONE", v_quant_type or "NONE"}
    if kinds != {"NONE"} or k_scale is not None or v_scale is not None:
        raise BackendError("a quantised cache of GroupQueryAttention is not supported")
    if sliding_window_cache or qk_output or outputs > 3:
        raise BackendError("windowed caches and scores of GroupQueryAttention are not supported")
    q, k, v = _parts(query, key, value, num_heads, kv_num_heads)
    if q_norm is not None:
        q, k = rms(q, q_norm, qk_norm_epsilon)[0], rms(k, k_norm, qk_norm_epsilon)[0]
    tokens, before = q.shape[2], _before(last, total, q.shape[2])
    if do_rotary:
        places = _places(before, tokens, q.device) if positions is None else positions
        q, k = (turned(x, cos[places], sin[places], bool(rotary_interleaved)) for x in (q, k))
    length = numbers(total)[0]
    kept_key, kept_value = (
        _cached(old, new, before, length) for old, new in ((past_key, k), (past_value, v))
    )
    # a buffer may be longer than what is kept in it
    keys, values = kept_key[:, :, :length], kept_value[:, :, :length]
    seen = _seen(before, tokens, length, local_window_size, bool(causal), q.device)
    if extra is not None:
        extra = extra[..., :length]
    if smooth_softmax and sinks is None:
        sinks = torch.zeros(num_heads, device=q.device)
    bias = added(None if seen is None else hidden(seen, q.dtype), extra)
    done = side_by_side(Scoring(scale, softcap, sinks).attend(q, keys, values, bias))
    return done if outputs == 1 else (done, kept_key, kept_value)[:outputs]


def _parts(query: Any, key: Any, value: Any, heads: int, shared: int) -> tuple[Any, Any, Any]:
    """[batch, heads, tokens, head]; keys and values may be packed behind the queries."""
    if key is None:
        head = query.shape[-1] // (heads + 2 * shared)
        query, key, value = query.split([heads * head, shared * head, shared * head], -1)
    return by_heads(query, heads), by_heads(key, shared), by_heads(value, shared)


def _before(last: Any, total: Any, tokens: int) -> list[int]:
    """How many tokens of each item are in the cache already: none where this is the prompt."""
    counts = [int(number) + 1 for number in numbers(last)]
    if numbers(total)[0] == tokens:
        return [0] * len(counts)
    return [count - tokens for count in counts]


def _places(before: list[int], tokens: int, device: Any) -> Any:
    first = torch.tensor(before, device=device).unsqueeze(1)
    return first + torch.arange(tokens, device=device)


def _cached(old: Any, new: Any, before: list[int], length: int) -> Any:
    """The cache with the new tokens behind those that an item has; what is behind them is 0."""
    held = 0 if old is None else old.shape[2]
    if held == 0 and length == new.shape[2]:
        return new
    if all(count == held for count in before) and held + new.shape[2] == length:
        return torch.cat((old, new), 2)
    size = max(held, length)
    made = new.new_zeros(*new.shape[:2], size, new.shape[3])
    for item, start in enumerate(before):
        if start:
            made[item, :, :start] = old[item, :, :start]
        made[item, :, start : start + new.shape[2]] = new[item]
    return made


def _seen(
    before: list[int], tokens: int, keys: int, window: int, is_causal: bool, device: Any
) -> Any:
    """Which key each query sees [batch, 1, queries, keys]; None where it is all of them."""
    same = len(set(before)) == 1
    if same and before[0] + tokens == keys and window < 0 and (tokens == 1 or not is_causal):
        return None
    places = torch.arange(keys, device=device)
    ends = _places(before, tokens, device).unsqueeze(-1)  # the place of the query itself
    if not is_causal:
        return (places <= ends[:, -1:]).unsqueeze(1)
    seen = places <= ends
    if window >= 0:
        seen = seen & (places > ends - window)
    return seen.unsqueeze(1)


def table() -> Table:
    """Operator to function."""
    return {"GroupQueryAttention": on_host(_grouped, 5, 6)}
