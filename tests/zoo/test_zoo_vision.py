"""What is particular to the later vision networks and MLPerf's: structure, boxes, exact counts."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from functools import cache

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, shape_inference

from onnxprof import zoo
from onnxprof.zoo.catalogue import skeleton_path
from onnxprof.zoo.sources.counts import count

DETECTORS = {
    # Name: image size, boxes, classes, axis of the scores.
    "yolo": (416, 3549, 80),
    "detr": (800, 100, 92),
    "ssd-mobilenet-v1-300": (300, 1917, 91),
    "ssd-resnet34-1200": (1200, 15130, 81),
}


@cache
def graph(name: str) -> GraphProto:
    return onnx.load(skeleton_path(name)).graph


@cache
def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape at batch 1."""
    model = ModelProto()
    model.CopyFrom(onnx.load(skeleton_path(name)))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*inferred.input, *inferred.value_info, *inferred.output)
    }


def operators(name: str) -> Counter[str]:
    return Counter(node.op_type for node in graph(name).node)


def weights(name: str) -> dict[str, tuple[int, ...]]:
    """Weights without the statistics of batch normalisation and without operands."""
    return {
        t.name: tuple(t.dims)
        for t in graph(name).initializer
        if t.data_type == TensorProto.FLOAT and "/" not in t.name and "running" not in t.name
    }


def node(name: str, layer: str) -> NodeProto:
    return next(n for n in graph(name).node if n.name == layer)


@pytest.mark.parametrize(
    ("name", "parameters", "source"),
    [
        ("efficientnet-b0", 5_288_548, "torchvision"),
        ("convnext-tiny", 28_589_128, "torchvision"),
        ("vit-b16", 86_567_656, "torchvision"),
        # transformers; the batch norms of ResNet-50, which it freezes, have 53,120.
        ("detr", 41_524_768 + 53_120, "transformers"),
        ("mask-rcnn", 44_401_393 + 53_120, "torchvision"),
    ],
)
def test_parameters_are_the_published_to_the_last(name: str, parameters: int, source: str) -> None:
    assert sum(map(math.prod, weights(name).values())) == parameters, source


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_yield_every_box(name: str) -> None:
    size, boxes, classes = DETECTORS[name]
    assert shapes(name)["image"] == (1, 3, size, size)
    assert shapes(name)["boxes"] == (1, boxes, 4)
    assert shapes(name)["scores"] == (1, boxes, classes)


def test_boxes_by_feature_map() -> None:
    """The sums that the papers and MLPerf's reference give for their grids."""
    grids = {
        "yolo": [(size, 1) for size in (52, 26, 13)],
        "ssd-mobilenet-v1-300": [(19, 3), *((size, 6) for size in (10, 5, 3, 2, 1))],
        "ssd-resnet34-1200": [(50, 4), (25, 6), (13, 6), (7, 6), (3, 4), (3, 4)],
    }
    for name, maps in grids.items():
        convolution = "box" if name == "yolo" else "location"
        found = [shapes(name)[f"heads/{i}/{convolution}/Conv"] for i in range(len(maps))]
        assert found == [(1, 4 * boxes, size, size) for size, boxes in maps]
        assert sum(size * size * boxes for size, boxes in maps) == DETECTORS[name][1]


def test_efficientnet_stages() -> None:
    """Table 1 of the paper: resolution and channels at the end of each stage."""
    table = [(112, 16), (56, 24), (28, 40), (14, 80), (14, 112), (7, 192), (7, 320)]
    repeats = [1, 2, 2, 3, 3, 4, 1]
    for stage, ((size, channels), blocks) in enumerate(zip(table, repeats, strict=True), start=2):
        last = f"stage{stage}/{blocks - 1}/project/norm/BatchNormalization"
        assert shapes("efficientnet-b0")[last] == (1, channels, size, size)
    # Each of 16 blocks: expand (all but one), depthwise, two of the gate, project; stem and head.
    assert operators("efficientnet-b0")["Conv"] == 16 * 5 - 1 + 2


def test_convnext_stages() -> None:
    """Figure 4 and table 9 of the paper: depths 3, 3, 9, 3; widths 96 to 768; 7×7 depthwise."""
    kernels = [shape for shape in weights("convnext-tiny").values() if shape[2:] == (7, 7)]
    assert Counter(kernels) == {
        (96, 1, 7, 7): 3,
        (192, 1, 7, 7): 3,
        (384, 1, 7, 7): 9,
        (768, 1, 7, 7): 3,
    }
    assert operators("convnext-tiny")["Gelu"] == 18


def test_vit_layers() -> None:
    """Table 1 of the paper: 12 layers, 768 wide, 12 heads, 3072 in the MLP; 196 patches and one."""
    counts = operators("vit-b16")
    assert (counts["Softmax"], counts["Gelu"], counts["LayerNormalization"]) == (12, 12, 25)
    # Query, key, value, two of attention, output, two of the MLP.
    assert counts["MatMul"] == 12 * 8
    # Nothing masks attention.
    assert counts["Where"] == 0
    softmax = next(n for n in graph("vit-b16").node if n.op_type == "Softmax")
    assert shapes("vit-b16")[softmax.output[0]] == (1, 12, 197, 197)


def test_detr_layers() -> None:
    """Section 4 of the paper: 6 and 6 layers, 8 heads, 100 queries, 2048 in the MLP."""
    counts = operators("detr")
    assert counts["Softmax"] == 6 + 2 * 6 + 1
    assert (counts["Conv"], counts["BatchNormalization"]) == (53 + 1, 53)
    assert counts["Where"] == 0
    attention = [n for n in graph("detr").node if n.op_type == "Softmax"]
    found = Counter(shapes("detr")[n.output[0]] for n in attention)
    assert found == {
        (1, 8, 625, 625): 6,
        (1, 8, 100, 100): 6,
        (1, 8, 100, 625): 6,
        (1, 100, 92): 1,
    }


