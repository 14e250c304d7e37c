"""Evaluate the small integer computations that exporters leave around shapes.

Sizes that stay symbolic travel through data movement (Gather, Concat, …) as strings in an
object array; arithmetic on them gives nothing. Semantics are those of the operators in
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

from onnxprof import tensors
from onnxprof.layertypes import DEFAULT_DOMAINS
from onnxprof.records import Shape

#: Larger arrays are data, not shapes.
MAX_ELEMENTS = 1024

Array = NDArray[Any]
_Inputs = list[Array | None]
_Attributes = Mapping[str, Any]


def constant(tensor: TensorProto) -> Array | None:
    """The contents of a small numeric tensor, else None."""
    if math.prod(tensor.dims) > MAX_ELEMENTS or tensor.data_type == TensorProto.STRING:
        return None
    return tensors.values(tensor)


def evaluate(
    node: NodeProto,
    shape_of: Callable[[str], Shape],
    value_of: Callable[[str], Array | None],
) -> dict[str, Array]:
    """Outputs of the node that follow from known shapes and values; empty where none do."""
    if node.domain not in DEFAULT_DOMAINS or not node.output or len(node.output) != 1:
        return {}
    try:
        result = _evaluate(node, shape_of, value_of)
    except Exception:  # an ill-formed shape computation has no known value
        return {}
    small = result is not None and result.size <= MAX_ELEMENTS
    return {node.output[0]: _tidy(result)} if small and result is not None else {}


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
    if arithmetic is not None:
        return None if any(_symbolic(v) for v in inputs) else np.asarray(arithmetic(*inputs))
    assert rule is not None
    return rule(inputs, attributes(node))


def attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute values as Python objects."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _symbolic(value: Array | None) -> bool:
    return value is not None and value.dtype == object


def _tidy(value: Array) -> Array:
    """Symbol arrays in which no symbol is left become integers again."""
    if value.dtype == object and all(isinstance(v, int) for v in value.flat):
        return value.astype(np.int64)
    return value


def _shape(node: NodeProto, shape: Shape) -> Array | None:
    if shape is None:
        return None
    if node.op_type == "Size":
        sizes = [d for d in shape if isinstance(d, int)]
        return np.array(math.prod(sizes), np.int64) if len(sizes) == len(shape) else None
    given = attributes(node)
    part = shape[given.get("start", 0) : given.get("end", len(shape))]
    # an unknown size is not equal to any other, so it gets no name
    return _objects(["?" if d is None else d for d in part])


def _objects(items: list[Any]) -> Array:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


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
    return np.asarray(np.take(data, indices.astype(np.int64), axis=given.get("axis", 0)))


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
    return np.where(_need(x[0]).astype(bool), _need(x[1]), _need(x[2]))


def _reduce(function: Callable[..., Any]) -> Callable[[_Inputs, _Attributes], Array | None]:
    def rule(x: _Inputs, given: _Attributes) -> Array | None:
        data = _need(x[0])
        if data.dtype == object:
            return None
        keep = bool(given.get("keepdims", 1))
        return np.asarray(function(data, axis=_axes(x, given), keepdims=keep), data.dtype)

    return rule


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind != "i":
        return np.asarray(np.divide(a, b))
    return np.asarray(np.trunc(a / b)).astype(a.dtype) if b.all() else _need(None)


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
    "Not": np.logical_not,
    "Sqrt": np.sqrt,
}
