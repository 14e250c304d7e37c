"""Small ONNX models for tests; every builder gives a ModelProto."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
HALF = TensorProto.FLOAT16
Dims = Sequence[int | str | None]


def value(name: str, dims: Dims | None, dtype: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, dims)


def weight(name: str, *dims: int, seed: int = 0) -> TensorProto:
    """Small normal values, the same on every call."""
    data = np.random.default_rng(seed).normal(0, 0.1, dims).astype(np.float32)
    return numpy_helper.from_array(data, name)


def ints(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(
    op_type: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", **given: Any
) -> NodeProto:
    return helper.make_node(op_type, list(inputs), list(outputs), name=name, **given)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    *,
    opset: int = 17,
    ir_version: int = 8,
    domains: Sequence[str] = (),
    functions: Sequence[Any] = (),
) -> ModelProto:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, functions=list(functions)
    )


def save(made: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def external(
    made: ModelProto, folder: Path, location: str = "weights.bin", size: int | None = None
) -> Path:
    """Write the model with its float initializers outside; `size` cuts or grows the data file."""
    data = bytearray()
    for tensor in made.graph.initializer:
        if tensor.data_type != FLOAT:
            continue
        raw = numpy_helper.to_array(tensor).tobytes()
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", location), ("offset", len(data)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(entry))
        data += raw
    target = folder / location
    if not Path(location).is_absolute() and ".." not in location:
        target.write_bytes(bytes(data)[:size] if size is not None else bytes(data))
    return save(made, folder)


def linear(batch: int | str | None = "N", width: int = 4) -> ModelProto:
    """One Gemm: the smallest network with a batch."""
    return model(
        [node("Gemm", ["x", "w", "b"], ["y"], "fc")],
        [value("x", [batch, width])],
        [value("y", [batch, 3])],
        [weight("w", width, 3), weight("b", 3)],
    )


def lenet(batch: int | str = "N") -> ModelProto:
    """LeNet with the names of the reference table, in its order."""
    same = {"auto_pad": "SAME_UPPER", "dilations": [1, 1], "strides": [1, 1]}
    pool = {"auto_pad": "NOTSET"}
    flat = "Pooling160_Output_0_reshape0"
    first = -1 if isinstance(batch, str) else batch
    nodes = [
        node("Reshape", ["Parameter193", "Parameter193_reshape1_shape"], ["Parameter193_reshape1"],
             "Times212_reshape1"),
        node("Conv", ["Input3", "Parameter5"], ["Convolution28_Output_0"], "Convolution28",
             kernel_shape=[5, 5], **same),
        node("Add", ["Convolution28_Output_0", "Parameter6"], ["Plus30_Output_0"], "Plus30"),
        node("Relu", ["Plus30_Output_0"], ["ReLU32_Output_0"], "ReLU32"),
        node("MaxPool", ["ReLU32_Output_0"], ["Pooling66_Output_0"], "Pooling66",
             kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], **pool),
        node("Conv", ["Pooling66_Output_0", "Parameter87"], ["Convolution110_Output_0"],
             "Convolution110", kernel_shape=[5, 5], **same),
        node("Add", ["Convolution110_Output_0", "Parameter88"], ["Plus112_Output_0"], "Plus112"),
        node("Relu", ["Plus112_Output_0"], ["ReLU114_Output_0"], "ReLU114"),
        node("MaxPool", ["ReLU114_Output_0"], ["Pooling160_Output_0"], "Pooling160",
             kernel_shape=[3, 3], strides=[3, 3], pads=[0, 0, 0, 0], **pool),
        node("Reshape", ["Pooling160_Output_0", f"{flat}_shape"], [flat], "Times212_reshape0"),
        node("MatMul", [flat, "Parameter193_reshape1"], ["Times212_Output_0"], "Times212"),
        node("Add", ["Times212_Output_0", "Parameter194"], ["Plus214_Output_0"], "Plus214"),
    ]  # fmt: skip
    stored = [
        weight("Parameter193", 16, 4, 4, 10),
        ints("Parameter193_reshape1_shape", 256, 10),
        weight("Parameter5", 8, 1, 5, 5),
        weight("Parameter6", 8, 1, 1),
        weight("Parameter87", 16, 8, 5, 5),
        weight("Parameter88", 16, 1, 1),
        ints(f"{flat}_shape", first, 256),
        weight("Parameter194", 1, 10),
    ]
    outputs = [value("Plus214_Output_0", [batch, 10])]
    return model(nodes, [value("Input3", [batch, 1, 28, 28])], outputs, stored, opset=11)


def reshaped(target: Sequence[int], data: Dims, out: Dims | None = None) -> ModelProto:
    """A Relu, then a Reshape with a fixed target."""
    return model(
        [node("Relu", ["x"], ["r"], "relu"), node("Reshape", ["r", "shape"], ["y"], "reshape")],
        [value("x", data)],
        [value("y", out)],
        [ints("shape", *target)],
    )


def class_token() -> ModelProto:
    """A vision transformer's front: a stored token of batch 1 is concatenated."""
    return model(
        [
            node("Concat", ["token", "x"], ["cat"], "cat", axis=1),
            node("Relu", ["cat"], ["y"], "relu"),
        ],
        [value("x", [1, 4, 8])],
        [value("y", [1, 5, 8])],
        [weight("token", 1, 1, 8)],
    )


