"""Reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function, Table, sized
from onnxprof.backends.torch.ops.shape import numbers

Reduction = Callable[[Any, tuple[int, ...], bool], Any]
"""Of a tensor over these axes (all of them named), keeping them with size 1 or not."""


def _by_attribute(reduction: Reduction) -> Function:
    def run(x: Any, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Any:
        return reduction(x, tuple(axes or range(x.dim())), bool(keepdims))

    return run


def _by_input(reduction: Reduction, alone: Function) -> Function:
    """Axes are an input; without axes, all are reduced, or none by the node's attribute."""

    def run(x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0,
            ) -> Any:  # fmt: skip
        where = () if axes is None else tuple(numbers(axes))
        if not where and noop_with_empty_axes:
            return alone(x)
        return reduction(x, where or tuple(range(x.dim())), bool(keepdims))

    return run


def _empty(x: Any, axes: tuple[int, ...]) -> bool:
    return any(x.shape[axis] == 0 for axis in axes)


def _filled(x: Any, axes: tuple[int, ...], keep: bool, value: Any) -> Any:
    """The result of a reduction over no elements."""
    shape = x.sum(axes, keepdim=keep).shape
    return torch.full(shape, value, dtype=x.dtype, device=x.device)


def _sum(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return torch.sum(x, axes, keep, dtype=x.dtype)


def _mean(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if x.is_floating_point():
        return torch.mean(x, axes, keep)
    return torch.mean(x.double(), axes, keep).to(x.dtype)


def _extreme(name: str) -> Reduction:
    def run(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
        if not _empty(x, axes):
            return getattr(torch, name)(x, axes, keep)
        if x.dtype == torch.bool:
            return _filled(x, axes, keep, name == "amin")
        floating = x.is_floating_point()
        info = None if floating else torch.iinfo(x.dtype)
        top = float("inf") if info is None else info.max
        bottom = float("-inf") if info is None else info.min
        return _filled(x, axes, keep, bottom if name == "amax" else top)

    return run


def _prod(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = torch.prod(x, axis, keep, dtype=x.dtype)
    return x


def _l1(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return _sum(x.abs(), axes, keep)


def _sum_square(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return _sum(x * x, axes, keep)


def _l2(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if x.is_floating_point():
        return torch.linalg.vector_norm(x, 2, axes, keep)
    return _sum_square(x.double(), axes, keep).sqrt().to(x.dtype)


def _log_sum(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return _sum(x, axes, keep).log()


def _log_sum_exp(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return torch.logsumexp(x, axes, keep)


def _arg(name: str) -> Function:
    def run(x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
        """The first of equal values, or the last."""
        if not select_last_index:
            return getattr(torch, name)(x, axis, bool(keepdims))
        index = getattr(torch, name)(torch.flip(x, (axis,)), axis, bool(keepdims))
        return x.shape[axis] - 1 - index

    return run


def _same(x: Any) -> Any:
    return x


def table() -> Table:
    """Operator to function."""
    reductions: dict[str, tuple[int, Reduction, Function]] = {
        "ReduceSum": (13, _sum, _same),
        "ReduceMean": (18, _mean, _same),
        "ReduceMax": (18, _extreme("amax"), _same),
        "ReduceMin": (18, _extreme("amin"), _same),
        "ReduceProd": (18, _prod, _same),
        "ReduceL1": (18, _l1, torch.abs),
        "ReduceL2": (18, _l2, torch.abs),
        "ReduceSumSquare": (18, _sum_square, torch.square),
        "ReduceLogSum": (18, _log_sum, torch.log),
        "ReduceLogSumExp": (18, _log_sum_exp, _same),
    }
    return {
        **{
            name: {1: _by_attribute(call), since: sized(_by_input(call, alone), 1)}
            for name, (since, call, alone) in reductions.items()
        },
        "ArgMax": _arg("argmax"),
        "ArgMin": _arg("argmin"),
    }
