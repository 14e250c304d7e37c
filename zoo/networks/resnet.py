"""Residual networks: v1.5 (He et al. 2015) and v2 (He et al. 2016).

Depths and widths are those of table 1 of He et al. 2015. "v1.5" puts a bottleneck's stride
into its 3×3 convolution, where the paper has it in the first 1×1. "v2" normalises and
activates before each convolution, not after, and leaves the sum untouched.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

#: Units of a stage, by the number of weighted layers: table 1 of He et al. 2015.
DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
#: Width of the 3×3 convolutions in each stage.
WIDTHS = (64, 128, 256, 512)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size up to the stride; the batch norm is its bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def _chain(**modules: nn.Module) -> nn.Sequential:
    """Modules one after the other, by their names."""
    return nn.Sequential(OrderedDict(modules))


class Basic(nn.Module):
    """Two 3×3 convolutions and a shortcut: figure 5, left, of He et al. 2015."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = _chain(
            conv1=_conv(inputs, width, 3, stride),
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(),
            conv2=_conv(width, width, 3),
            norm2=nn.BatchNorm2d(width),
        )
        self.shortcut = _projection(inputs, width, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 and a shortcut: figure 5, right, of He et al. 2015; stride in the 3×3."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.branch = _chain(
            conv1=_conv(inputs, width, 1),
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(),
            conv2=_conv(width, width, 3, stride),
            norm2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(),
            conv3=_conv(width, outputs, 1),
            norm3=nn.BatchNorm2d(outputs),
        )
        self.shortcut = _projection(inputs, outputs, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The shortcut: option B of section 3.3, a projection only where the shape changes."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return _chain(conv=_conv(inputs, outputs, 1, stride), norm=nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A stem, four stages, global average pooling and a classifier.

    `small` is for images of 32×32 and 10 classes, else it is 224×224 and 1000.
    """

    def __init__(self, unit: type[Basic | Bottleneck], depth: int, *, small: bool = False) -> None:
        super().__init__()
        self.stem = _small_stem() if small else _stem()
        inputs = WIDTHS[0]
        for stage, (width, units) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), start=1):
            strides = [1 if stage == 1 else 2] + [1] * (units - 1)
            modules = []
            for stride in strides:
                modules.append(unit(inputs, width, stride))
                inputs = width * unit.expansion
            self.add_module(f"stage{stage}", nn.Sequential(*modules))
        self.pool = nn.AvgPool2d(4 if small else 7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(inputs, 10 if small else 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


class PreBasic(nn.Module):
    """`Basic` with full pre-activation: figure 4 (e) of He et al. 2016."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, first: bool) -> None:
        super().__init__()
        self.active = _activation(inputs, first)
        self.branch = _chain(
            conv1=_conv(inputs, width, 3, stride),
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(),
            conv2=_conv(width, width, 3),
        )
        self.shortcut = _bare_projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        return _pre_activated(self, x)


class PreBottleneck(nn.Module):
    """`Bottleneck` with full pre-activation: figure 4 (e) of He et al. 2016."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, first: bool) -> None:
        super().__init__()
        self.active = _activation(inputs, first)
        self.branch = _chain(
            conv1=_conv(inputs, width, 1),
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(),
            conv2=_conv(width, width, 3, stride),
            norm2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(),
            conv3=_conv(width, width * self.expansion, 1),
        )
        self.shortcut = _bare_projection(inputs, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        return _pre_activated(self, x)


def _activation(channels: int, first: bool) -> nn.Module:
    """What stands before a unit; the first unit has the stem's activation (appendix)."""
    if first:
        return nn.Identity()
    return _chain(norm=nn.BatchNorm2d(channels), relu=nn.ReLU())


def _bare_projection(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return _conv(inputs, outputs, 1, stride)


def _pre_activated(unit: PreBasic | PreBottleneck, x: Tensor) -> Tensor:
    """Activation before both paths; an identity shortcut takes what came before it."""
    active = unit.active(x)
    return unit.branch(active) + (x if unit.shortcut is None else unit.shortcut(active))


class PreResNet(nn.Module):
    """ResNet-v2: one more activation follows the last sum (appendix of He et al. 2016)."""

    def __init__(self, unit: type[PreBasic | PreBottleneck], depth: int) -> None:
        super().__init__()
        self.stem = _stem()
        inputs = WIDTHS[0]
        for stage, (width, units) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), start=1):
            strides = [1 if stage == 1 else 2] + [1] * (units - 1)
            modules = []
            for index, stride in enumerate(strides):
                modules.append(unit(inputs, width, stride, first=stage == 1 and index == 0))
                inputs = width * unit.expansion
            self.add_module(f"stage{stage}", nn.Sequential(*modules))
        self.active = _activation(inputs, first=False)
        self.pool = nn.AvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(inputs, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def _stem() -> nn.Module:
    """Conv1 and the pooling that opens conv2_x: table 1 of He et al. 2015."""
    return _chain(
        conv=_conv(3, WIDTHS[0], 7, 2),
        norm=nn.BatchNorm2d(WIDTHS[0]),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(3, 2, 1),
    )


def _small_stem() -> nn.Module:
    """A 3×3 convolution at full size, for images of 32×32 (pytorch-cifar)."""
    return _chain(conv=_conv(3, WIDTHS[0], 3), norm=nn.BatchNorm2d(WIDTHS[0]), relu=nn.ReLU())


def resnet18() -> nn.Module:
    """ResNet-18 for ImageNet."""
    return ResNet(Basic, 18)


def resnet34() -> nn.Module:
    """ResNet-34 for ImageNet."""
    return ResNet(Basic, 34)


def resnet101() -> nn.Module:
    """ResNet-101 v1.5 for ImageNet."""
    return ResNet(Bottleneck, 101)


def resnet152() -> nn.Module:
    """ResNet-152 v1.5 for ImageNet."""
    return ResNet(Bottleneck, 152)


def resnet50_cifar10() -> nn.Module:
    """ResNet-50 v1.5 for images of 32×32."""
    return ResNet(Bottleneck, 50, small=True)


def resnet18_v2() -> nn.Module:
    """ResNet-18 v2 for ImageNet."""
    return PreResNet(PreBasic, 18)


def resnet34_v2() -> nn.Module:
    """ResNet-34 v2 for ImageNet."""
    return PreResNet(PreBasic, 34)


def resnet50_v2() -> nn.Module:
    """ResNet-50 v2 for ImageNet."""
    return PreResNet(PreBottleneck, 50)


def resnet101_v2() -> nn.Module:
    """ResNet-101 v2 for ImageNet."""
    return PreResNet(PreBottleneck, 101)


def resnet152_v2() -> nn.Module:
    """ResNet-152 v2 for ImageNet."""
    return PreResNet(PreBottleneck, 152)
