"""What makes the classics of the zoo what they are, read off their skeletons."""

from __future__ import annotations

import math
import re
from functools import cache

import onnx
import pytest
from onnx import GraphProto, NodeProto, TensorProto, shape_inference

from onnxprof.zoo.catalogue import skeleton_path

#: Parameters that others publish, batch-norm statistics left out.
PARAMETERS = {
    "fashion-cnn": 3_274_634,
    "alexnet-cifar10": 2_472_266,
    "resnet50-cifar10": 23_520_842,
    "googlenet-cifar10": 6_166_250,
    "vgg16-cifar10": 14_728_266,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    # imgclsmob has a batch norm of 64 channels more: the paper's first unit shares the stem's.
    "resnet18-v2": 11_687_848 - 2 * 64,
    "resnet34-v2": 21_796_008 - 2 * 64,
    "resnet50-v2": 25_549_480 - 2 * 64,
    "resnet101-v2": 44_541_608 - 2 * 64,
    "resnet152-v2": 60_185_256 - 2 * 64,
    "mobilenet-v1": 4_231_976,
    "mobilenet-v2": 3_504_872,
}
#: Weighted layers that a network is named after, and projections, which are not counted.
LAYERS = {
    "fashion-cnn": (4, 0),
    "alexnet-cifar10": (6, 0),
    "resnet50-cifar10": (50, 4),
    "vgg16-cifar10": (14, 0),
    "vgg16": (16, 0),
    "resnet18": (18, 3),
    "resnet34": (34, 3),
    "resnet101": (101, 4),
    "resnet152": (152, 4),
    "resnet18-v2": (18, 3),
    "resnet34-v2": (34, 3),
    "resnet50-v2": (50, 4),
    "resnet101-v2": (101, 4),
    "resnet152-v2": (152, 4),
    "mobilenet-v1": (28, 0),
    "mobilenet-v2": (53, 0),
}
BOTTLENECKS = ("resnet50-cifar10", "resnet101", "resnet152")
PRE_BOTTLENECKS = ("resnet50-v2", "resnet101-v2", "resnet152-v2")
#: Outputs of the stages of a network for ImageNet: channels and width.
WIDE = [(256, 56), (512, 28), (1024, 14), (2048, 7)]
NARROW = [(64, 56), (128, 28), (256, 14), (512, 7)]


@cache
def graph(name: str) -> GraphProto:
    """The skeleton's graph at batch 1, with every shape."""
    model = onnx.load(skeleton_path(name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, data_prop=True).graph


@cache
def shapes(name: str) -> dict[str, tuple[int, ...]]:
    values = (*graph(name).value_info, *graph(name).output)
    return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}


def nodes(name: str, operator: str, pattern: str = ".*") -> list[NodeProto]:
    return [n for n in graph(name).node if n.op_type == operator and re.fullmatch(pattern, n.name)]


def ints(node: NodeProto, attribute: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == attribute), [])


def producers(name: str) -> dict[str, NodeProto]:
    return {out: node for node in graph(name).node for out in node.output}


def consumers(name: str, tensor: str) -> list[str]:
    return sorted(node.op_type for node in graph(name).node if tensor in node.input)


def parameters(name: str) -> int:
    statistics = {s for node in nodes(name, "BatchNormalization") for s in node.input[3:]}
    return sum(
        math.prod(t.dims)
        for t in graph(name).initializer
        if t.data_type == TensorProto.FLOAT and t.dims and t.name not in statistics
    )


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_exactly_the_published_ones(name: str) -> None:
    assert parameters(name) == PARAMETERS[name]


@pytest.mark.parametrize("name", LAYERS)
def test_weighted_layers(name: str) -> None:
    layers, projections = LAYERS[name]
    weighted = [*nodes(name, "Conv"), *nodes(name, "Gemm")]
    shortcuts = [n for n in weighted if "/shortcut/" in n.name]
    assert len(shortcuts) == projections
    assert len(weighted) == layers + projections


def test_layers_of_googlenet() -> None:
    """Nine modules of seven convolutions, and the stem's."""
    name = "googlenet-cifar10"
    assert len(nodes(name, "Conv")) == 9 * 7 + 1
    widths = [shapes(name)[n.output[0]][1:] for n in nodes(name, "Concat")]
    assert widths == [
        (256, 32, 32),
        (480, 32, 32),
        (512, 16, 16),
        (512, 16, 16),
        (512, 16, 16),
        (528, 16, 16),
        (832, 16, 16),
        (832, 8, 8),
        (1024, 8, 8),
    ]


@pytest.mark.parametrize("name", [*BOTTLENECKS, *PRE_BOTTLENECKS])
def test_bottleneck_halves_in_its_3x3(name: str) -> None:
    """v1.5 and v2: no 1×1 of a branch has a stride; the first 3×3 of stages 2 to 4 has."""
    assert all(ints(n, "strides") == [1, 1] for n in nodes(name, "Conv", ".*/branch/conv[13]/.*"))
    middle = nodes(name, "Conv", ".*/branch/conv2/.*")
    assert {tuple(ints(n, "kernel_shape")) for n in middle} == {(3, 3)}
    halving = [n.name for n in middle if ints(n, "strides") == [2, 2]]
    assert halving == [f"stage{stage}/0/branch/conv2/Conv" for stage in (2, 3, 4)]


