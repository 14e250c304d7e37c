"""How many parameters a model has, whatever they are stored as."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.model.graph.parameters import parameters


def held(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def made(nodes, initializers, **given):
    return models.model(nodes, [value("x", ["N", 4])], [value("y", None)], initializers, **given)


def quantised(weights, bias):
    """A QDQ convolution's weights and bias, with scales and zero points a channel."""
    return made(
        [
            node("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
            node("DequantizeLinear", ["b", "bs"], ["bf"]),
            node("Gemm", ["x", "wf", "bf"], ["y"]),
        ],
        [held("w", weights), held("ws", np.ones(5, np.float32)), held("wz", np.zeros(5, np.int8)),
         held("b", bias), held("bs", np.ones(5, np.float32))],
    )  # fmt: skip


def test_integer_weights_and_biases_count_scales_and_zero_points_do_not():
    assert parameters(quantised(np.ones((4, 5), np.int8), np.ones(5, np.int32))) == 25


def test_operators_on_integers():
    conv = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    floats = [held(n, np.float32(1)) for n in ("xs", "ws", "ys")]
    zeros = [held(n, np.uint8(0)) for n in ("xz", "wz", "yz")]
    data = [held("w", np.ones((4, 3, 3, 3), np.int8)), held("b", np.ones(4, np.int32))]
    assert parameters(made([node("QLinearConv", conv, ["y"])], [*floats, *zeros, *data])) == 112
    dynamic = node("MatMulInteger", ["x", "w", "", "wz"], ["y"])
    assert parameters(made([dynamic], [held("w", np.ones((4, 5), np.uint8)), zeros[1]])) == 20


def test_elements_that_are_packed_count_one_by_one():
    packed = node("MatMulNBits", ["x", "w", "s", "z"], ["y"], domain="com.microsoft",
                  K=32, N=48, bits=4, block_size=16)  # fmt: skip
    initializers = [held("w", np.ones((48, 2, 8), np.uint8)), held("s", np.ones(96, np.float32)),
                    held("z", np.ones(48, np.uint8))]  # fmt: skip
    assert parameters(made([packed], initializers, domains=["com.microsoft"])) == 32 * 48
    four = helper.make_tensor("w", TensorProto.INT4, [4, 6], [1] * 24)
    nodes = [node("DequantizeLinear", ["w", "s"], ["f"]), node("MatMul", ["x", "f"], ["y"])]
    assert parameters(made(nodes, [four, held("s", np.float32(1))], opset=21)) == 24


def test_constant_nodes_count_and_single_elements_do_not():
    nodes = [
        node("Constant", [], ["w"], value=weight("", 4, 5)),
        node("Constant", [], ["eps"], value=held("", np.float32(1e-5))),
        node("Constant", [], ["axes"], value_ints=[0, 1]),
        node("Constant", [], ["list"], value_floats=[1.0, 2.0, 3.0]),
        node("MatMul", ["x", "w"], ["m"]),
        node("Add", ["m", "eps"], ["y"]),
    ]
    assert parameters(made(nodes, [])) == 23


def test_shapes_indices_and_masks_do_not_count():
    nodes = [node("Gather", ["t", "i"], ["g"]), node("Reshape", ["g", "s"], ["y"])]
    stored = [weight("t", 9, 4), held("i", np.arange(7)), models.ints("s", 4, 7),
              held("m", np.ones(9, bool)), held("half", np.float32(0.5))]  # fmt: skip
    assert parameters(made(nodes, stored)) == 36


def test_scales_behind_a_reshape_are_scales():
    nodes = [
        node("Reshape", ["s", "shape"], ["scale"]),
        node("DequantizeLinear", ["w", "scale"], ["f"], axis=0),
        node("MatMul", ["x", "f"], ["y"]),
    ]
    stored = [held("w", np.ones((4, 5), np.int8)), held("s", np.ones((4, 1), np.float32)),
              models.ints("shape", 4)]  # fmt: skip
    assert parameters(made(nodes, stored)) == 20


def test_weights_of_local_functions_count_once(tmp_path):
    from onnxprof.model.file import open_model

    body = [node("Constant", [], ["w"], value=weight("", 4, 4)), node("MatMul", ["a", "w"], ["b"])]
    function = helper.make_function("my", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [
        node("F", ["x"], ["h"], "one", domain="my"),
        node("F", ["h"], ["y"], "two", domain="my"),
    ]
    model = made(nodes, [], domains=["my"], functions=[function])
    assert open_model(str(models.save(model, tmp_path))).parameters == 16
