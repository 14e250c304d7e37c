"""Gelu in its forms, with the biases that onnxruntime's optimiser puts into them."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Table


def _gelu(x: Any) -> Any:
    return F.gelu(x)


def _fast(x: Any, bias: Any = None) -> Any:
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


def _quick(x: Any, *, alpha: float = 1.702) -> Any:
    return x * torch.sigmoid(alpha * x)


def _biased(x: Any, bias: Any) -> Any:
    return F.gelu(x + bias)


def _split(x: Any, bias: Any) -> Any:
    """The left half times the Gelu of the right one."""
    left, right = (x + bias).chunk(2, -1)
    return left * F.gelu(right)


def _bias_add(x: Any, bias: Any, skip: Any) -> Any:
    return x + bias + skip


def table() -> Table:
    """Operator to function."""
    return {
        "Gelu": _gelu, "FastGelu": _fast, "QuickGelu": _quick, "BiasGelu": _biased,
        "BiasSplitGelu": _split, "BiasAdd": _bias_add,
    }  # fmt: skip