def test_resnet50_of_the_onnx_package_is_v15() -> None:
    strided = [n for n in nodes("resnet50", "Conv", "res.*_branch2.") if 2 in ints(n, "strides")]
    assert [n.name for n in strided] == [f"res{stage}_0_branch2b" for stage in (3, 4, 5)]
    assert {tuple(ints(n, "kernel_shape")) for n in strided} == {(3, 3)}


@pytest.mark.parametrize("name", ["resnet18", "resnet34", *BOTTLENECKS])
def test_v1_activates_its_sums(name: str) -> None:
    """A branch ends with a batch norm, and its sum goes into a Relu alone."""
    made = producers(name)
    for node in nodes(name, "Add"):
        branch, shortcut = (made[tensor] for tensor in node.input)
        assert consumers(name, node.output[0]) == ["Relu"]
        assert branch.op_type == "BatchNormalization"
        projected = shortcut.name.endswith("/shortcut/norm/BatchNormalization")
        assert projected or shortcut.op_type in ("Relu", "MaxPool")
    assert all(made[n.input[0]].op_type == "Conv" for n in nodes(name, "BatchNormalization"))


@pytest.mark.parametrize("name", ["resnet18-v2", "resnet34-v2", *PRE_BOTTLENECKS])
def test_v2_activates_before_its_convolutions(name: str) -> None:
    """Batch norm, Relu, convolution; a sum of raw convolutions, the first unit after the stem."""
    made = producers(name)
    for node in nodes(name, "Conv", "stage.*"):
        before = made[node.input[0]]
        assert before.op_type == "Relu" or before.name == "stem/pool/MaxPool"
    for node in nodes(name, "Add"):
        branch, shortcut = (made[tensor] for tensor in node.input)
        assert branch.op_type == "Conv"
        assert shortcut.op_type in ("Conv", "Add") or node.name == "stage1/0/Add"
        assert "BatchNormalization" in consumers(name, node.output[0])
        assert "Relu" not in consumers(name, node.output[0])
    assert all(made[n.input[0]].op_type == "BatchNormalization" for n in nodes(name, "Relu"))
    assert nodes(name, "BatchNormalization")[-1].name == "active/norm/BatchNormalization"


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", NARROW),
        ("resnet34", NARROW),
        ("resnet101", WIDE),
        ("resnet152", WIDE),
        ("resnet18-v2", NARROW),
        ("resnet34-v2", NARROW),
        ("resnet50-v2", WIDE),
        ("resnet101-v2", WIDE),
        ("resnet152-v2", WIDE),
        ("resnet50-cifar10", [(256, 32), (512, 16), (1024, 8), (2048, 4)]),
    ],
)
def test_stages_of_a_resnet(name: str, stages: list[tuple[int, int]]) -> None:
    known = shapes(name)
    for number, (channels, width) in enumerate(stages, start=1):
        sums = nodes(name, "Add", f"stage{number}/.*")
        assert {known[n.output[0]] for n in sums} == {(1, channels, width, width)}


@pytest.mark.parametrize(("name", "width"), [("vgg16", 224), ("vgg16-cifar10", 32)])
def test_blocks_of_vgg16(name: str, width: int) -> None:
    pools = [shapes(name)[n.output[0]] for n in nodes(name, "MaxPool")]
    channels = (64, 128, 256, 512, 512)
    assert pools == [(1, c, width >> i, width >> i) for i, c in enumerate(channels, start=1)]
    kernels = {tuple(ints(n, "kernel_shape")) for n in nodes(name, "Conv")}
    assert kernels == {(3, 3)}


@pytest.mark.parametrize(
    ("name", "depthwise", "last"), [("mobilenet-v1", 13, 1024), ("mobilenet-v2", 17, 1280)]
)
def test_depthwise_convolutions(name: str, depthwise: int, last: int) -> None:
    found = nodes(name, "Conv", ".*/depthwise/.*")
    assert len(found) == depthwise
    for node in found:
        group = next(a.i for a in node.attribute if a.name == "group")
        assert group == shapes(name)[node.output[0]][1]
    features = nodes(name, "AveragePool")[0].input[0]
    assert shapes(name)[features] == (1, last, 7, 7)


def test_mobilenet_v2_leaves_its_projections_linear() -> None:
    for node in nodes("mobilenet-v2", "BatchNormalization", ".*/project/.*"):
        assert set(consumers("mobilenet-v2", node.output[0])) <= {"Conv", "Add"}
    assert len(nodes("mobilenet-v2", "Add")) == 10


def test_alexnet_leaves_one_pixel() -> None:
    widths = [shapes("alexnet-cifar10")[n.output[0]] for n in nodes("alexnet-cifar10", "MaxPool")]
    assert widths == [(1, 64, 4, 4), (1, 192, 2, 2), (1, 256, 1, 1)]
