"""The tables of operators: the torch function of each, by version of ONNX's operators."""

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
    rotary,
    shape,
    signal,
)
from onnxprof.backends.torch.ops.contrib import (
    activations,
    attention,
    experts,
    normalise,
    packed,
    recurrence,
)
from onnxprof.backends.torch.ops.contrib import rotary as contrib_rotary
from onnxprof.model.graph.operators import DEFAULT_DOMAINS

#: The domain of onnxruntime's own operators.
CONTRIB = "com.microsoft"


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
        **rotary.table(),
        **resize.table(),
        **image.table(),
        **recurrent.table(),
        **quant.table(),
        **signal.table(),
        **control.table(),
    }


@cache
def contrib() -> Table:
    """Every operator of onnxruntime's own domain that has a function."""
    return {
        **activations.table(),
        **normalise.table(),
        **contrib_rotary.table(),
        **attention.table(),
        **packed.table(),
        **experts.table(),
        **recurrence.table(),
    }


#: onnxruntime's own, which exporters and its optimiser put into the default domain.
_MOVED = ("SimplifiedLayerNormalization",)


def find(domain: str, op_type: str, opset: int) -> Operator | None:
    """The entry for an operator at a version; None where there is none."""
    if domain == CONTRIB or (domain in DEFAULT_DOMAINS and op_type in _MOVED):
        entry = contrib().get(op_type)
    else:
        entry = operators().get(op_type) if domain in DEFAULT_DOMAINS else None
    return None if entry is None else at_version(entry, opset)
