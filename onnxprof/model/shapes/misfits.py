"""Operands that ONNX's shape inference accepts, but that no runtime accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxprof.model.shapes.rules.call import Call, Types, product
from onnxprof.model.shapes.rules.scope import shape_of
from onnxprof.records.layer import Shape


def misfit(call: Call, types: Types) -> str:
    """Why the node cannot be executed on these operands, in words; empty where nothing is wrong."""
    check = _CHECKS.get(call.node.op_type)
    try:
        return "" if check is None else check(call, types)
    except (ValueError, TypeError, IndexError):  # attributes of another kind than they should be
        return ""


def _reshape(call: Call, types: Types) -> str:
    made = types[0] if types else None
    data, target = call.shape(0), None if made is None else shape_of(made)
    if data is None or target is None:
        return ""
    have, need = product(data), product(target)
    known = isinstance(have, int) and isinstance(need, int)
    return f"{have} elements do not make {list(target)}" if known and have != need else ""


def _window(call: Call, _: Types) -> str:
    """A kernel that is larger than the padded data."""
    data, kernel = call.shape(0), call.attribute("kernel_shape") or _weights(call)
    if data is None or kernel is None or len(data) != len(kernel) + 2:
        return ""
    if call.attribute("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        return ""
    axes = len(kernel)
    pads = call.attribute("pads") or [0] * (2 * axes)
    dilations = call.attribute("dilations") or [1] * axes
    for axis, size in enumerate(data[2:]):
        width = kernel[axis]
        if isinstance(size, int) and isinstance(width, int) and len(pads) == 2 * axes:
            room, need = size + pads[axis] + pads[axis + axes], (width - 1) * dilations[axis] + 1
            if room < need:
                return f"a kernel of {need} does not fit into {room} (axis {axis + 2})"
    return ""


def _weights(call: Call) -> Shape:
    shape = call.shape(1)
    return None if shape is None or len(shape) < 3 else shape[2:]


def _states(call: Call, _: Types) -> str:
    """Initial states whose batch differs from that of the sequences."""
    layout = call.integer("layout")
    batch = _known(call.shape(0), 0 if layout else 1)
    for position in (5, 6) if call.node.op_type == "LSTM" else (5,):
        state = _known(call.shape(position), 0 if layout else 1)
        if batch is not None and state is not None and batch != state:
            return f"initial states of {state} sequences do not go with {batch} sequences"
    return ""


def _known(shape: Shape, axis: int) -> int | None:
    size = shape[axis] if shape is not None and len(shape) == 3 else None
    return size if isinstance(size, int) else None


_CHECKS: Mapping[str, Callable[[Call, Types], str]] = {
    "Reshape": _reshape,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _states),
    **dict.fromkeys(("Conv", "FusedConv", "MaxPool", "AveragePool", "LpPool"), _window),
}
