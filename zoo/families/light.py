"""The topologies that the onnx package carries, and LeNet after the table of CNTK's."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from onnxprof.zoo.declaration import Entry, Input, Published, Source

if TYPE_CHECKING:
    from onnx import ModelProto

_LIGHT = "topology from the onnx package's test data"
_TORCHVISION = "torchvision's model documentation"
_SZE = "Sze et al. 2017, Efficient Processing of Deep Neural Networks, table II"


def _image(name: str = "data_0", size: int = 224) -> tuple[Input, ...]:
    return (Input(name, ("batch", 3, size, size)),)


_TASK = "image classification, 1000 classes"
_SCALE = "the Caffe original keeps the learned scale and bias apart from batch normalisation"

ENTRIES = (
    Entry(
        "lenet",
        "LeNet (CNTK)",
        "digit recognition, 10 classes",
        "LeCun et al., Gradient-Based Learning Applied to Document Recognition",
        1998,
        (Input("Input3", ("batch", 1, 28, 28)),),
        "onnxprof, after the table of CNTK's MNIST network",
        Published(parameters=5_994, source="the shapes of CNTK's MNIST network"),
    ),
    Entry(
        "alexnet",
        "AlexNet (BVLC)",
        _TASK,
        "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks",
        2012,
        _image(),
        _LIGHT,
        Published(
            61_000_000,
            724_000_000,
            _SZE,
            "MACs: the input is 224 pixels wide, the published network's 227",
        ),
    ),
    Entry(
        "densenet121",
        "DenseNet-121",
        _TASK,
        "Huang et al., Densely Connected Convolutional Networks",
        2016,
        _image(),
        _LIGHT,
        Published(
            7_978_856,
            2_834_000_000,
            _TORCHVISION,
            f"parameters: batch-norm statistics count here, and {_SCALE}",
        ),
    ),
    Entry(
        "inception-v1",
        "Inception v1 (GoogLeNet)",
        _TASK,
        "Szegedy et al., Going Deeper with Convolutions",
        2014,
        _image(),
        _LIGHT,
        Published(7_000_000, 1_430_000_000, _SZE),
    ),
    Entry(
        "inception-v2",
        "Inception v2 (BN-Inception)",
        _TASK,
        "Ioffe and Szegedy, Batch Normalization",
        2015,
        _image(),
        _LIGHT,
        Published(
            11_185_000, 2_029_000_000, "Open Model Zoo, googlenet-v2 (4.058 GFLOPs, two a MAC)"
        ),
    ),
    Entry(
        "resnet50",
        "ResNet-50 v1.5",
        _TASK,
        "He et al., Deep Residual Learning for Image Recognition",
        2015,
        _image(),
        _LIGHT,
        Published(25_557_032, 4_089_000_000, _TORCHVISION),
    ),
    Entry(
        "shufflenet",
        "ShuffleNet (Caffe2, g = 4)",
        _TASK,
        "Zhang et al., ShuffleNet",
        2017,
        _image(),
        _LIGHT,
        Published(
            macs=133_000_000,
            source="the paper, table 1, g = 4",
            departure="MACs: Caffe2's variant has half of the paper's output channels, "
            "and bottlenecks of the full width instead of a quarter",
        ),
    ),
    Entry(
        "squeezenet",
        "SqueezeNet 1.1",
        _TASK,
        "Iandola et al., SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters",
        2016,
        _image(),
        _LIGHT,
        Published(1_235_496, 349_000_000, _TORCHVISION),
    ),
    Entry(
        "vgg19",
        "VGG-19",
        _TASK,
        "Simonyan and Zisserman, Very Deep Convolutional Networks",
        2014,
        _image(),
        _LIGHT,
        Published(143_667_240, 19_632_000_000, _TORCHVISION),
    ),
    Entry(
        "zfnet512",
        "ZFNet-512",
        _TASK,
        "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks",
        2013,
        _image(),
        _LIGHT,
        Published(
            107_627_624,
            2_479_130_000,
            "osmr's imgclsmob, ZFNet-b (512, 1024 and 512 maps, as in the paper's table 2)",
            "this topology has 512 maps in layer 4 and 1024 outputs in layer 7, half and a "
            "quarter of the published ones, and does not pad layers 1 and 2",
        ),
    ),
)


def _lenet(_: Entry) -> ModelProto:
    from onnxprof.zoo.sources import lenet

    return lenet.build()


def _topology(stem: str, _: Entry) -> ModelProto:
    from onnxprof.zoo.sources import light

    return light.load(stem)


def _light(stem: str, *gains: tuple[str, float]) -> Source:
    return Source(partial(_topology, stem), gains)


#: The gains hold residual sums to a few times their branches, and the spread of the logits
#: to about 1, so that no softmax output falls below 1e-6.
SOURCES: dict[str, Source] = {
    "lenet": Source(_lenet),
    "alexnet": _light("bvlc_alexnet", ("fc8_w_0", 1 / 8)),
    "densenet121": _light("densenet121"),
    "inception-v1": _light("inception_v1", ("loss3/classifier_w_0", 1 / 8)),
    "inception-v2": _light("inception_v2", ("loss3/classifier_w_0", 1 / 4)),
    "resnet50": _light("resnet50", (r"res.*_branch2c_bn_s_0", 1 / 2), ("pred_w_0", 1 / 32)),
    "shufflenet": _light(
        "shufflenet",
        # Depthwise convolutions have no Relu after them: half of He's variance.
        (r"gconv1_\d*[13579]_w_0", math.sqrt(1 / 2)),
        (r"gconv1_\d*[13579]_bn_s_0", 1 / 2),
        ("pred_w_0", 1 / 16),
    ),
    "squeezenet": _light("squeezenet", ("conv10_w_0", 1 / 4)),
    "vgg19": _light("vgg19", ("fc8_w_0", 1 / 4)),
    "zfnet512": _light("zfnet512", ("fc8_w_0", 1 / 2)),
}
