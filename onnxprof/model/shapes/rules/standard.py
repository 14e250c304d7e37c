"""Shapes of standard operators with symbolic sizes, which ONNX's own rules do not infer.

Semantics are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from onnxprof.model.shapes.rules import sizes
from onnxprof.model.shapes.rules.call import Call, Rule, Types, broadcast, matmul, product
from onnxprof.model.shapes.rules.scope import MAX_RANK
from onnxprof.records.layer import Dim, Shape


def _reshape(call: Call) -> Types:
    data, target = call.shape(0), call.vector(1)
    if target is None and call.node.attribute and call.opset() < 5:
        target = list(call.attribute("shape", ()))
    if target is None:
        return call.types(_open(call, 1))
    if not call.integer("allowzero"):
        target = [_copied(data, i) if size == 0 else size for i, size in enumerate(target)]
    if -1 not in target:
        return call.types(tuple(target))
    at = target.index(-1)
    rest = product(size for i, size in enumerate(target) if i != at)
    missing = None if data is None else sizes.divide(product(data), rest)
    if missing is None and data is not None:
        missing = _uncancelled(data, [size for i, size in enumerate(target) if i != at])
    return call.types((*target[:at], missing, *target[at + 1 :]))


def _copied(data: Shape, axis: int) -> Dim:
    return data[axis] if data is not None and axis < len(data) else None


def _uncancelled(data: tuple[Dim, ...], rest: list[Dim]) -> Dim:
    """The quotient of two products, after factors that both have are cancelled."""
    left = list(data)
    for size in list(rest):
        if size is not None and size in left:
            left.remove(size)
            rest.remove(size)
    return sizes.divide(product(left), product(rest))


def _open(call: Call, position: int) -> Shape:
    """A shape of unknown sizes whose rank is the length of the operand; None if that is unknown."""
    length = call.shape(position)
    if length is None or len(length) != 1 or not isinstance(length[0], int):
        return None
    return (None,) * length[0] if length[0] <= MAX_RANK else None


def _expand(call: Call) -> Types:
    data, target = call.shape(0), call.vector(1)
    if target is None:
        rank = _open(call, 1)
        return call.types(broadcast(data, rank) if rank is not None else None)
    return call.types(broadcast(data, tuple(target)))


def _constant_of_shape(call: Call) -> Types:
    target, held = call.vector(0), call.attribute("value")
    kind = held.data_type if isinstance(held, TensorProto) else TensorProto.FLOAT
    return call.types(_open(call, 0) if target is None else tuple(target), elements=kind)


def _tile(call: Call) -> Types:
    data, repeats = call.shape(0), call.vector(1)
    if data is None or repeats is None or len(data) != len(repeats):
        return call.types(None if data is None else (None,) * len(data))
    return call.types(tuple(sizes.multiply(*pair) for pair in zip(data, repeats, strict=True)))


def _concat(call: Call) -> Types:
    shapes = [call.shape(i) for i in range(len(call.node.input))]
    known = [shape for shape in shapes if shape is not None]
    rank = len(known[0]) if known else 0
    axis = call.integer("axis", 1 if call.opset() < 4 else 0)
    if len(known) != len(shapes) or not -rank <= axis < rank or {len(s) for s in known} != {rank}:
        return [None]
    axis %= rank
    columns = list(zip(*known, strict=True))
    merged = [next((d for d in column if isinstance(d, int)), column[0]) for column in columns]
    merged[axis] = sizes.add(*columns[axis])
    return call.types(tuple(merged))


def _slice(call: Call) -> Types:
    data = call.shape(0)
    if data is None:
        return [None]
    parts = _slice_parts(call, len(data))
    if parts is None:
        return call.types((None,) * len(data))
    out = list(data)
    for axis, start, end, step in parts:
        out[axis] = _sliced(data[axis], start, end, step)
    return call.types(tuple(out))


def _slice_parts(call: Call, rank: int) -> list[tuple[int, Dim, Dim, Dim]] | None:
    if call.opset() < 10:
        starts, ends = call.attribute("starts"), call.attribute("ends")
        axes, steps = call.attribute("axes"), None
    else:
        starts, ends = call.vector(1), call.vector(2)
        axes, steps = call.vector(3), call.vector(4)
        if (call.name(3) and axes is None) or (call.name(4) and steps is None):
            return None
    if starts is None or ends is None:
        return None
    axes = list(range(len(starts))) if axes is None else list(axes)
    steps = [1] * len(starts) if steps is None else steps
    if any(not isinstance(axis, int) or not -rank <= axis < rank for axis in axes):
        return None
    return [(axis % rank, *part) for axis, *part in zip(axes, starts, ends, steps, strict=True)]


def _sliced(size: Dim, start: Dim, end: Dim, step: Dim) -> Dim:
    """The length of a slice of an axis; symbolic for a step of 1 from either end."""
    if isinstance(size, int):
        if isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
            return len(range(*slice(start, end, step).indices(size))) if step else None
        return None
    if size is None or step != 1 or end is None:
        return None
    to_the_end = end == size or (isinstance(end, int) and end >= 1 << 30)
    if isinstance(start, str) or (isinstance(end, str) and not to_the_end):
        return _between(size, start, size if to_the_end else end)
    if start is None or start < 0:
        return None  # all of it where the axis is shorter
    if to_the_end:
        return sizes.subtract(size, start)
    return sizes.subtract(sizes.add(size, end), start) if isinstance(end, int) and end < 0 else None


def _between(size: str, start: Dim, end: Dim) -> Dim:
    """The length of a slice with symbolic bounds, which are assumed to lie within the axis."""
    if start == 0 and isinstance(end, str):
        names = sizes.names(size)
        return end if all(name in names for name in sizes.names(end)) else None
    if isinstance(start, str) and end == size:
        return sizes.subtract(size, start)
    return None


def _range(call: Call) -> Types:
    start, limit, step = (call.scalar(i) for i in range(3))
    if step != 1 or start is None or limit is None:
        return call.types((None,))
    length = sizes.subtract(limit, start)
    return call.types((max(length, 0) if isinstance(length, int) else length,))


def _split(call: Call) -> Types:
    data, count = call.shape(0), len(call.node.output)
    axis = call.integer("axis")
    if data is None or not -len(data) <= axis < len(data):
        return [None] * count
    parts = call.vector(1) if call.name(1) else call.attribute("split")
    if parts is None:
        even = None if call.name(1) else sizes.divide(data[axis], count)
        parts = [even] * count
    axis %= len(data)
    return call.types(*((*data[:axis], part, *data[axis + 1 :]) for part in parts))


def _pad(call: Call) -> Types:
    data = call.shape(0)
    given = call.vector(1) if call.opset() >= 11 else call.attribute("pads")
    if data is None:
        return [None]
    axes = call.vector(3) if call.name(3) else list(range(len(data)))
    if given is None or axes is None or len(given) != 2 * len(axes):
        return call.types((None,) * len(data))
    out = list(data)
    for i, axis in enumerate(axes):
        if isinstance(axis, int) and -len(data) <= axis < len(data):
            out[axis] = sizes.add(data[axis], given[i], given[i + len(axes)])
    return call.types(tuple(out))


def _dropout(call: Call) -> Types:
    """The mask has the data's shape, which ONNX's rule does not infer before opset 12."""
    mask = TensorProto.BOOL if call.opset() >= 10 else call.elements(0)
    shape = call.shape(0)
    return [*call.types(shape), *call.types(shape, elements=mask)]


def _identity(call: Call) -> Types:
    return [call.type(0)]


def _elementwise(call: Call) -> Types:
    shape = broadcast(*(call.shape(i) for i in range(len(call.node.input))))
    return call.types(shape, elements=0)


def _matmul(call: Call) -> Types:
    return call.types(matmul(call.shape(0), call.shape(1)), elements=0)


def _topk(call: Call) -> Types:
    data, axis = call.shape(0), call.integer("axis", -1)
    count = call.scalar(1) if call.opset() >= 10 else call.attribute("k")
    if data is None or not -len(data) <= axis < len(data):
        return [None, None]
    axis %= len(data)
    shape = (*data[:axis], count, *data[axis + 1 :])
    return [*call.types(shape), *call.types(shape, elements=TensorProto.INT64)]


def _flatten(call: Call) -> Types:
    data, axis = call.shape(0), call.integer("axis", 1)
    if data is None or not -len(data) <= axis <= len(data):
        return call.types((None, None))
    axis = axis + len(data) if axis < 0 else axis
    return call.types((product(data[:axis]), product(data[axis:])))


def _one_hot(call: Call) -> Types:
    indices, axis = call.shape(0), call.integer("axis", -1)
    if indices is None or not -len(indices) - 1 <= axis <= len(indices):
        return [None]
    axis = axis + len(indices) + 1 if axis < 0 else axis
    shape = (*indices[:axis], call.scalar(1), *indices[axis:])
    return call.types(shape, elements=call.elements(2))


def _spatial(call: Call) -> Types:
    """DepthToSpace and SpaceToDepth, with symbolic heights and widths."""
    data, block = call.shape(0), call.integer("blocksize", 1)
    if data is None or len(data) != 4:
        return [None]
    batch, channels, height, width = data
    if call.node.op_type == "DepthToSpace":
        more = (sizes.multiply(height, block), sizes.multiply(width, block))
        return call.types((batch, sizes.divide(channels, block * block), *more))
    fewer = (sizes.divide(height, block), sizes.divide(width, block))
    return call.types((batch, sizes.multiply(channels, block * block), *fewer))


#: Rules that refine what ONNX's own rules of these operators say.
RULES: Mapping[str, Rule] = {
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Tile": _tile,
    "Concat": _concat,
    "Slice": _slice,
    "Range": _range,
    "Split": _split,
    "Pad": _pad,
    "Dropout": _dropout,
    "Identity": _identity,
    "MatMul": _matmul,
    "TopK": _topk,
    "Flatten": _flatten,
    "OneHot": _one_hot,
    "DepthToSpace": _spatial,
    "SpaceToDepth": _spatial,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Where", "Min", "Max"), _elementwise),
    **dict.fromkeys(("And", "Or", "Equal", "Less", "Greater", "Sum", "Mean", "Mod"), _elementwise),
}
