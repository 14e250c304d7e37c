"""The table of operators: what torch runs for each, and since which version of ONNX's."""

from __future__ import annotations

from functools import cache

from onnxprof.backends import (
    torch_ops_control,
    torch_ops_conv,
    torch_ops_elementwise,
    torch_ops_image,
    torch_ops_index,
    torch_ops_matmul,
    torch_ops_quant,
    torch_ops_recurrent,
    torch_ops_reduce,
    torch_ops_resize,
    torch_ops_shape,
    torch_ops_signal,
)
from onnxprof.backends.torch_operator import Operator, Table, at_version

#: The default domain under both of its names.
DEFAULT_DOMAINS = ("", "ai.onnx")


@cache
def operators() -> Table:
    """Every operator of the default domain that has a function of its own."""
    return {
        **torch_ops_elementwise.table(),
        **torch_ops_shape.table(),
        **torch_ops_index.table(),
        **torch_ops_reduce.table(),
        **torch_ops_conv.table(),
        **torch_ops_matmul.table(),
        **torch_ops_resize.table(),
        **torch_ops_image.table(),
        **torch_ops_recurrent.table(),
        **torch_ops_quant.table(),
        **torch_ops_signal.table(),
        **torch_ops_control.table(),
    }


def find(domain: str, op_type: str, opset: int) -> Operator | None:
    """The entry for an operator at a version; None where there is none."""
    entry = operators().get(op_type) if domain in DEFAULT_DOMAINS else None
    return None if entry is None else at_version(entry, opset)