def picks_first() -> ModelProto:
    """A detector's tail: Gather takes item 0 of the batch, so the output has no batch."""
    return model(
        [
            node("Sigmoid", ["x"], ["s"], "scores"),
            node("Gather", ["s", "zero"], ["first"], "pick", axis=0),
            node("Relu", ["first"], ["y"], "relu"),
        ],
        [value("x", [1, 6, 4])],
        [value("y", [6, 4])],
        [numpy_helper.from_array(np.array(0, np.int64), "zero")],
    )


def recurrent(op_type: str = "LSTM", batch: int = 1) -> ModelProto:
    """Sequence-first recurrence with stored initial states."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type]
    states = ["h0", "c0"] if op_type == "LSTM" else ["h0"]
    return model(
        [
            node("Transpose", ["x"], ["t"], "to_time", perm=[1, 0, 2]),
            node(op_type, ["t", "w", "r", "b", "", *states], ["s", "last"], "rnn", hidden_size=5),
            node("Squeeze", ["last", "axis"], ["y"], "squeeze"),
        ],
        [value("x", [batch, 7, 3])],
        [value("y", [batch, 5])],
        [
            weight("w", 1, gates * 5, 3),
            weight("r", 1, gates * 5, 5),
            weight("b", 1, 2 * gates * 5),
            *(weight(name, 1, batch, 5) for name in states),
            ints("axis", 0),
        ],
    )


def quantised() -> ModelProto:
    """QDQ around a convolution, then a fixed flatten."""
    scale = numpy_helper.from_array(np.array(0.05, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(128, np.uint8), "zero")
    return model(
        [
            node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantise"),
            node("DequantizeLinear", ["q", "scale", "zero"], ["d"], "dequantise"),
            node("Conv", ["d", "w"], ["c"], "conv", kernel_shape=[3, 3]),
            node("Reshape", ["c", "shape"], ["y"], "flatten"),
        ],
        [value("x", [1, 3, 8, 8])],
        [value("y", [1, 144])],
        [scale, zero, weight("w", 4, 3, 3, 3), ints("shape", 1, -1)],
    )


def quantised_convolution() -> ModelProto:
    """QDQ around a convolution, an activation of two readers, a turn to channels last."""
    rng = np.random.default_rng(0)
    stored = {
        "s": np.float32(0.05), "z": np.uint8(128), "ws": np.float32(0.01), "wz": np.int8(0),
        "W": rng.integers(-100, 100, (64, 64, 3, 3)).astype(np.int8),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"], "x_Q"),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"], "x_DQ"),
        node("DequantizeLinear", ["W", "ws", "wz"], ["wd"], "W_DQ"),
        node("Conv", ["xd", "wd"], ["conv"], "node_conv", pads=[1] * 4),
        node("QuantizeLinear", ["conv", "s", "z"], ["cq"], "conv_Q"),
        node("DequantizeLinear", ["cq", "s", "z"], ["cd"], "conv_DQ"),
        node("Erf", ["cd"], ["e"], "erf"),
        node("Mul", ["cd", "e"], ["g"], "gelu"),
        node("Transpose", ["g"], ["y"], "to_tokens", perm=[0, 2, 3, 1]),
    ]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    return model(nodes, [value("x", ["N", 64, 8, 8])], [value("y", None)], weights)


def tf_style() -> ModelProto:
    """As tf2onnx writes it: NHWC input, `unk__12` batch, a target computed from Shape."""
    return model(
        [
            node("Transpose", ["x:0"], ["nchw"], "model/conv__5", perm=[0, 3, 1, 2]),
            node("Conv", ["nchw", "w"], ["c"], "model/conv", kernel_shape=[3, 3]),
            node("Shape", ["c"], ["shape"], "model/Shape"),
            node("Cast", ["shape"], ["shape32"], "model/Shape__9", to=TensorProto.INT32),
            node("Slice", ["shape32", "start", "stop", "axes"], ["front"], "model/strided_slice"),
            node("Squeeze", ["front", "axes"], ["n"], "model/squeeze"),
            node("Unsqueeze", ["n", "axes"], ["n1"], "model/unsqueeze"),
            node("Cast", ["n1"], ["n64"], "model/cast", to=INT64),
            node("Concat", ["n64", "rest"], ["target"], "model/pack", axis=0),
            node("Reshape", ["c", "target"], ["y:0"], "model/Reshape"),
        ],
        [value("x:0", ["unk__12", 8, 8, 3])],
        [value("y:0", ["unk__13", 144])],
        [weight("w", 4, 3, 3, 3), ints("start", 0), ints("stop", 1), ints("axes", 0),
         ints("rest", 144)],
    )  # fmt: skip


def branching(batch: int | str = "batch") -> ModelProto:
    """A speech model's shape: an If whose branches capture outer tensors and share names."""

    def branch(op_type: str, result: str) -> onnx.GraphProto:
        nodes = [
            node(op_type, ["h", "w"], ["inner"], "branch_mul"),
            node("Reshape", ["inner", "shape"], [result], "branch_reshape"),
        ]
        stored = [ints("shape", 1 if isinstance(batch, int) else -1, 8)]
        return helper.make_graph(nodes, op_type, [], [value(result, None)], stored)

    return model(
        [
            node("Relu", ["x"], ["h"], "relu"),
            node("If", ["fast"], ["y"], "choose", then_branch=branch("Mul", "a"),
                 else_branch=branch("Add", "b")),
        ],
        [value("x", [batch, 2, 4]), value("fast", [], BOOL)],
        [value("y", None)],
        [weight("w", 4)],
    )  # fmt: skip


