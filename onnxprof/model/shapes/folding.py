"""Evaluate the small integer computations that exporters leave around shapes.

Symbolic sizes are expressions (`2*tokens`) in an object array, in which `?` is an unknown size.
Semantics are those of the operators in
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from onnxprof.model.graph import weights
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.shapes.rules import sizes
from onnxprof.records.layer import Dim, Shape

#: Larger arrays are data, not shapes.
MAX_ELEMENTS = 1024
#: Operands of one node, taken together: a node may have thousands.
_MAX_READ = 1 << 16
_MAX_INT = (1 << 63) - 1

Array = NDArray[Any]
_Inputs = list[Array | None]
_Attributes = Mapping[str, Any]


def constant(tensor: TensorProto) -> Array | None:
    """The contents of a small numeric tensor, else None."""
    if math.prod(tensor.dims) > MAX_ELEMENTS or tensor.data_type == TensorProto.STRING:
        return None
    return weights.values(tensor)


def evaluate(
    node: NodeProto,
    shape_of: Callable[[str], Shape],
    value_of: Callable[[str], Array | None],
) -> dict[str, Array]:
    """Outputs of the node that follow from known shapes and values; empty where none do."""
    if node.domain not in DEFAULT_DOMAINS or not node.output:
        return {}
    try:
        if node.op_type == "Split":
            results = _split(node, value_of)
        else:
            results = [_evaluate(node, shape_of, value_of)] if len(node.output) == 1 else []
    except Exception:  # an ill-formed shape computation has no known value
        return {}
    pairs = zip(node.output, results, strict=False)
    return {n: _tidy(v) for n, v in pairs if v is not None and v.size <= MAX_ELEMENTS}


def _split(node: NodeProto, value_of: Callable[[str], Array | None]) -> list[Array | None]:
    data, given = value_of(node.input[0]), attributes(node)
    parts = value_of(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    lengths = given.get("split") if parts is None else [int(v) for v in parts]
    if data is None or (lengths is None and len(node.input) > 1 and node.input[1]):
        return []
    axis, count = given.get("axis", 0), len(node.output)
    if lengths is None:
        length = -(-data.shape[axis] // count)
        lengths = [length] * count
    return list(np.split(data, np.cumsum(lengths)[:-1], axis=axis))


def _evaluate(
    node: NodeProto,
    shape_of: Callable[[str], Shape],
    value_of: Callable[[str], Array | None],
) -> Array | None:
    if node.op_type in ("Shape", "Size"):
        return _shape(node, shape_of(node.input[0]))
    if node.op_type == "Constant":
        return _constant(node)
    rule, arithmetic = _MOVES.get(node.op_type), _ARITHMETIC.get(node.op_type)
    if rule is None and arithmetic is None:
        return None
    inputs = [value_of(name) if name else None for name in node.input]
    if not inputs or any(v is None for v, name in zip(inputs, node.input, strict=True) if name):
        return None
    if sum(v.size for v in inputs if v is not None) > _MAX_READ:
        return None
    if arithmetic is not None:
        if any(_symbolic(v) for v in inputs):
            return _on_sizes(node, inputs)
        with np.errstate(all="ignore"):
            return np.asarray(arithmetic(*inputs))
    assert rule is not None
    return rule(inputs, attributes(node))


def _on_sizes(node: NodeProto, inputs: _Inputs) -> Array | None:
    """Elementwise arithmetic in which symbols occur."""
    rule = _ON_SIZES.get(node.op_type)
    if rule is None:
        return None
    columns = np.broadcast_arrays(*(_need(v) for v in inputs))
    if columns[0].size > MAX_ELEMENTS:
        return None
    sizes_out = [rule(*map(_size, row)) for row in zip(*(c.flat for c in columns), strict=True)]
    if node.op_type in _COMPARISONS:
        known = None not in sizes_out
        return np.array(sizes_out, bool).reshape(columns[0].shape) if known else None
    return _objects([_held(value) for value in sizes_out], columns[0].shape)


def _size(value: Any) -> Dim:
    if isinstance(value, str):
        return None if value == "?" else value
    return int(value)


def _held(value: Dim) -> Any:
    """A size as an array element: `?` where unknown or beyond 64 bits."""
    wide = isinstance(value, int) and abs(value) > _MAX_INT
    return "?" if value is None or wide else value


def _equal(a: Dim, b: Dim) -> bool | None:
    """Whether two sizes, which are never negative, are equal; None where that is not known."""
    if a is None or b is None:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a == b:
        return True
    numbers = [v for v in (a, b) if isinstance(v, int)]
    names = [v for v in (a, b) if isinstance(v, str)]
    below = bool(numbers) and numbers[0] < 0 and all("-" not in name for name in names)
    return False if below else None


def attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute values as Python objects."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _symbolic(value: Array | None) -> bool:
    return value is not None and value.dtype == object


def _tidy(value: Array) -> Array:
    """Symbol arrays in which no symbol is left become integers again."""
    if value.dtype == object and all(isinstance(v, int | np.integer) for v in value.flat):
        return value.astype(np.int64)
    return value


def _shape(node: NodeProto, shape: Shape) -> Array | None:
    if shape is None:
        return None
    if node.op_type == "Size":
        return _objects([_held(sizes.multiply(*shape))], ())
    given = attributes(node)
    part = shape[given.get("start", 0) : given.get("end", len(shape))]
    # an unknown size is not equal to any other, so it gets no name
    return _objects(["?" if d is None else d for d in part], (len(part),))


def _objects(items: list[Any], shape: tuple[int, ...]) -> Array:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out.reshape(shape)


def _constant(node: NodeProto) -> Array | None:
    given = attributes(node)
    if "value" in given:
        return constant(given["value"])
    for name, dtype in (("int", np.int64), ("float", np.float32)):
        for key in (f"value_{name}", f"value_{name}s"):
            if key in given:
                return np.array(given[key], dtype)
    return None


def _gather(x: _Inputs, given: _Attributes) -> Array | None:
    data, indices = _need(x[0]), _need(x[1])
    axis = given.get("axis", 0)
    taken = np.take(data, np.atleast_1d(indices.astype(np.int64)), axis=axis)
    return taken if indices.ndim else np.squeeze(taken, axis=axis)


def _need(value: Array | None) -> Array:
    if value is None:
        raise ValueError("missing operand")
    return value


def _axes(x: _Inputs, given: _Attributes) -> tuple[int, ...] | None:
    if len(x) > 1 and x[1] is not None:
        return tuple(int(a) for a in x[1].flat)
    return tuple(given["axes"]) if "axes" in given else None


def _unsqueeze(x: _Inputs, given: _Attributes) -> Array | None:
    return np.expand_dims(_need(x[0]), _axes(x, given) or ())


def _squeeze(x: _Inputs, given: _Attributes) -> Array | None:
    return np.squeeze(_need(x[0]), _axes(x, given))


def _concat(x: _Inputs, given: _Attributes) -> Array | None:
    return np.concatenate([_need(v) for v in x], axis=given["axis"])


def _cast(x: _Inputs, given: _Attributes) -> Array | None:
    data = _need(x[0])
    if data.dtype == object:
        return data if given["to"] in (TensorProto.INT64, TensorProto.INT32) else None
    return data.astype(onnx.helper.tensor_dtype_to_np_dtype(given["to"]))


def _slice(x: _Inputs, given: _Attributes) -> Array | None:
    data = _need(x[0])
    if "starts" in given:
        starts, ends = given["starts"], given["ends"]
        axes, steps = given.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = _need(x[1]).tolist(), _need(x[2]).tolist()
        axes = _need(x[3]).tolist() if len(x) > 3 and x[3] is not None else range(len(starts))
        steps = _need(x[4]).tolist() if len(x) > 4 else [1] * len(starts)
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        past_the_front = step < 0 and end < -data.shape[axis]
        index[axis] = slice(start, None if past_the_front else end, step)
    return data[tuple(index)]


def _reshape(x: _Inputs, given: _Attributes) -> Array | None:
    data, target = _need(x[0]), [int(d) for d in _need(x[1])]
    if not given.get("allowzero", 0):
        target = [data.shape[i] if d == 0 else d for i, d in enumerate(target)]
    return data.reshape(target)


def _constant_of_shape(x: _Inputs, given: _Attributes) -> Array | None:
    dims = [int(d) for d in _need(x[0])]
    if math.prod(dims) > MAX_ELEMENTS:
        return None
    fill = constant(given["value"]) if "value" in given else np.zeros(1, np.float32)
    return np.full(dims, _need(fill).flat[0])


def _expand(x: _Inputs, _: _Attributes) -> Array | None:
    data, dims = _need(x[0]), [int(d) for d in _need(x[1])]
    if math.prod(dims) > MAX_ELEMENTS:
        return None
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(dims)))


def _transpose(x: _Inputs, given: _Attributes) -> Array | None:
    return np.transpose(_need(x[0]), given.get("perm"))


def _range(x: _Inputs, _: _Attributes) -> Array | None:
    start, limit, step = (_need(v).item() for v in x)
    if step == 0 or abs((limit - start) / step) > MAX_ELEMENTS:
        return None
    return np.arange(start, limit, step, dtype=_need(x[0]).dtype)


def _where(x: _Inputs, _: _Attributes) -> Array | None:
    if _symbolic(x[0]):
        return None
    return _chosen(_need(x[0]).astype(bool), _need(x[1]), _need(x[2]))


def _reduce(function: Callable[..., Any]) -> Callable[[_Inputs, _Attributes], Array | None]:
    def rule(x: _Inputs, given: _Attributes) -> Array | None:
        data = _need(x[0])
        keep = bool(given.get("keepdims", 1))
        if data.dtype == object:
            return _reduced(function, data, _axes(x, given), keep)
        return np.asarray(function(data, axis=_axes(x, given), keepdims=keep), data.dtype)

    return rule


def _reduced(function: Any, data: Array, axes: Any, keep: bool) -> Array | None:
    """The sum or product of a whole vector of sizes."""
    rules: dict[Any, Callable[..., Dim]] = {np.prod: sizes.multiply, np.sum: sizes.add}
    rule = rules.get(function)
    if rule is None or data.ndim != 1 or axes not in (None, (0,), (-1,)):
        return None
    return _objects([_held(rule(*map(_size, data)))], (1,) if keep else ())


def _divide(a: Array, b: Array) -> Array:
    """Integers are divided towards zero."""
    if a.dtype.kind not in "iu":
        return np.asarray(np.divide(a, b))
    if not b.all():
        raise ValueError("division by zero")
    quotient = np.floor_divide(a, b)
    return np.asarray(quotient + ((a % b != 0) & ((a < 0) != (b < 0)))).astype(a.dtype)


def _larger(a: Dim, b: Dim) -> Dim:
    """The larger of two sizes; None where that is not known."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return a if a == b else None


