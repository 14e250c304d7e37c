"""Unsigned integers of 16, 32 and 64 bits, for which torch has few kernels: computed in int64."""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function

#: ONNX's element types UINT16, UINT32 and UINT64.
WIDE = frozenset({4, 12, 13})
#: Operators whose results have other integer types than the inputs.
_OWN_TYPE = frozenset({"Shape", "Size", "ArgMax", "ArgMin", "NonZero", "TopK", "Cast", "CastLike"})


def widened(function: Function, op_type: str) -> Function:
    """The function, computed in int64 where torch has no kernel for the types."""

    def run(*inputs: Any) -> Any:
        try:
            return function(*inputs)
        except (NotImplementedError, RuntimeError):
            kinds = {x.dtype for x in inputs if isinstance(x, torch.Tensor) and _is_wide(x)}
            if not kinds:
                raise
        result = function(*(_signed(x) for x in inputs))
        if op_type in _OWN_TYPE:
            return result
        kind = kinds.pop()
        if isinstance(result, tuple):
            return tuple(_back(x, kind) for x in result)
        return _back(result, kind)

    return run


def _is_wide(x: Any) -> bool:
    return x.dtype in (torch.uint16, torch.uint32, torch.uint64)


def _signed(x: Any) -> Any:
    return x.to(torch.int64) if isinstance(x, torch.Tensor) and _is_wide(x) else x


def _back(x: Any, kind: Any) -> Any:
    return x.to(kind) if isinstance(x, torch.Tensor) and x.dtype == torch.int64 else x
