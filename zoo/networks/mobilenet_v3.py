"""MobileNet v3, large (Howard et al. 2019): inverted residuals with squeeze-and-excitation.

Hard swish in the later layers and in the head, which stands behind the pooling (section 5).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

#: Table 1 of the paper: kernel, expanded width, outputs, excitation, hard swish, stride.
BOTTLENECKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
STEM, LAST, HEAD = 16, 960, 1280
#: Of the batch norms, in the authors' code.
EPSILON = 1e-3

Activation = Callable[[], nn.Module]


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    active: Activation | None = None,
) -> nn.Sequential:
    """A convolution, its batch norm and, unless it is a projection, an activation."""
    modules = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(outputs, eps=EPSILON),
    )
    if active is not None:
        modules["active"] = active()
    return nn.Sequential(modules)


def _divisible(width: int) -> int:
    """The multiple of 8 next to a width, no more than a tenth below it (authors' code)."""
    near = max(8, (width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


class Excitation(nn.Module):
    """Squeeze-and-excitation to a quarter of the expanded width, with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _divisible(channels // 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))


class Bottleneck(nn.Module):
    """Expand, filter depthwise, excite, project: figure 4 of the paper."""

    def __init__(
        self,
        inputs: int,
        kernel: int,
        width: int,
        outputs: int,
        excites: bool,
        swish: bool,
        stride: int,
    ) -> None:
        super().__init__()
        active: Activation = nn.Hardswish if swish else nn.ReLU
        expands = width != inputs
        self.expand = _convolution(inputs, width, 1, active=active) if expands else nn.Identity()
        self.depthwise = _convolution(width, width, kernel, stride, groups=width, active=active)
        self.excite = Excitation(width) if excites else nn.Identity()
        self.project = _convolution(width, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class MobileNetV3(nn.Module):
    """Table 1 of the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, STEM, 3, 2, active=nn.Hardswish)
        blocks, inputs = [], STEM
        for kernel, width, outputs, excites, swish, stride in BOTTLENECKS:
            blocks.append(Bottleneck(inputs, kernel, width, outputs, excites, swish, stride))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = _convolution(inputs, LAST, 1, active=nn.Hardswish)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(LAST, HEAD)
        self.swish = nn.Hardswish()
        self.classifier = nn.Linear(HEAD, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def mobilenet_v3_large() -> nn.Module:
    """MobileNet v3 large 1.0 for 224×224."""
    return MobileNetV3()