def _smaller(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return a if a == b else None


def _chosen(condition: Array, a: Array, b: Array) -> Array:
    """numpy.where that leaves sizes as they are."""
    if a.dtype != object and b.dtype != object:
        return np.where(condition, a, b)
    columns = np.broadcast_arrays(condition, a, b)
    rows = zip(*(column.flat for column in columns), strict=True)
    return _objects([left if test else right for test, left, right in rows], columns[0].shape)


def _scatter(x: _Inputs, _: _Attributes) -> Array | None:
    """ScatterND, with which exporters set one size of a shape."""
    data, indices, updates = (_need(v) for v in x)
    if _.get("reduction", b"none") != b"none":
        return None
    out = data.astype(object)
    rows = indices.astype(np.int64).reshape(-1, indices.shape[-1])
    parts = updates.reshape(len(rows), *data.shape[indices.shape[-1] :])
    for row, part in zip(rows, parts, strict=True):
        out[tuple(row)] = part
    return out if _symbolic(data) or _symbolic(updates) else out.astype(data.dtype)


def _non_zero(x: _Inputs, _: _Attributes) -> Array | None:
    data = _need(x[0])
    return None if data.dtype == object else np.array(np.nonzero(data), np.int64)


_MOVES: dict[str, Callable[[_Inputs, _Attributes], Array | None]] = {
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Cast": _cast,
    "Slice": _slice,
    "Reshape": _reshape,
    "Identity": lambda x, _: x[0],
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Transpose": _transpose,
    "Range": _range,
    "Where": _where,
    "ScatterND": _scatter,
    "NonZero": _non_zero,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Mod": np.mod,
    "Neg": np.negative,
    "Abs": np.abs,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Min": lambda *x: np.minimum.reduce(list(np.broadcast_arrays(*x))),
    "Max": lambda *x: np.maximum.reduce(list(np.broadcast_arrays(*x))),
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "LessOrEqual": np.less_equal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Sqrt": np.sqrt,
}
_COMPARISONS = ("Equal",)
_ON_SIZES: dict[str, Callable[..., Any]] = {
    "Add": sizes.add,
    "Sub": sizes.subtract,
    "Mul": sizes.multiply,
    "Div": sizes.floor_divide,
    "Max": _larger,
    "Min": _smaller,
    "Equal": _equal,
}
