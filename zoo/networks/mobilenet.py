"""MobileNet v1 (Howard et al. 2017) and v2 (Sandler et al. 2018), width 1.0.

Activations are clipped at 6, as in the authors' code; v2's paper says so in section 3.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

#: Table 1 of Howard et al. 2017: outputs and stride of each separable convolution. The stride
#: 2 that the table gives the last one does not fit its sizes of 7×7; it is 1.
SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
#: Table 2 of Sandler et al. 2018: expansion, outputs, repeats, stride of the first.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """A convolution, its batch norm and ReLU6."""
    modules = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(outputs),
    )
    if relu:
        modules["relu6"] = nn.ReLU6()
    return nn.Sequential(modules)


class Separable(nn.Module):
    """A depthwise 3×3 and a pointwise 1×1: figure 3, right, of Howard et al. 2017."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = _convolution(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = _convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class MobileNetV1(nn.Module):
    """Table 1 of Howard et al. 2017."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, 3, 2)
        widths = [32, *(outputs for outputs, _ in SEPARABLE)]
        self.blocks = nn.Sequential(
            *(
                Separable(inputs, outputs, stride)
                for inputs, (outputs, stride) in zip(widths, SEPARABLE, strict=False)
            )
        )
        self.pool = nn.AvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(1024, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(self.stem(image))
        return self.classifier(self.flatten(self.pool(x)))


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project without activation: table 1 of Sandler et al. 2018."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _convolution(inputs, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _convolution(width, width, 3, stride, groups=width)
        self.project = _convolution(width, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Table 2 of Sandler et al. 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, outputs, repeats, stride in BOTTLENECKS:
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, expansion, first))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(inputs, 1280, 1)
        self.pool = nn.AvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(image)))
        return self.classifier(self.flatten(self.pool(x)))


def mobilenet_v1() -> nn.Module:
    """MobileNet v1 1.0 for 224×224."""
    return MobileNetV1()


def mobilenet_v2() -> nn.Module:
    """MobileNet v2 1.0 for 224×224."""
    return MobileNetV2()
