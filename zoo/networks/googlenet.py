"""GoogLeNet for images of 32×32: Szegedy et al. 2014, as pytorch-cifar has it.

Its inception modules have the widths of table 1 of the paper. The stem is one 3×3
convolution at full size, a 5×5 convolution is two of 3×3 (Szegedy et al. 2015, "Rethinking
the Inception Architecture", section 3.1), each convolution has a batch norm, and there are
no auxiliary classifiers.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from onnxprof.zoo.sources.named import googlenet

#: Of the modules 3a to 5b; pooling follows where a stage ends.
WIDTHS = {f"inception{name}": widths for name, widths in googlenet.WIDTHS.items()}
#: The poolings that end stages 3 and 4.
POOLS = {"inception3b": "pool3", "inception4e": "pool4"}


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            norm=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(),
        )
    )


def _chain(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


class Inception(nn.Module):
    """Four branches side by side, joined along the channels: figure 2 (b) of the paper."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three_reduce, three, five_reduce, five, pool = widths
        self.one = _convolution(inputs, one, 1)
        self.three = _chain(
            reduce=_convolution(inputs, three_reduce, 1), conv=_convolution(three_reduce, three, 3)
        )
        self.five = _chain(
            reduce=_convolution(inputs, five_reduce, 1),
            conv1=_convolution(five_reduce, five, 3),
            conv2=_convolution(five, five, 3),
        )
        self.pool = _chain(pool=nn.MaxPool2d(3, 1, 1), project=_convolution(inputs, pool, 1))
        self.outputs = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


class GoogLeNetCifar(nn.Module):
    """Stem, nine inception modules, global average pooling, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 192, 3)
        inputs = 192
        for name, widths in WIDTHS.items():
            module = Inception(inputs, widths)
            self.add_module(name, module)
            inputs = module.outputs
            if name in POOLS:
                self.add_module(POOLS[name], nn.MaxPool2d(3, 2, 1))
        self.pool = nn.AvgPool2d(8)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def googlenet_cifar10() -> nn.Module:
    """GoogLeNet for images of 32×32."""
    return GoogLeNetCifar()