def custom_domain() -> ModelProto:
    return model(
        [
            node("Relu", ["x"], ["r"], "relu"),
            node("Wobble", ["r"], ["y"], "wobble", domain="com.example", strength=0.5),
        ],
        [value("x", ["N", 4])],
        [value("y", None)],
        domains=["com.example"],
    )


def with_function() -> ModelProto:
    """A model-local function called twice."""
    body = [node("Sigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["b"])]
    swish = helper.make_function(
        "local", "Swish", ["a"], ["b"], body, [helper.make_opsetid("", 17)]
    )
    return model(
        [
            node("Swish", ["x"], ["h"], "first", domain="local"),
            node("Swish", ["h"], ["y"], "second", domain="local"),
        ],
        [value("x", ["N", 4])],
        [value("y", None)],
        domains=["local"],
        functions=[swish],
    )


def sequences() -> ModelProto:
    return model(
        [
            node("SplitToSequence", ["x", "sizes"], ["parts"], "split", axis=1),
            node("SequenceAt", ["parts", "zero"], ["y"], "at"),
        ],
        [value("x", ["N", 4])],
        [value("y", None)],
        [ints("sizes", 1, 3), numpy_helper.from_array(np.array(0, np.int64), "zero")],
    )


def looped() -> ModelProto:
    """A Loop that doubles its state three times."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["still"]), node("Add", ["state", "state"], ["next"], "double")],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("state", ["N", 4])],
        [value("still", [], BOOL), value("next", ["N", 4])],
    )
    return model(
        [node("Loop", ["trips", "", "x"], ["y"], "loop", body=body)],
        [value("x", ["N", 4])],
        [value("y", ["N", 4])],
        [numpy_helper.from_array(np.array(3, np.int64), "trips")],
    )


def nested(depth: int) -> ModelProto:
    """If inside If; protobuf itself stops at some thirty levels."""
    inner = helper.make_graph([node("Relu", ["x"], ["v"])], "leaf", [], [value("v", None)])
    for level in range(depth):
        name = f"v{level}"
        same = onnx.GraphProto.FromString(inner.SerializeToString())
        del same.node[:]
        same.node.append(node("Identity", ["x"], [same.output[0].name]))
        branch = node("If", ["go"], [name], then_branch=inner, else_branch=same)
        inner = helper.make_graph([branch], "level", [], [value(name, None)])
    inputs = [value("x", [1, 4]), value("go", [], BOOL)]
    return model(list(inner.node), inputs, [value(inner.output[0].name, None)])


def attention(length: int = 6, width: int = 8, heads: int = 2) -> ModelProto:
    """Fixed-batch self-attention with heads merged into the batch, as old exporters write it."""
    size = width // heads
    nodes: list[NodeProto] = []
    for k in "qkv":
        nodes += [
            node("MatMul", ["x", f"w{k}"], [k]),
            node("Reshape", [k, "split"], [f"{k}s"]),
            node("Transpose", [f"{k}s"], [f"{k}t"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"{k}t", "merge"], [f"{k}m"]),
        ]
    nodes += [
        node("Transpose", ["km"], ["kT"], perm=[0, 2, 1]),
        node("MatMul", ["qm", "kT"], ["scores"]),
        node("Softmax", ["scores"], ["p"], axis=-1),
        node("MatMul", ["p", "vm"], ["o"]),
        node("Reshape", ["o", "back"], ["ob"]),
        node("Transpose", ["ob"], ["ot"], perm=[0, 2, 1, 3]),
        node("Reshape", ["ot", "flat"], ["y"]),
    ]
    stored = [
        *(weight(f"w{k}", width, width) for k in "qkv"),
        ints("split", 1, length, heads, size),
        ints("merge", heads, length, size),
        ints("back", 1, heads, length, size),
        ints("flat", 1, length, width),
    ]
    return model(nodes, [value("x", [1, length, width])], [value("y", None)], stored)