def test_ssd_resnet34_keeps_its_third_stage_large() -> None:
    known = shapes("ssd-resnet34-1200")
    assert known["backbone/stage2/3/relu/Relu"] == (1, 128, 150, 150)
    assert known["backbone/stage3/5/relu/Relu"] == (1, 256, 150, 150)


def test_mask_rcnn_regions() -> None:
    """A fixed number of regions, by batched operators, so that the batch stays an axis."""
    known, counts = shapes("mask-rcnn"), operators("mask-rcnn")
    assert (counts["NonMaxSuppression"], counts["RoiAlign"], counts["NonZero"]) == (2, 2 * 4, 0)
    assert known["boxes/box/Gemm"] == (1000, 4 * 91)
    assert known["mask/masks/Conv"] == (100, 91, 28, 28)
    outputs = [(1, 100, 4), (1, 100), (1, 100), (1, 100, 28, 28)]
    assert [known[v.name] for v in graph("mask-rcnn").output] == outputs


def test_mask_rcnn_without_masks_costs_what_torchvision_says() -> None:
    """The explanation of its departure: 134.38 G are those of all but the mask head."""
    model = onnx.load(skeleton_path("mask-rcnn"))
    for layer in model.graph.node:
        if layer.name.startswith("mask/") and layer.op_type in ("Conv", "ConvTranspose"):
            layer.op_type = "Identity"
            del layer.input[1:], layer.attribute[:]
    del model.graph.output[3:]
    assert count(model).macs == pytest.approx(134.38e9, rel=1e-4)


def test_minigo_tower() -> None:
    """Nine blocks of 32 filters, and the two heads."""
    convolutions = [shape for shape in weights("minigo").values() if len(shape) == 4]
    assert Counter(convolutions) == {
        (32, 17, 3, 3): 1,
        (32, 32, 3, 3): 18,
        (2, 32, 1, 1): 1,
        (1, 32, 1, 1): 1,
    }
    assert shapes("minigo")["policy"] == (1, 82)
    assert shapes("minigo")["value"] == (1, 1)


def test_transposed_convolution_is_counted_by_its_inputs() -> None:
    """[1, 4, 5, 5] by a kernel of [4, 3, 2, 2], stride 2: each input goes into 3 × 4 outputs."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 2, 2], np.zeros(48))
    up = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "up", strides=[2, 2])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["batch", 4, 5, 5]), ("y", ["batch", 3, 10, 10]))
    ]
    model = helper.make_model(
        helper.make_graph([up], "g", values[:1], values[1:], [weight]),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    assert count(model).macs == 4 * 5 * 5 * 3 * 2 * 2


def test_suppressed_boxes_fall_behind_those_kept() -> None:
    """What stands around NonMaxSuppression in Mask R-CNN, on boxes of which one overlaps."""
    ort = pytest.importorskip("onnxruntime")
    layers = [
        node("mask-rcnn", f"boxes/{layer}")
        for layer in ("NonMaxSuppression", "Gather", "GatherND", "Sub_4", "ScatterND")
    ]
    boxes, scores = layers[0].input[0], layers[2].input[0]
    unsqueeze = next(n for n in graph("mask-rcnn").node if n.output[0] == layers[0].input[1])
    given = {name for layer in (unsqueeze, *layers) for name in layer.input}
    operands = [t for t in graph("mask-rcnn").initializer if t.name in given]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            (boxes, ["batch", 4, 4]),
            (scores, ["batch", 4]),
            (layers[-1].output[0], ["batch", 4]),
        )
    ]
    model = helper.make_model(
        helper.make_graph([unsqueeze, *layers], "g", ends[:2], ends[2:], operands),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    first = [[0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10], [90, 0, 99, 10]]
    second = [[0, 0, 10, 10], [20, 0, 30, 10], [50, 0, 60, 10], [50, 0, 60, 9.5]]
    points = np.array([[0.5, 0.9, 0.3, 0.2], [0.5, 0.9, 0.3, 0.4]], np.float32)
    (ranked,) = session.run(None, {boxes: np.array([first, second], np.float32), scores: points})
    expected = points - 2 * np.array([[1, 0, 0, 0], [0, 0, 1, 0]], np.float32)
    np.testing.assert_allclose(ranked, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["yolo", "minigo", "ssd-mobilenet-v1-300"])
def test_what_is_exported_computes_what_the_definition_does(name: str) -> None:
    """The graph against torch, with torch's own random weights."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    exporter = importlib.import_module("onnxprof.exporters.torch.exporter")
    module, function = {
        "yolo": ("yolox", "yolox_tiny"),
        "minigo": ("minigo", "minigo"),
        "ssd-mobilenet-v1-300": ("ssd", "ssd_mobilenet_v1"),
    }[name]
    torch.manual_seed(0)
    network = getattr(importlib.import_module(f"onnxprof.zoo.networks.{module}"), function)()
    (declared,) = zoo.entry(name).inputs
    example = torch.randn(2, *declared.shape[1:])
    proto = exporter.to_proto(network, {declared.name: example}, axes={declared.name: {0: "batch"}})
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    image = torch.randn(3, *declared.shape[1:])
    with torch.no_grad():
        wanted = network(image)
    found = session.run(None, {declared.name: image.numpy()})
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=1e-4)
