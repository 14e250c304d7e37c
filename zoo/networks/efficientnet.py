"""EfficientNet-B0 (Tan and Le 2019): inverted residuals with squeeze-and-excitation and SiLU.

The compound scaling of the larger ones is left out; padding is symmetric, where TensorFlow's
original pads a strided convolution at the right and bottom only.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

#: Table 1 of the paper: expansion, outputs, repeats, stride of the first, kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, HEAD = 32, 1280
#: Of the batch norms, in the authors' code.
EPSILON = 1e-3


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """A convolution, its batch norm and, unless it is a projection, SiLU."""
    modules = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(outputs, eps=EPSILON),
    )
    if active:
        modules["silu"] = nn.SiLU()
    return nn.Sequential(modules)


class Excitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018): channels weighed by what all pixels say."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.silu = nn.SiLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.silu(self.reduce(self.pool(x)))))


class MBConv(nn.Module):
    """Expand, filter depthwise, excite, project: the mobile inverted bottleneck of section 4."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _convolution(inputs, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _convolution(width, width, kernel, stride, groups=width)
        # A quarter of the block's inputs, not of the expanded width.
        self.excite = Excitation(width, inputs // 4)
        self.project = _convolution(width, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class EfficientNet(nn.Module):
    """Table 1 of the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, STEM, 3, 2)
        inputs = STEM
        for number, (expansion, outputs, repeats, stride, kernel) in enumerate(STAGES, start=2):
            blocks = []
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(MBConv(inputs, outputs, expansion, first, kernel))
                inputs = outputs
            self.add_module(f"stage{number}", nn.Sequential(*blocks))
        self.head = _convolution(inputs, HEAD, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(HEAD, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def efficientnet_b0() -> nn.Module:
    """EfficientNet-B0 for 224×224."""
    return EfficientNet()
