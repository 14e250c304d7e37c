"""ONNX graphs of equal copies, made for measuring ceilings."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxprof.jobs.ceilings.probes import KERNELS, Probe

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 9
#: The first opset with a bfloat16 Conv, and the IR version of its release.
_BFLOAT16_OPSET, _BFLOAT16_IR = 22, 10
#: Names of ONNX's types, by precision: of activations and of weights.
_TYPES = {
    "float32": ("FLOAT", "FLOAT"),
    "float16": ("FLOAT16", "FLOAT16"),
    "bfloat16": ("BFLOAT16", "BFLOAT16"),
    "int8": ("UINT8", "INT8"),
}
_OPERATORS = {
    "relu": "Relu",
    "reshape": "Reshape",
    "add": "Add",
    "apart": "Add",
    "matmul": "MatMul",
    "gemv": "MatMul",
}
#: Random values are drawn for so many elements, and repeated.
_DRAWN = 1 << 16


def write(probe: Probe, copies: int, folder: Path) -> Path:
    """The file of a chain of so many copies."""
    import onnx

    path = folder / f"{probe.kind}-{copies}.onnx"
    onnx.save(chain(probe, copies), path)
    return path


def chain(probe: Probe, copies: int) -> onnx.ModelProto:
    """Copies in a row, each with weights of its own; only the last one's output is the graph's.

    A copy of `add` reads the outputs of two earlier ones. Copies of `apart` all read the input and
    add a number of their own to it; each has an output of the graph.
    """
    from onnx import TensorProto, helper

    element = getattr(TensorProto, _TYPES[probe.precision][0])
    inputs = ["t0", "u0"] if probe.kind == "add" else ["t0"]
    outputs = [f"t{i + 1}" for i in range(copies)]
    if probe.kind != "apart":
        outputs = outputs[-1:]
    reads, yields = (
        [helper.make_tensor_value_info(name, element, probe.shape) for name in names]
        for names in (inputs, outputs)
    )
    nodes = [_node(probe, i, copies) for i in range(copies)]
    weights = _initializers(probe, copies)
    graph = helper.make_graph(nodes, f"{probe.kind}-{copies}", reads, yields, weights)
    is_late = probe.precision == "bfloat16"
    imports = [helper.make_opsetid("", _BFLOAT16_OPSET if is_late else OPSET)]
    version = _BFLOAT16_IR if is_late else IR_VERSION
    return helper.make_model(graph, opset_imports=imports, ir_version=version)


def _node(probe: Probe, i: int, copies: int) -> onnx.NodeProto:
    from onnx import helper

    operator = _OPERATORS.get(probe.kind, "Conv")
    read = ["t0" if probe.kind == "apart" else f"t{i}"]
    if probe.kind == "apart":
        read.append(f"w{i}")
    elif probe.kind == "add":
        read.append(f"t{i - 1}" if i else "u0")
    elif probe.kind == "reshape":
        read.append("wide" if (copies - i) % 2 else "tall")
    elif probe.weight_shape:
        read.append(f"w{i}")
    if probe.precision == "int8":
        operator = f"QLinear{operator}"
        read = [read[0], "scale", "zero", read[1], "weight_scale", "weight_zero", "scale", "zero"]
    return helper.make_node(operator, read, [f"t{i + 1}"], f"copy{i}", **_attributes(probe))


def _attributes(probe: Probe) -> dict[str, Any]:
    kernel = KERNELS.get(probe.kind)
    if kernel is None:
        return {}
    group = probe.sizes[1] if probe.kind == "depthwise" else 1
    return {"pads": [kernel // 2] * 4, "kernel_shape": [kernel] * 2, "group": group}


def _initializers(probe: Probe, copies: int) -> list[onnx.TensorProto]:
    from onnx import numpy_helper

    if probe.kind == "apart":
        return [
            numpy_helper.from_array(np.array(i + 1, np.float32), f"w{i}") for i in range(copies)
        ]
    if probe.kind == "reshape":
        shapes = {"wide": [1, -1], "tall": [-1, 1]}
        return [numpy_helper.from_array(np.array(s), name) for name, s in shapes.items()]
    if not probe.weight_shape:
        return []
    made = [_weight(f"w{i}", probe, i) for i in range(copies)]
    return made + (_quantisation() if probe.precision == "int8" else [])


def _weight(name: str, probe: Probe, seed: int) -> onnx.TensorProto:
    """Seeded values that keep a signal's size from copy to copy."""
    from onnx import TensorProto

    shape = probe.weight_shape
    fan_in = prod(shape[:1]) if probe.kind in ("matmul", "gemv") else prod(shape[1:])
    drawn = np.random.default_rng(seed).normal(size=min(_DRAWN, prod(shape)))
    spread = 20 if probe.precision == "int8" else fan_in**-0.5
    values = np.resize((drawn * spread).astype(np.float32), prod(shape))
    kind = getattr(TensorProto, _TYPES[probe.precision][1])
    return TensorProto(
        name=name, dims=shape, data_type=kind, raw_data=_raw(values, probe.precision)
    )


def _raw(values: Any, precision: str) -> bytes:
    if precision == "float16":
        return bytes(values.astype("<f2").tobytes())
    if precision == "bfloat16":
        return bytes((values.view(np.uint32) >> 16).astype("<u2").tobytes())
    if precision == "int8":
        return bytes(np.clip(values, -127, 127).astype(np.int8).tobytes())
    return bytes(values.astype("<f4").tobytes())


def _quantisation() -> list[onnx.TensorProto]:
    """Scales and zero points, the same for all copies."""
    from onnx import numpy_helper

    given = {
        "scale": np.float32(0.05),
        "zero": np.uint8(128),
        "weight_scale": np.float32(0.002),
        "weight_zero": np.int8(0),
    }
    return [numpy_helper.from_array(np.array(value), name) for name, value in given.items()]
