"""The table of operators: the torch function of each, by version of ONNX's operators."""

from __future__ import annotations

from functools import cache

from onnxprof.backends.torch.base.operator import Operator, Table, at_version
from onnxprof.backends.torch.ops import (
    control,
    conv,
    elementwise,
    image,
    index,
    matmul,
    quant,
    recurrent,
    reduce,
    resize,
    shape,
    signal,
)
from onnxprof.model.graph.operators import DEFAULT_DOMAINS


@cache
def operators() -> Table:
    """Every operator of the default domain that has a function of its own."""
    return {
        **elementwise.table(),
        **shape.table(),
        **index.table(),
        **reduce.table(),
        **conv.table(),
        **matmul.table(),
        **resize.table(),
        **image.table(),
        **recurrent.table(),
        **quant.table(),
        **signal.table(),
        **control.table(),
    }


def find(domain: str, op_type: str, opset: int) -> Operator | None:
    """The entry for an operator at a version; None where there is none."""
    entry = operators().get(op_type) if domain in DEFAULT_DOMAINS else None
    return None if entry is None else at_version(entry, opset)
