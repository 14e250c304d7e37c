"""Networks of the ONNX Model Zoo with its names of layers and tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source

if TYPE_CHECKING:
    from onnx import ModelProto

_CLASSES = "image classification, 1000 classes"
_NAMES = "layers named as in the ONNX Model Zoo's file"
#: Figures that follow from the shapes of a published layer table.
_TABLE = "the shapes in rai-project/dlperf's layer table"
_TORCHVISION = "torchvision's model documentation"
_VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks"


def _image(name: str, size: int, channels: int = 3, fill: Fill | None = None) -> tuple[Input, ...]:
    return (Input(name, ("batch", channels, size, size), fill=fill),)


_PIXELS = Fill("uniform", 0, 255)

ENTRIES = (
    Entry(
        "caffenet",
        "CaffeNet (BVLC)",
        _CLASSES,
        "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks",
        2012,
        _image("data_0", 224),
        f"onnxprof, after Caffe's reference network; {_NAMES}",
        Published(60_965_224, 720_608_384, _TABLE),
    ),
    Entry(
        "rcnn-ilsvrc13",
        "R-CNN (ILSVRC 2013)",
        "scores of 200 classes of objects for one region",
        "Girshick et al., Rich Feature Hierarchies for Accurate Object Detection",
        2014,
        _image("data_0", 224),
        f"onnxprof, CaffeNet as far as its last layer; {_NAMES}",
        Published(57_687_624, 717_331_584, _TABLE),
    ),
    Entry(
        "googlenet",
        "GoogLeNet (BVLC)",
        _CLASSES,
        "Szegedy et al., Going Deeper with Convolutions",
        2014,
        _image("data_0", 224),
        f"onnxprof, after the paper's table 1, with Caffe's poolings; {_NAMES}",
        Published(6_998_552, 1_582_671_872, _TABLE),
    ),
    Entry(
        "vgg16-bn",
        "VGG-16, batch norm",
        _CLASSES,
        _VGG,
        2014,
        _image("data", 224),
        f"onnxprof, after the paper's table 1, configuration D; {_NAMES}",
        Published(138_365_992, 15_470_000_000, _TORCHVISION),
    ),
    Entry(
        "vgg19-bn",
        "VGG-19, batch norm",
        _CLASSES,
        _VGG,
        2014,
        _image("data", 224),
        f"onnxprof, after the paper's table 1, configuration E; {_NAMES}",
        Published(143_678_248, 19_632_000_000, _TORCHVISION),
    ),
    Entry(
        "arcface",
        "ArcFace (ResNet-100)",
        "face recognition, embedding of 512 values",
        "Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        2018,
        _image("data", 112, fill=_PIXELS),
        f"onnxprof, after the paper's section 3.1; {_NAMES}",
        Published(65_225_792, 12_089_606_144, _TABLE),
    ),
    Entry(
        "fer-plus",
        "FER+ emotion (VGG-13)",
        "emotion of a face, 8 classes",
        "Barsoum et al., Training Deep Networks for Facial Expression Recognition",
        2016,
        _image("Input3", 64, 1, _PIXELS),
        f"onnxprof, after the paper's figure 5; {_NAMES}",
        Published(8_757_704, 875_831_296, _TABLE),
    ),
    Entry(
        "tiny-yolo-v2",
        "Tiny YOLO v2 (VOC)",
        "object detection, Pascal VOC",
        "Redmon and Farhadi, YOLO9000: Better, Faster, Stronger",
        2016,
        _image("image", 416, fill=_PIXELS),
        f"onnxprof, after the authors' table; boxes not decoded; {_NAMES}",
        Published(
            15_867_885,
            3_485_000_000,
            f"{_TABLE} (parameters), the authors' page (6.97 GFLOPs, two a MAC)",
        ),
    ),
    Entry(
        "duc",
        "DUC (dilated ResNet-101)",
        "semantic segmentation, 19 classes of Cityscapes",
        "Wang et al., Understanding Convolution for Semantic Segmentation",
        2017,
        _image("data", 800),
        f"onnxprof, after the paper's section 3; a cell's 4×4 pixels side by side; {_NAMES}",
        Published(65_144_192, 673_074_204_672, _TABLE),
    ),
)


def _made(builder: str, item: Entry) -> ModelProto:
    module, _, function = builder.partition(":")
    build: Callable[[Entry], ModelProto] = getattr(
        import_module(f"onnxprof.zoo.sources.named.{module}"), function
    )
    return build(item)


def _named(builder: str, *gains: tuple[str, float]) -> Source:
    return Source(partial(_made, builder), gains)


#: The gains hold residual sums to a few times their branches, and the spread of the logits
#: to about 1.
SOURCES: dict[str, Source] = {
    "caffenet": _named("caffe:caffenet", ("fc8_w_0", 1 / 8)),
    "rcnn-ilsvrc13": _named("caffe:rcnn"),
    "googlenet": _named("googlenet:build", ("loss3/classifier_w_0", 1 / 8)),
    "vgg16-bn": _named("vgg:vgg16"),
    "vgg19-bn": _named("vgg:vgg19"),
    "arcface": _named("arcface:build", (r"stage.*_bn3_gamma", 1 / 4)),
    "fer-plus": _named("fer_plus:build"),
    "tiny-yolo-v2": _named("tiny_yolo:build"),
    "duc": _named(
        "duc:build",
        (r"conv._.*_1x1_increase/bn_gamma", 1 / 4),
        (r"fc1_cityscapes_c._weight", 1 / 16),
    ),
}
