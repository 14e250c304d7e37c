"""Operators that pick, place, sort and search elements."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table, on_host


def _wrapped(index: Any, size: int) -> Any:
    """Indices as torch wants them: int64, counted from the front."""
    index = index.long()
    return torch.where(index < 0, index + size, index)


def _gather(x: Any, index: Any, *, axis: int = 0) -> Any:
    if index.dim() == 0:
        at = int(index) if index.device.type == "cpu" else None
        if at is not None:
            return x.select(axis, at)
    axis = axis + x.dim() if axis < 0 else axis
    index = _wrapped(index, x.shape[axis])
    picked = x.index_select(axis, index.reshape(-1))
    return picked.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _gather_elements(x: Any, index: Any, *, axis: int = 0) -> Any:
    return torch.gather(x, axis, _wrapped(index, x.shape[axis]))


def _gather_nd(x: Any, index: Any, *, batch_dims: int = 0) -> Any:
    depth = index.shape[-1]
    heads = [
        torch.arange(size, device=x.device).reshape([-1] + [1] * (index.dim() - 2 - i))
        for i, size in enumerate(x.shape[:batch_dims])
    ]
    columns = [_wrapped(index[..., i], x.shape[batch_dims + i]) for i in range(depth)]
    return x[(*heads, *columns)]


_REDUCTIONS = {"add": "sum", "mul": "prod", "min": "amin", "max": "amax"}


def _scatter_elements(
    x: Any, index: Any, updates: Any, *, axis: int = 0, reduction: str = "none"
) -> Any:
    index = _wrapped(index, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, _REDUCTIONS[reduction], include_self=True)


def _scatter_nd(x: Any, index: Any, updates: Any, *, reduction: str = "none") -> Any:
    depth = index.shape[-1]
    columns = tuple(_wrapped(index[..., i], x.shape[i]) for i in range(depth))
    if reduction in ("none", "add"):
        return x.clone().index_put_(columns, updates, accumulate=reduction == "add")
    flat, rest = torch.zeros_like(columns[0]), x.shape[depth:]
    for column, size in zip(columns, x.shape[:depth], strict=True):
        flat = flat * size + column
    rows = x.reshape(-1, rest.numel())
    spread = flat.reshape(-1, 1).expand(-1, rest.numel())
    news = updates.reshape(-1, rest.numel())
    reduced = rows.scatter_reduce(0, spread, news, _REDUCTIONS[reduction], include_self=True)
    return reduced.reshape(x.shape)


def _tensor_scatter(
    past: Any, update: Any, start: Any = None, *, axis: int = -2, mode: str = "linear"
) -> Any:
    """Write `update` along an axis of a cache, from each batch item's own start on."""
    axis, length = axis % past.dim(), update.shape[axis]
    steps = torch.arange(length, device=past.device)
    first = torch.zeros(past.shape[0], dtype=torch.int64) if start is None else start
    at = first.to(past.device).long().unsqueeze(1) + steps
    if mode == "circular":
        at = at % past.shape[axis]
    others = [length if i == axis else 1 for i in range(1, past.dim())]
    return past.scatter(axis, at.reshape(-1, *others).expand(update.shape), update)


def _one_hot(index: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    count = int(depth.reshape(-1)[0])
    index = index.long()
    index = torch.where(index < 0, index + count, index).unsqueeze(axis)
    at = axis % index.dim()
    slots = torch.arange(count, device=index.device)
    hit = index == slots.reshape([count] + [1] * (index.dim() - 1 - at))
    return torch.where(hit, values[1], values[0])


def _compress(x: Any, condition: Any, *, axis: int | None = None) -> Any:
    kept = torch.nonzero(condition).reshape(-1)
    return x.reshape(-1)[kept] if axis is None else x.index_select(axis, kept)


def _non_zero(x: Any) -> Any:
    return torch.nonzero(x).t().contiguous()


def _top_k(x: Any, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    del sorted  # they always are
    return _top(x, int(k.reshape(-1)[0]), axis, bool(largest))


def _top_k_by_attribute(x: Any, *, k: int, axis: int = -1) -> Any:
    return _top(x, k, axis, True)


def _top(x: Any, k: int, axis: int, largest: bool) -> Any:
    """The k largest or smallest; equal values in order, which torch's topk does not ensure."""
    if k == 1 and x.shape[axis]:
        values, index = (torch.max if largest else torch.min)(x, axis, keepdim=True)
        return values, index
    values, index = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, k).contiguous(), index.narrow(axis, 0, k).contiguous()


def _unique(x: Any, *, axis: int | None = None, sorted: int = 1, outputs: int) -> Any:
    """From torch's unique values and group numbers, the first positions are computed."""
    del outputs
    values, inverse, counts = torch.unique(
        x, sorted=True, return_inverse=True, return_counts=True, dim=axis
    )
    inverse = inverse.reshape(-1)
    order = torch.argsort(inverse, stable=True)
    first = order[torch.cumsum(counts, 0) - counts]
    if not sorted:
        rank = torch.argsort(first)
        values = values.index_select(axis or 0, rank)
        first, counts = first[rank], counts[rank]
        inverse = torch.argsort(rank)[inverse]
    return values, first, inverse, counts


def _cumulative(name: str) -> Any:
    def run(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
        at = int(axis.reshape(-1)[0]) % x.dim()
        turned = torch.flip(x, (at,)) if reverse else x
        summed = getattr(torch, name)(turned, at, dtype=x.dtype)
        if exclusive:
            start = torch.full_like(summed.narrow(at, 0, 1), 0 if name == "cumsum" else 1)
            summed = torch.cat([start, summed.narrow(at, 0, x.shape[at] - 1)], at)
        return torch.flip(summed, (at,)) if reverse else summed

    return run


def table() -> Table:
    """Operator to function."""
    return {
        "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd,
        "Scatter": _scatter_elements, "ScatterElements": _scatter_elements,
        "ScatterND": _scatter_nd, "TensorScatter": _tensor_scatter,
        "OneHot": on_host(_one_hot, 1), "Compress": _compress, "NonZero": _non_zero,
        "TopK": {1: _top_k_by_attribute, 10: on_host(_top_k, 1)}, "Unique": _unique,
        "CumSum": on_host(_cumulative("cumsum"), 1), "CumProd": on_host(_cumulative("cumprod"), 1),
    }  # fmt: skip
