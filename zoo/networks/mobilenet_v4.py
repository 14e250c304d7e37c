"""MobileNet v4, convolutional: small and medium (Qin et al. 2024).

Universal inverted bottlenecks (section 3): a depthwise convolution may stand before the
expansion, after it, at both places or at none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

#: Of a bottleneck: kernel before and after the expansion (0 for none), stride, expansion, outputs.
Block = tuple[int, int, int, int, int]

#: Tables of the paper's appendix. Before the bottlenecks: kernel, stride and outputs of plain
#: convolutions; the first is the stem.
SMALL_CONVOLUTIONS = ((3, 2, 32), (3, 2, 32), (1, 1, 32), (3, 2, 96), (1, 1, 64))
SMALL: Sequence[Block] = (
    (5, 5, 2, 3, 96),
    *((0, 3, 1, 2, 96),) * 4,
    (3, 0, 1, 4, 96),
    (3, 3, 2, 6, 128),
    (5, 5, 1, 4, 128),
    (0, 5, 1, 4, 128),
    (0, 5, 1, 3, 128),
    *((0, 3, 1, 4, 128),) * 2,
)
#: The second and third are a fused bottleneck: expanded by 4 in a 3×3, then projected.
MEDIUM_CONVOLUTIONS = ((3, 2, 32), (3, 2, 128), (1, 1, 48))
MEDIUM: Sequence[Block] = (
    (3, 5, 2, 4, 80),
    (3, 3, 1, 2, 80),
    (3, 5, 2, 6, 160),
    *((3, 3, 1, 4, 160),) * 2,
    (3, 5, 1, 4, 160),
    (3, 3, 1, 4, 160),
    (3, 0, 1, 4, 160),
    (0, 0, 1, 2, 160),
    (3, 0, 1, 4, 160),
    (5, 5, 2, 6, 256),
    (5, 5, 1, 4, 256),
    *((3, 5, 1, 4, 256),) * 2,
    (0, 0, 1, 4, 256),
    (3, 0, 1, 4, 256),
    (3, 5, 1, 2, 256),
    (5, 5, 1, 4, 256),
    *((0, 0, 1, 4, 256),) * 2,
    (5, 0, 1, 2, 256),
)
LAST, HEAD = 960, 1280


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """A convolution, its batch norm and, unless it is a projection, Relu."""
    modules = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(outputs),
    )
    if relu:
        modules["relu"] = nn.ReLU()
    return nn.Sequential(modules)


class Universal(nn.Module):
    """The universal inverted bottleneck; the stride is the last depthwise convolution's."""

    def __init__(self, inputs: int, block: Block) -> None:
        super().__init__()
        before, after, stride, expansion, outputs = block
        width = inputs * expansion
        modules = OrderedDict[str, nn.Module]()
        if before:
            moved = 1 if after else stride
            modules["before"] = _convolution(
                inputs, inputs, before, moved, groups=inputs, relu=False
            )
        modules["expand"] = _convolution(inputs, width, 1)
        if after:
            modules["after"] = _convolution(width, width, after, stride, groups=width)
        modules["project"] = _convolution(width, outputs, 1, relu=False)
        self.branch = nn.Sequential(modules)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return x + y if self.residual else y


class MobileNetV4(nn.Module):
    """Convolutions, bottlenecks, and a head behind the pooling."""

    def __init__(
        self, convolutions: Sequence[tuple[int, int, int]], blocks: Sequence[Block], linear: int
    ) -> None:
        """The convolution of index `linear`, if any, is a projection without Relu."""
        super().__init__()
        inputs, plain = 3, []
        for index, (kernel, stride, outputs) in enumerate(convolutions):
            plain.append(_convolution(inputs, outputs, kernel, stride, relu=index != linear))
            inputs = outputs
        self.convolutions = nn.Sequential(*plain)
        universal = []
        for block in blocks:
            universal.append(Universal(inputs, block))
            inputs = block[-1]
        self.blocks = nn.Sequential(*universal)
        self.last = _convolution(inputs, LAST, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = _convolution(LAST, HEAD, 1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(HEAD, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def conv_small() -> nn.Module:
    """MobileNetV4-Conv-S for 224×224."""
    return MobileNetV4(SMALL_CONVOLUTIONS, SMALL, -1)


def conv_medium() -> nn.Module:
    """MobileNetV4-Conv-M for 256×256."""
    return MobileNetV4(MEDIUM_CONVOLUTIONS, MEDIUM, 2)
