"""Vision networks of today: exact counts, structure after their papers, boxes, a U-Net's block."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, shape_inference

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
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*inferred.input, *inferred.value_info, *inferred.output)
    }


def nodes(name: str, operator: str, part: str = "") -> list[NodeProto]:
    return [n for n in graph(name).node if n.op_type == operator and part in n.name]


def weights(name: str) -> int:
    """Elements of the weights, without the statistics of batch norms and without operands."""
    return sum(
        math.prod(t.dims)
        for t in graph(name).initializer
        if t.data_type == TensorProto.FLOAT and "/" not in t.name and "running" not in t.name
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mobilenet-v3-large", 5_483_032),  # torchvision
        ("mobilenet-v4-small", 3_774_024),  # timm: 3.77 M
        ("mobilenet-v4-medium", 9_715_512),  # timm: 9.72 M
        ("yolov8n", 3_157_200 - 16),  # Ultralytics, whose 16 distances are weights, too
        ("segformer-b0", 3_752_694),  # transformers
    ],
)
def test_parameters_are_the_published_to_the_last(name: str, parameters: int) -> None:
    assert weights(name) == parameters


def test_mobilenet_v3_excites_eight_of_its_bottlenecks() -> None:
    """Table 1 of the paper: SE at 40, 112 and 160 channels, hard swish from 80 on."""
    gates = nodes("mobilenet-v3-large", "HardSigmoid")
    assert [int(node.name.split("/")[1]) for node in gates] == [3, 4, 5, 10, 11, 12, 13, 14]
    swishing = {
        node.name.split("/")[1] for node in nodes("mobilenet-v3-large", "HardSwish", "blocks/")
    }
    assert sorted(map(int, swishing)) == list(range(6, 15))
    sums = Counter(
        shapes("mobilenet-v3-large")[n.output[0]][1:3] for n in nodes("mobilenet-v3-large", "Add")
    )
    assert sums == {(16, 112): 1, (24, 56): 1, (40, 28): 2, (80, 14): 3, (112, 14): 1, (160, 7): 2}


@pytest.mark.parametrize(
    ("name", "sums", "depthwise"),
    [
        ("mobilenet-v4-small", {(96, 14): 5, (128, 7): 5}, 15),
        ("mobilenet-v4-medium", {(80, 32): 1, (160, 16): 7, (256, 8): 10}, 30),
    ],
)
def test_universal_bottlenecks(name: str, sums: dict[tuple[int, int], int], depthwise: int) -> None:
    found = Counter(shapes(name)[node.output[0]][1:3] for node in nodes(name, "Add"))
    assert found == sums
    grouped = [
        n for n in nodes(name, "Conv") if any(a.name == "group" and a.i > 1 for a in n.attribute)
    ]
    assert len(grouped) == depthwise
    assert all("/before/" in node.name or "/after/" in node.name for node in grouped)


def test_yolov8n_yields_every_box() -> None:
    known = shapes("yolov8n")
    assert known["boxes"] == (1, 8400, 4)
    assert known["scores"] == (1, 8400, 80)
    sides = [known[n.output[0]] for n in nodes("yolov8n", "Conv", "sides/last")]
    assert sides == [(1, 64, size, size) for size in (80, 40, 20)]
    assert len(nodes("yolov8n", "Add", "backbone")) == 6


def test_segformer_answers_at_a_quarter_of_the_size() -> None:
    assert shapes("segformer-b0")["logits"] == (1, 150, 128, 128)
    assert len(nodes("segformer-b0", "Softmax")) == 8


def test_the_u_nets_block() -> None:
    name = "sd15-down-block"
    known = shapes(name)
    assert known["sample"] == (1, 320, 64, 64)
    assert known["first"] == known["second"] == (1, 640, 64, 64)
    assert known["down"] == (1, 640, 32, 32)
    scores = [known[node.output[0]] for node in nodes(name, "Softmax")]
    assert scores == [(1, 8, 4096, 4096), (1, 8, 4096, 77)] * 2
