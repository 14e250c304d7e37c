"""YOLOv8, nano: the architecture that Ultralytics published in 2023, without its code.

Cross-stage blocks that keep what each bottleneck yields, a fast pyramid pooling, path
aggregation, and heads without anchors or objectness; each side of a box is the mean of a
distribution over 16 distances (Li et al. 2020, "Generalized Focal Loss").
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

#: Channels at strides 2, 4, 8, 16 and 32: a quarter of 64 to 1024.
WIDTHS = (16, 32, 64, 128, 256)
STRIDES = (8, 16, 32)
CLASSES, DISTANCES = 80, 16
#: Widths of the branches for sides and for classes.
SIDES, SCORES = 64, 80
#: Of the batch norms.
EPSILON = 1e-3


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution, its batch norm and SiLU."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            norm=nn.BatchNorm2d(outputs, eps=EPSILON),
            silu=nn.SiLU(),
        )
    )


class Bottleneck(nn.Module):
    """Two 3×3 of one width, with a shortcut in the backbone."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, channels, 3)
        self.conv2 = _convolution(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CrossStage(nn.Module):
    """Two halves, the second through bottlenecks, and all that these yield, merged."""

    def __init__(self, inputs: int, outputs: int, repeats: int = 1, *, shortcut: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.split = _convolution(inputs, outputs, 1)
        self.bottlenecks = nn.ModuleList(Bottleneck(half, shortcut) for _ in range(repeats))
        self.merge = _convolution((2 + repeats) * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).chunk(2, 1))
        for bottleneck in self.bottlenecks:
            parts.append(bottleneck(parts[-1]))
        return self.merge(torch.cat(parts, 1))


class PyramidPooling(nn.Module):
    """Maxima of windows of 5, one after the other: those of 5, 9 and 13."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = _convolution(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = _convolution(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.reduce(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.merge(torch.cat(parts, 1))


class Backbone(nn.Module):
    """As far as the maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        first, second, fine, middle, coarse = WIDTHS
        self.stem = _convolution(3, first, 3, 2)
        self.stage1 = self._stage(first, second, 1)
        self.stage2 = self._stage(second, fine, 2)
        self.stage3 = self._stage(fine, middle, 2)
        self.stage4 = nn.Sequential(*self._stage(middle, coarse, 1), PyramidPooling(coarse))

    @staticmethod
    def _stage(inputs: int, outputs: int, repeats: int) -> nn.Sequential:
        return nn.Sequential(
            _convolution(inputs, outputs, 3, 2),
            CrossStage(outputs, outputs, repeats, shortcut=True),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stage2(self.stage1(self.stem(image)))
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)


class Neck(nn.Module):
    """Path aggregation (Liu et al. 2018): down from coarse to fine, and up again."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS[2:]
        self.top_down_middle = CrossStage(middle + coarse, middle, shortcut=False)
        self.top_down_fine = CrossStage(fine + middle, fine, shortcut=False)
        self.down_fine = _convolution(fine, fine, 3, 2)
        self.bottom_up_middle = CrossStage(fine + middle, middle, shortcut=False)
        self.down_middle = _convolution(middle, middle, 3, 2)
        self.bottom_up_coarse = CrossStage(middle + coarse, coarse, shortcut=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, ...]:
        middle = self.top_down_middle(torch.cat((self.upsample(coarse), middle), 1))
        fine = self.top_down_fine(torch.cat((self.upsample(middle), fine), 1))
        middle = self.bottom_up_middle(torch.cat((self.down_fine(fine), middle), 1))
        coarse = self.bottom_up_coarse(torch.cat((self.down_middle(middle), coarse), 1))
        return fine, middle, coarse


def _branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=_convolution(inputs, width, 3),
            conv2=_convolution(width, width, 3),
            last=nn.Conv2d(width, outputs, 1),
        )
    )


class Head(nn.Module):
    """Distances from a cell's centre to the sides of its box, and scores of the classes."""

    def __init__(self, inputs: int, stride: int) -> None:
        super().__init__()
        self.sides = _branch(inputs, SIDES, 4 * DISTANCES)
        self.classes = _branch(inputs, SCORES, CLASSES)
        self.stride = stride

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [batch, 4, cells] as centre and size in pixels, scores [batch, 80, cells]."""
        likely = self.sides(feature).flatten(2).unflatten(1, (4, DISTANCES)).softmax(2)
        steps = torch.arange(DISTANCES, dtype=likely.dtype)
        sides = torch.einsum("bsdc,d->bsc", likely, steps)
        before, after = sides[:, :2], sides[:, 2:]
        centres = _cells(*feature.shape[2:]) + (after - before) / 2
        boxes = torch.cat((centres, before + after), 1) * self.stride
        return boxes, self.classes(feature).flatten(2).sigmoid()


def _cells(height: int, width: int) -> Tensor:
    """Centre of each cell as column and row, shape [2, height × width]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((columns, rows)).float().flatten(1) + 0.5


class YoloV8(nn.Module):
    """One box at each cell of three grids; none is suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = Neck()
        self.heads = nn.ModuleList(map(Head, WIDTHS[2:], STRIDES))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.neck(*self.backbone(image))
        boxes, scores = zip(
            *(head(feature) for head, feature in zip(self.heads, features, strict=True)),
            strict=True,
        )
        return torch.cat(boxes, 2).transpose(1, 2), torch.cat(scores, 2).transpose(1, 2)


def nano() -> nn.Module:
    """YOLOv8n for 640×640."""
    return YoloV8()
