"""YOLOX-Tiny (Ge et al. 2021): CSPDarknet, path aggregation, decoupled heads, no anchors.

Depth 0.33 and width 0.375 of the authors' YOLOX-L. Where the paper is silent (it refers to
YOLOv5's code), kernels and widths are those of the authors' code, and so is the focus in
front: four pixels of each 2×2 become channels.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

#: Channels at strides 8, 16 and 32: 0.375 of 256, 512 and 1024.
WIDTHS = (96, 192, 384)
STRIDES = (8, 16, 32)
CLASSES = 80
#: Of the batch norms, in the authors' code.
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


class Focus(nn.Module):
    """Halve the size by moving the four pixels of each 2×2 into channels."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.block = _convolution(12, outputs, 3)

    def forward(self, image: Tensor) -> Tensor:
        even, odd = image[:, :, ::2], image[:, :, 1::2]
        pixels = (even[..., ::2], odd[..., ::2], even[..., 1::2], odd[..., 1::2])
        return self.block(torch.cat(pixels, 1))


class Bottleneck(nn.Module):
    """1×1 and 3×3 of one width, with a shortcut in the backbone."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, channels, 1)
        self.conv2 = _convolution(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CrossStage(nn.Module):
    """Cross stage partial (Wang et al. 2020): half of the channels pass the bottlenecks."""

    def __init__(self, inputs: int, outputs: int, repeats: int = 1, *, shortcut: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.main = _convolution(inputs, half, 1)
        self.bypass = _convolution(inputs, half, 1)
        self.bottlenecks = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(repeats)))
        self.merge = _convolution(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(torch.cat((self.bottlenecks(self.main(x)), self.bypass(x)), 1))


class PyramidPooling(nn.Module):
    """Spatial pyramid pooling: maxima of three windows beside the pixel itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = _convolution(channels, channels // 2, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))
        self.merge = _convolution(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return self.merge(torch.cat((x, *(pool(x) for pool in self.pools)), 1))


class Backbone(nn.Module):
    """CSPDarknet, as far as its three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Focus(24)
        self.stage1 = nn.Sequential(_convolution(24, 48, 3, 2), CrossStage(48, 48, shortcut=True))
        self.stage2 = nn.Sequential(
            _convolution(48, 96, 3, 2), CrossStage(96, 96, 3, shortcut=True)
        )
        self.stage3 = nn.Sequential(
            _convolution(96, 192, 3, 2), CrossStage(192, 192, 3, shortcut=True)
        )
        self.stage4 = nn.Sequential(
            _convolution(192, 384, 3, 2),
            PyramidPooling(384),
            CrossStage(384, 384, shortcut=False),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stage2(self.stage1(self.stem(image)))
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)


class Neck(nn.Module):
    """Path aggregation (Liu et al. 2018): down from coarse to fine, and up again."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.lateral_coarse = _convolution(coarse, middle, 1)
        self.top_down_middle = CrossStage(2 * middle, middle, shortcut=False)
        self.lateral_middle = _convolution(middle, fine, 1)
        self.top_down_fine = CrossStage(2 * fine, fine, shortcut=False)
        self.down_fine = _convolution(fine, fine, 3, 2)
        self.bottom_up_middle = CrossStage(2 * fine, middle, shortcut=False)
        self.down_middle = _convolution(middle, middle, 3, 2)
        self.bottom_up_coarse = CrossStage(2 * middle, coarse, shortcut=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, ...]:
        lateral_coarse = self.lateral_coarse(coarse)
        middle = self.top_down_middle(torch.cat((self.upsample(lateral_coarse), middle), 1))
        lateral_middle = self.lateral_middle(middle)
        fine = self.top_down_fine(torch.cat((self.upsample(lateral_middle), fine), 1))
        middle = self.bottom_up_middle(torch.cat((self.down_fine(fine), lateral_middle), 1))
        coarse = self.bottom_up_coarse(torch.cat((self.down_middle(middle), lateral_coarse), 1))
        return fine, middle, coarse


class Head(nn.Module):
    """Classes and boxes in branches of their own (section 2.1, decoupled head), decoded."""

    def __init__(self, inputs: int, stride: int, width: int = WIDTHS[0]) -> None:
        super().__init__()
        self.stem = _convolution(inputs, width, 1)
        self.class_branch = nn.Sequential(*(_convolution(width, width, 3) for _ in range(2)))
        self.box_branch = nn.Sequential(*(_convolution(width, width, 3) for _ in range(2)))
        self.classes = nn.Conv2d(width, CLASSES, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.objectness = nn.Conv2d(width, 1, 1)
        self.stride = stride

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [batch, 4, cells] as centre and size in pixels, scores [batch, 80, cells]."""
        x = self.stem(feature)
        boxes = self.box_branch(x)
        scores = self.classes(self.class_branch(x)).sigmoid() * self.objectness(boxes).sigmoid()
        boxes = self.box(boxes)
        centres = (boxes[:, :2] + _cells(*feature.shape[2:])) * self.stride
        boxes = torch.cat((centres, boxes[:, 2:].exp() * self.stride), 1)
        return boxes.flatten(2), scores.flatten(2)


def _cells(height: int, width: int) -> Tensor:
    """Column and row of each cell, shape [2, height, width]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((columns, rows)).float()


class YoloX(nn.Module):
    """One box at each cell of three grids."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = Neck()
        self.heads = nn.ModuleList(map(Head, WIDTHS, STRIDES))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.neck(*self.backbone(image))
        boxes, scores = zip(
            *(head(feature) for head, feature in zip(self.heads, features, strict=True)),
            strict=True,
        )
        return torch.cat(boxes, 2).transpose(1, 2), torch.cat(scores, 2).transpose(1, 2)


def yolox_tiny() -> nn.Module:
    """YOLOX-Tiny for 416×416."""
    return YoloX()
