"""Networks for images of 28×28 and 32×32, after adaptations that others published."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_TASK = "image classification, 10 classes"
_CIFAR = (Input("image", ("batch", 3, 32, 32)),)
_PYTORCH_CIFAR = "onnxprof, after the adaptation in kuangliu's pytorch-cifar"
_THOP = "pytorch-cifar's networks as counted with THOP"

ENTRIES = (
    Entry(
        "fashion-cnn",
        "Fashion-MNIST CNN",
        "clothing recognition, 10 classes",
        "Xiao et al., Fashion-MNIST: a Novel Image Dataset for Benchmarking",
        2017,
        (Input("image", ("batch", 1, 28, 28)),),
        "onnxprof, after the data set's own benchmark network",
        Published(3_274_634, source="the shapes in the data set's benchmark/convnet.py"),
    ),
    Entry(
        "alexnet-cifar10",
        "AlexNet (CIFAR-10)",
        _TASK,
        "Krizhevsky, One weird trick for parallelizing convolutional neural networks",
        2014,
        _CIFAR,
        "onnxprof, after the adaptation in bearpaw's pytorch-classification",
        Published(2_470_000, source="pytorch-classification's table of CIFAR-10 networks"),
    ),
    Entry(
        "resnet50-cifar10",
        "ResNet-50 v1.5 (CIFAR-10)",
        _TASK,
        "He et al., Deep Residual Learning for Image Recognition",
        2015,
        _CIFAR,
        _PYTORCH_CIFAR,
        Published(23_520_842, 1_304_710_000, _THOP),
    ),
    Entry(
        "googlenet-cifar10",
        "GoogLeNet (CIFAR-10)",
        _TASK,
        "Szegedy et al., Going Deeper with Convolutions",
        2014,
        _CIFAR,
        _PYTORCH_CIFAR,
        Published(6_166_250, 1_529_430_000, _THOP),
    ),
    Entry(
        "vgg16-cifar10",
        "VGG-16 (CIFAR-10)",
        _TASK,
        "Simonyan and Zisserman, Very Deep Convolutional Networks",
        2014,
        _CIFAR,
        _PYTORCH_CIFAR,
        Published(14_728_266, 314_030_000, _THOP),
    ),
)


def _network(factory: str, *gains: tuple[str, float]) -> Source:
    return torch_source(factory, *gains, outputs=("logits",))


SOURCES: dict[str, Source] = {
    "fashion-cnn": _network("small_cnn:fashion_cnn"),
    "alexnet-cifar10": _network("alexnet:alexnet_cifar10"),
    "resnet50-cifar10": _network(
        "resnet:resnet50_cifar10", (r"stage.*\.branch\.norm3\.weight", 1 / 2)
    ),
    "googlenet-cifar10": _network("googlenet:googlenet_cifar10"),
    "vgg16-cifar10": _network("vgg:vgg16_cifar10"),
}
