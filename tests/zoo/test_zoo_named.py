"""The networks with the ONNX Model Zoo's names: structure after their papers."""

from __future__ import annotations

from collections import Counter
from functools import cache

import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper, shape_inference

from onnxprof.zoo.catalogue import skeleton_path


@cache
def graph(name: str) -> GraphProto:
    return onnx.load(skeleton_path(name)).graph


@cache
def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape at batch 1."""
    model: ModelProto = onnx.load(skeleton_path(name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*inferred.input, *inferred.value_info, *inferred.output)
    }


def nodes(name: str, operator: str) -> list[NodeProto]:
    return [node for node in graph(name).node if node.op_type == operator]


def widths(name: str, operator: str) -> list[tuple[int, ...]]:
    """Channels and size of what each such layer yields."""
    return [shapes(name)[node.output[0]][1:3] for node in nodes(name, operator)]


def ints(node: NodeProto, attribute: str) -> list[int]:
    return next(list(a.ints) for a in node.attribute if a.name == attribute)


def stored(name: str, tensor: str) -> list[int]:
    return numpy_helper.to_array(next(t for t in graph(name).initializer if t.name == tensor))


@pytest.mark.parametrize("name", ["caffenet", "rcnn-ilsvrc13"])
def test_caffe_pools_before_it_normalises(name: str) -> None:
    order = [node.name for node in graph(name).node][:8]
    assert order == [
        *("conv_1", "relu_1", "maxpool_1", "lrn_1"),
        *("conv2_2", "relu_2", "maxpool_2", "lrn_2"),
    ]
    assert widths(name, "MaxPool") == [(96, 27), (256, 13), (256, 6)]
    groups = [
        next(a.i for a in node.attribute if a.name == "group") for node in nodes(name, "Conv")
    ]
    assert groups == [1, 2, 1, 2, 2]


def test_a_region_has_scores_of_200_classes_and_no_softmax() -> None:
    assert shapes("rcnn-ilsvrc13")["fc-rcnn_1"] == (1, 200)
    assert not nodes("rcnn-ilsvrc13", "Softmax")
    assert graph("rcnn-ilsvrc13").output[0].name == "fc-rcnn_1"


@pytest.mark.parametrize(
    ("name", "depths"), [("vgg16-bn", (2, 2, 3, 3, 3)), ("vgg19-bn", (2, 2, 4, 4, 4))]
)
def test_vgg_normalises_each_convolution(name: str, depths: tuple[int, ...]) -> None:
    channels = (64, 128, 256, 512, 512)
    sizes = [(width, 224 >> i) for i, width in enumerate(channels)]
    expected = [size for size, depth in zip(sizes, depths, strict=True) for _ in range(depth)]
    assert widths(name, "Conv") == widths(name, "BatchNormalization") == expected
    assert widths(name, "MaxPool") == [(width, size // 2) for width, size in sizes]
    assert len(nodes(name, "Flatten")) == 3


def test_googlenet_halves_as_caffe_does() -> None:
    halved = [size for _, size in widths("googlenet", "MaxPool")]
    assert halved == [56, 28, 28, 28, *[14] * 6, 7, 7, 7]
    assert widths("googlenet", "Concat")[-1] == (1024, 7)
    assert graph("googlenet").node[-1].name == "softmax_1"


def test_arcface_units() -> None:
    sums = Counter(widths("arcface", "Add"))
    assert sums == {(64, 56): 3, (128, 28): 13, (256, 14): 30, (512, 7): 3}
    assert len(nodes("arcface", "PRelu")) == 1 + sum(sums.values())
    assert shapes("arcface")["fc1"] == (1, 512)
    numbers = [node.name for node in nodes("arcface", "Reshape")]
    assert (numbers[0], numbers[1], numbers[-1]) == ("slope12", "slope26", "slope1110")
    assert shapes("arcface")["slope26"] == (1, 64, 1, 1)


def test_fer_plus_blocks() -> None:
    assert widths("fer-plus", "MaxPool") == [(64, 32), (128, 16), (256, 8), (256, 4)]
    assert shapes("fer-plus")["Plus692_Output_0"] == (1, 8)
    for operand in ("Minus340/Constant339", "Block352/Constant343"):
        assert float(stored("fer-plus", operand)) == 127.5


def test_tiny_yolo_keeps_13_cells() -> None:
    """The last pooling moves by one pixel and pads the right and lower edge."""
    sizes = [size for _, size in widths("tiny-yolo-v2", "MaxPool")]
    assert sizes == [208, 104, 52, 26, 13, 13]
    assert ints(nodes("tiny-yolo-v2", "MaxPool")[-1], "pads") == [0, 0, 1, 1]
    assert shapes("tiny-yolo-v2")["grid"] == (1, 125, 13, 13)


def test_duc_loses_no_size_after_its_third_stage() -> None:
    sums = Counter(widths("duc", "Add"))
    assert sums == {(256, 199): 3, (512, 100): 4, (1024, 100): 23, (2048, 100): 3}
    holes = [ints(node, "dilations")[0] for node in nodes("duc", "Conv") if "_3x3" in node.name]
    stages = [holes[i] for i in range(3, len(holes))]
    fourth = [2, 2, 5, 9, *(1, 2, 5, 9) * 4, 1, 2, 5]
    assert stages == [*[1] * 7, *fourth, 5, 9, 17]
    assert [ints(node, "dilations")[0] for node in nodes("duc", "Conv")[-4:]] == [6, 12, 18, 24]
    assert shapes("duc")["seg_loss"] == (1, 19, 160_000)
