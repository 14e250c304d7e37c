"""The networks of the zoo: one declarative entry each.

What is counted or digested (`skeletons/index.json`) is written by `onnxprof zoo export`;
what a person must know is here. Importing this imports neither onnx nor numpy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

SKELETONS = Path(__file__).parent / "skeletons"
INDEX = SKELETONS / "index.json"

_LIGHT = "topology from the onnx package's test data"
_TORCHVISION = "torchvision's model documentation"
_SZE = "Sze et al. 2017, Efficient Processing of Deep Neural Networks, table II"


@dataclass(frozen=True, slots=True)
class Input:
    """A graph input."""

    name: str
    shape: tuple[str | int, ...]
    dtype: str = "float32"

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Published:
    """Figures that others published; 0 where they give none."""

    parameters: int = 0
    macs: int = 0
    source: str = ""
    departure: str = ""
    """Why a counted figure is more than 1 % away; empty where none is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One network."""

    name: str
    title: str
    task: str
    paper: str
    year: int
    inputs: tuple[Input, ...]
    definition: str
    """Where the graph comes from."""
    published: Published = Published()
    licence: str = "Apache-2.0"
    """Of the definition."""
    parameters: int = 0
    """Elements of all floating-point initializers, batch-norm statistics included."""
    macs: int = 0
    """Multiply-accumulates of Conv, Gemm and MatMul in one inference at batch 1."""
    nodes: int = 0
    opset: int = 0
    bytes: int = 0
    """Size of the materialised file."""
    sha256: str = ""
    """Digest of the materialised file."""


def _image(name: str = "data_0", size: int = 224) -> tuple[Input, ...]:
    return (Input(name, ("batch", 3, size, size)),)


_TASK = "image classification, 1000 classes"
_SCALE = "the Caffe original keeps the learned scale and bias apart from batch normalisation"

_ENTRIES = (
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
            macs=140_000_000,
            source="the paper, table 2, ShuffleNet 1× (g = 4)",
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
    ),
)


def names() -> tuple[str, ...]:
    """The names of all networks, in the catalogue's order."""
    return tuple(entry.name for entry in _ENTRIES)


@cache
def entries() -> tuple[Entry, ...]:
    """Every network with its figures."""
    index = json.loads(INDEX.read_text("utf-8")) if INDEX.exists() else {}
    return tuple(replace(entry, **index.get(entry.name, {})) for entry in _ENTRIES)


def entry(name: str) -> Entry:
    """The network of that name. Raises UsageError for a name that the zoo does not have."""
    found = next((entry for entry in entries() if entry.name == name), None)
    if found is None:
        raise _unknown(name)
    return found


def skeleton_path(name: str) -> Path:
    """Where the skeleton of a network lies."""
    return SKELETONS / f"{name}.onnx"


def _unknown(name: str) -> Exception:
    from difflib import get_close_matches

    from onnxprof.contracts import UsageError

    close = get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UsageError(
        "the zoo has no such network",
        where=f"zoo:{name}",
        remedy=f"{hint}It has {', '.join(names())}",
    )
