"""Models whose items meet when their batch is changed, and some that only look as if."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from support.networks.models import FLOAT, INT64, Dims, ints, model, node, value, weight


def _one(
    nodes: Sequence[NodeProto],
    stored: Sequence[TensorProto] = (),
    shape: Dims = (1, 4),
    more: Sequence[str] = (),
    opset: int = 17,
) -> ModelProto:
    outputs = [value("y", None), *(value(name, None) for name in more)]
    return model(nodes, [value("x", shape)], outputs, stored, opset=opset)


def attention(batch: int | str = 1) -> ModelProto:
    """Tokens are flattened before the attention, so that it is one over all items."""
    fixed = isinstance(batch, int)
    size = 8
    nodes = [node("Reshape", ["x", "s"], ["t"], "flatten")]
    nodes += [node("MatMul", ["t", f"w{c}"], [c], c) for c in "qkv"]
    nodes += [
        node("Transpose", ["k"], ["kt"], "kt", perm=[1, 0]),
        node("MatMul", ["q", "kt"], ["scores"], "scores"),
        node("Softmax", ["scores"], ["p"], "softmax", axis=-1),
        node("MatMul", ["p", "v"], ["o"], "ctx"),
        node("Reshape", ["o", "s2"], ["y"], "unflatten"),
    ]
    stored = [weight(f"w{c}", size, size, seed=i) for i, c in enumerate("qkv")]
    stored += [ints("s", 6 if fixed else -1, size), ints("s2", 1 if fixed else -1, 6, size)]
    return _one(nodes, stored, (batch, 6, size))


def _gram() -> ModelProto:
    return _one(
        [
            node("Transpose", ["x"], ["t"], "transpose", perm=[1, 0]),
            node("MatMul", ["t", "x"], ["g"], "gram"),
            node("MatMul", ["x", "g"], ["y"], "project"),
        ]
    )


def _norm() -> ModelProto:
    names = ("scale", "bias", "mean", "var")
    return _one(
        [node("BatchNormalization", ["x", *names], ["y", "m", "v"], "norm", training_mode=1)],
        [weight(name, 4, seed=i) for i, name in enumerate(names)],
        (1, 4, 5, 5),
    )


def _softmax_since_axis_0() -> ModelProto:
    return _one([node("Softmax", ["x"], ["y"], "softmax", axis=0)], opset=11)


#: What shapes alone tell: the layer, and a model.
BY_SHAPE: dict[str, Callable[[], ModelProto]] = {
    "scores (MatMul)": attention,
    "gram (MatMul)": _gram,
    "norm (BatchNormalization)": _norm,
    "softmax (Softmax)": lambda: _one([node("Softmax", ["x"], ["y"], "softmax", axis=0)]),
    "mean (ReduceMean)": lambda: _one(
        [node("ReduceMean", ["x"], ["m"], "mean", axes=[0]), node("Sub", ["x", "m"], ["y"], "sub")]
    ),
    "whole (ReduceMean)": lambda: _one([node("ReduceMean", ["x"], ["y"], "whole", keepdims=0)]),
    "sum (CumSum)": lambda: _one([node("CumSum", ["x", "a"], ["y"], "sum")], [ints("a", 0)]),
    "tile (Tile)": lambda: _one([node("Tile", ["x", "r"], ["y"], "tile")], [ints("r", 3, 1)]),
    "best (TopK)": lambda: _one(
        [node("TopK", ["x", "k"], ["v", "i"], "best", axis=0), node("Add", ["x", "v"], ["y"], "a")],
        [ints("k", 1)],
    ),
    "product (Gemm)": lambda: _one(
        [
            node("Gemm", ["x", "x"], ["g"], "product", transA=1),
            node("MatMul", ["x", "g"], ["y"], "m"),
        ]
    ),
    "pairs (Einsum)": lambda: _one(
        [
            node("Einsum", ["x", "x"], ["g"], "pairs", equation="bi,bj->ij"),
            node("MatMul", ["x", "g"], ["y"], "m"),
        ]
    ),
    "since (Softmax)": _softmax_since_axis_0,
}
BY_SHAPE["softmax (Softmax) before 13"] = BY_SHAPE.pop("since (Softmax)")

_LAST = (ints("from", -1), ints("to", 2**31 - 1))

#: What values alone tell.
BY_VALUE: dict[str, Callable[[], ModelProto]] = {
    "pick (Gather)": lambda: _one(
        [node("Gather", ["x", "i"], ["f"], "pick", axis=0), node("Add", ["x", "f"], ["y"], "add")],
        [ints("i", 0)],
    ),
    "last (Slice)": lambda: _one(
        [node("Slice", ["x", "from", "to"], ["l"], "last"), node("Mul", ["x", "l"], ["y"], "mul")],
        _LAST,
    ),
    "top (ReduceMax)": lambda: _one(
        [node("ReduceMax", ["x"], ["m"], "top", keepdims=0), node("Div", ["x", "m"], ["y"], "div")]
    ),
    "cat (Concat)": lambda: _one([node("Concat", ["x", "x"], ["y"], "cat", axis=0)]),
    "mul (Mul)": lambda: _one(  # the size of the batch is part of the values
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Cast", ["s"], ["c"], "cast", to=FLOAT),
            node("ReduceSum", ["c"], ["n"], "sum", keepdims=0),
            node("Mul", ["x", "n"], ["y"], "mul"),
        ]
    ),
    "most (ReduceMax)": lambda: _one(  # random numbers do not hide it
        [
            node("RandomNormalLike", ["x"], ["r"], "noise"),
            node("Add", ["x", "r"], ["t"], "add"),
            node("ReduceMax", ["t"], ["m"], "most", keepdims=0),
            node("Sub", ["t", "m"], ["y"], "sub"),
        ]
    ),
    "behind (Slice)": lambda: _one(  # nor does a dynamic quantisation in front
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "quantise"),
            node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
            node("Slice", ["d", "from", "to"], ["l"], "behind"),
            node("Mul", ["d", "l"], ["y"], "mul"),
        ],
        _LAST,
        (1, 64),
    ),
}


def quantised_dynamically() -> ModelProto:
    """One scale for the whole tensor, taken when it runs."""
    return _one(
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "quantise"),
            node("DequantizeLinear", ["q", "s", "z"], ["y"], "dequantise"),
        ],
        shape=(1, 64),
    )


def _halves() -> ModelProto:
    return _one(
        [
            node("Concat", ["x", "x"], ["t"], "cat", axis=0),
            node("Relu", ["t"], ["u"], "relu"),
            node("Split", ["u"], ["y", "z"], "split", axis=0),
        ],
        more=["z"],
        opset=11,
    )


def _time_first() -> ModelProto:
    return _one(
        [
            node("Transpose", ["x"], ["t"], "transpose", perm=[1, 0, 2]),
            node("Reshape", ["t", "f"], ["y"], "flat"),
        ],
        [ints("f", 5, 8)],
        (1, 5, 8),
    )


def _noisy() -> ModelProto:
    return _one(
        [node("RandomNormalLike", ["x"], ["r"], "noise"), node("Add", ["x", "r"], ["y"], "add")]
    )


def _pairs() -> ModelProto:
    """A batch of four that is cut into rows of its own."""
    return _one([node("Reshape", ["x", "f"], ["y"], "rows")], [ints("f", 8, 3)], (4, 6))


def _positions() -> ModelProto:
    table = numpy_helper.from_array(np.eye(5, 3, dtype=np.float32), "table")
    return model(
        [
            node("Gather", ["table", "ids"], ["e"], "embed"),
            node("Add", ["e", "x"], ["y"], "add"),
        ],
        [value("ids", [1, 2], INT64), value("x", [1, 2, 3])],
        [value("y", None)],
        [table],
    )


#: What is as many items, whatever it looks like.
SOUND: dict[str, Callable[[], ModelProto]] = {
    "halves": _halves,
    "time first": _time_first,
    "noisy": _noisy,
    "pairs": _pairs,
    "positions": _positions,
}
