"""VGG-16: configuration D in table 1 of Simonyan and Zisserman 2014."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from torch import Tensor, nn

#: Convolutions of a block and their width; a block ends with max pooling.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def _features(normalised: bool) -> nn.Sequential:
    """The convolutional part; its output is 1/32 of the image's size."""
    blocks, inputs = OrderedDict[str, nn.Module](), 3
    for number, (convolutions, width) in enumerate(BLOCKS, start=1):
        blocks[f"block{number}"] = _block(inputs, width, convolutions, normalised)
        inputs = width
    return nn.Sequential(blocks)


def _block(inputs: int, width: int, convolutions: int, normalised: bool) -> nn.Sequential:
    def modules() -> Iterator[tuple[str, nn.Module]]:
        for number in range(1, convolutions + 1):
            yield f"conv{number}", nn.Conv2d(inputs if number == 1 else width, width, 3, padding=1)
            if normalised:
                yield f"norm{number}", nn.BatchNorm2d(width)
            yield f"relu{number}", nn.ReLU()
        yield "pool", nn.MaxPool2d(2)

    return nn.Sequential(OrderedDict(modules()))


class Vgg16(nn.Module):
    """Thirteen 3×3 convolutions and three fully connected layers, for 224×224."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features(normalised=False)
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(512 * 7 * 7, 4096)
        self.relu6 = nn.ReLU()
        self.fc7 = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.fc8 = nn.Linear(4096, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = self.flatten(self.features(image))
        return self.fc8(self.relu7(self.fc7(self.relu6(self.fc6(x)))))


class Vgg16Cifar(nn.Module):
    """For 32×32: batch norm, and one fully connected layer on the last 1×1 (pytorch-cifar)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features(normalised=True)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(512, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.features(image)))


def vgg16() -> nn.Module:
    """VGG-16 for ImageNet."""
    return Vgg16()


def vgg16_cifar10() -> nn.Module:
    """VGG-16 for images of 32×32."""
    return Vgg16Cifar()
