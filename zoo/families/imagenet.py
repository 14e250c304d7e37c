"""The ImageNet classics that are definitions of our own."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_TASK = "image classification, 1000 classes"
_IMAGE = (Input("image", ("batch", 3, 224, 224)),)
_TORCHVISION = "torchvision's model documentation"


def _resnet(depth: int, parameters: int, macs: int) -> Entry:
    # Only bottlenecks differ between v1 and v1.5.
    return Entry(
        f"resnet{depth}",
        f"ResNet-{depth} v1.5" if depth >= 50 else f"ResNet-{depth}",
        _TASK,
        "He et al., Deep Residual Learning for Image Recognition",
        2015,
        _IMAGE,
        "onnxprof, after the paper's table 1, a bottleneck's stride in its 3×3",
        Published(parameters, macs, _TORCHVISION),
    )


def _resnet_v2(depth: int, parameters: int, macs: int, variant: str = "") -> Entry:
    return Entry(
        f"resnet{depth}-v2",
        f"ResNet-{depth} v2",
        _TASK,
        "He et al., Identity Mappings in Deep Residual Networks",
        2016,
        _IMAGE,
        "onnxprof, after the paper's figure 4 (e) and appendix",
        Published(parameters, macs, f"osmr's imgclsmob, PreResNet-{depth}{variant} (MXNet)"),
    )


ENTRIES = (
    Entry(
        "vgg16",
        "VGG-16",
        _TASK,
        "Simonyan and Zisserman, Very Deep Convolutional Networks",
        2014,
        _IMAGE,
        "onnxprof, after the paper's table 1, configuration D",
        Published(138_357_544, 15_470_000_000, _TORCHVISION),
    ),
    _resnet(18, 11_689_512, 1_814_000_000),
    _resnet(34, 21_797_672, 3_664_000_000),
    _resnet(101, 44_549_160, 7_801_000_000),
    _resnet(152, 60_192_808, 11_514_000_000),
    _resnet_v2(18, 11_687_848, 1_818_410_000),
    _resnet_v2(34, 21_796_008, 3_669_360_000),
    # "b" has the stride in the 3×3.
    _resnet_v2(50, 25_549_480, 4_100_900_000, "b"),
    _resnet_v2(101, 44_541_608, 7_818_240_000, "b"),
    _resnet_v2(152, 60_185_256, 11_536_780_000, "b"),
    Entry(
        "mobilenet-v1",
        "MobileNet v1 1.0 224",
        _TASK,
        "Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision",
        2017,
        _IMAGE,
        "onnxprof, after the paper's table 1",
        Published(4_253_864, 569_000_000, "Keras Applications (parameters), the paper (MACs)"),
    ),
    Entry(
        "mobilenet-v2",
        "MobileNet v2 1.0 224",
        _TASK,
        "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        2018,
        _IMAGE,
        "onnxprof, after the paper's table 2",
        Published(3_504_872, 301_000_000, _TORCHVISION),
    ),
)


def _network(factory: str, *gains: tuple[str, float]) -> Source:
    return torch_source(factory, *gains, outputs=("logits",))


#: The last scale of a residual branch, or its last convolution where no scale follows; these
#: gains hold the sums to a few times their branches.
_BASIC = r"stage.*\.branch\.norm2\.weight"
_BOTTLENECK = r"stage.*\.branch\.norm3\.weight"
_PRE_BASIC = r"stage.*\.branch\.conv2\.weight"
_PRE_BOTTLENECK = r"stage.*\.branch\.conv3\.weight"

SOURCES: dict[str, Source] = {
    "vgg16": _network("vgg:vgg16"),
    "resnet18": _network("resnet:resnet18", (_BASIC, 1 / 2)),
    "resnet34": _network("resnet:resnet34", (_BASIC, 1 / 2)),
    "resnet101": _network("resnet:resnet101", (_BOTTLENECK, 1 / 4)),
    "resnet152": _network("resnet:resnet152", (_BOTTLENECK, 1 / 4)),
    "resnet18-v2": _network("resnet:resnet18_v2", (_PRE_BASIC, 1 / 2)),
    "resnet34-v2": _network("resnet:resnet34_v2", (_PRE_BASIC, 1 / 2)),
    "resnet50-v2": _network("resnet:resnet50_v2", (_PRE_BOTTLENECK, 1 / 2)),
    "resnet101-v2": _network("resnet:resnet101_v2", (_PRE_BOTTLENECK, 1 / 4)),
    "resnet152-v2": _network("resnet:resnet152_v2", (_PRE_BOTTLENECK, 1 / 4)),
    "mobilenet-v1": _network("mobilenet:mobilenet_v1"),
    # No activation follows a projection: half of He's variance.
    "mobilenet-v2": _network("mobilenet:mobilenet_v2", (r".*\.project\.conv\.weight", 1 / 2)),
}
