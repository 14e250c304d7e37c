"""Single-shot detectors (Liu et al. 2016) of MLPerf Inference: SSD-MobileNet v1, SSD-ResNet34.

Widths, strides and the number of default boxes a cell are those of MLPerf's reference
(mlcommons/inference). Both yield every default box, decoded, with its scores; the suppression
of overlapping ones, which the reference does after the network, is left out. Default boxes
follow equation 4 of the paper; with random weights nothing rests on their sizes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onnxprof.zoo.networks.mobilenet import SEPARABLE, Separable
from onnxprof.zoo.networks.resnet import Basic

#: What offsets and logarithms of sizes are multiplied by (section 2.2's variances).
OFFSET_SCALE, SIZE_SCALE = 0.1, 0.2
#: Aspect ratios by boxes a cell; one box more has a larger scale (section 2.2).
ASPECTS = {
    3: (1.0, 2.0, 0.5),
    4: (1.0, 1.0, 2.0, 0.5),
    6: (1.0, 1.0, 2.0, 0.5, 3.0, 1 / 3),
}
SMALLEST, LARGEST = 0.2, 0.95


def _sizes(boxes: int, scale: float, following: float) -> Tensor:
    """Width and height of the boxes of each cell as parts of the image, [2, boxes, 1, 1]."""
    aspects = ASPECTS[boxes]
    scales = [scale] * boxes
    if boxes != 3:
        scales[1] = math.sqrt(scale * following)
    sizes = [
        (size * math.sqrt(aspect), size / math.sqrt(aspect))
        for size, aspect in zip(scales, aspects, strict=True)
    ]
    return torch.tensor(sizes).T.reshape(2, boxes, 1, 1)


def _centres(height: int, width: int) -> Tensor:
    """Centre of each cell as parts of the image, [2, 1, height, width]."""
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[:, None]


class Head(nn.Module):
    """Boxes and logits at each cell of one feature map."""

    def __init__(self, inputs: int, classes: int, boxes: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.boxes, self.classes = boxes, classes
        self.location = nn.Conv2d(inputs, boxes * 4, kernel, stride, kernel // 2)
        self.confidence = nn.Conv2d(inputs, boxes * classes, kernel, stride, kernel // 2)

    def forward(self, feature: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [batch, 4, n] as centre and size in parts of the image, logits [batch, c, n]."""
        location = self.location(feature).unflatten(1, (4, self.boxes))
        centres = location[:, :2] * (OFFSET_SCALE * sizes) + _centres(*location.shape[3:])
        extents = (location[:, 2:] * SIZE_SCALE).exp() * sizes
        logits = self.confidence(feature).unflatten(1, (self.classes, self.boxes))
        return torch.cat((centres, extents), 1).flatten(2), logits.flatten(2)


class SSD(nn.Module):
    """A backbone, more and more coarse layers, and a head on each."""

    def __init__(
        self, backbone: nn.Module, extras: nn.ModuleList, heads: Sequence[Head], score: nn.Module
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.extras = extras
        self.heads = nn.ModuleList(heads)
        self.score = score

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [batch, n, 4] and scores [batch, n, classes]."""
        features = list(self.backbone(image))
        for extra in self.extras:
            features.append(extra(features[-1]))
        step = (LARGEST - SMALLEST) / (len(features) - 1)
        boxes, logits = [], []
        for index, (head, feature) in enumerate(zip(self.heads, features, strict=True)):
            scale = SMALLEST + step * index
            location, confidence = head(feature, _sizes(head.boxes, scale, scale + step))
            boxes.append(location)
            logits.append(confidence)
        scores = self.score(torch.cat(logits, 2).transpose(1, 2))
        return torch.cat(boxes, 2).transpose(1, 2), scores


class MobileNetFeatures(nn.Module):
    """MobileNet v1 as far as its convolutions: the maps at strides 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(3, 32, 3, 2, 1, bias=False),
                norm=nn.BatchNorm2d(32),
                relu6=nn.ReLU6(),
            )
        )
        widths = [32, *(outputs for outputs, _ in SEPARABLE)]
        blocks = [
            Separable(inputs, outputs, stride)
            for inputs, (outputs, stride) in zip(widths, SEPARABLE, strict=False)
        ]
        self.fine = nn.Sequential(*blocks[:-2])
        self.coarse = nn.Sequential(*blocks[-2:])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(self.stem(image))
        return fine, self.coarse(fine)


class ResNetFeatures(nn.Module):
    """ResNet-34 without its last stage; the third keeps the size of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(3, 64, 7, 2, 3, bias=False),
                norm=nn.BatchNorm2d(64),
                relu=nn.ReLU(),
                pool=nn.MaxPool2d(3, 2, 1),
            )
        )
        self.stage1 = nn.Sequential(*(Basic(64, 64, 1) for _ in range(3)))
        self.stage2 = nn.Sequential(Basic(64, 128, 2), *(Basic(128, 128, 1) for _ in range(3)))
        self.stage3 = nn.Sequential(Basic(128, 256, 1), *(Basic(256, 256, 1) for _ in range(5)))

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.stage3(self.stage2(self.stage1(self.stem(image)))),)


def _extra(
    inputs: int, width: int, outputs: int, stride: int, padding: int, relu: type[nn.Module]
) -> nn.Sequential:
    """A 1×1 that narrows and a 3×3: the feature layers of figure 2."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(inputs, width, 1),
            relu1=relu(),
            conv2=nn.Conv2d(width, outputs, 3, stride, padding),
            relu2=relu(),
        )
    )


def ssd_mobilenet_v1() -> nn.Module:
    """SSD-MobileNet v1 for 300×300: 1,917 boxes, 90 classes and the background.

    Strided convolutions pad all sides, where TensorFlow's original pads right and bottom only.
    """
    extras = ((1024, 256, 512), (512, 128, 256), (256, 128, 256), (256, 64, 128))
    widths, boxes = (512, 1024, 512, 256, 256, 128), (3, 6, 6, 6, 6, 6)
    return SSD(
        MobileNetFeatures(),
        nn.ModuleList(_extra(*widths, 2, 1, nn.ReLU6) for widths in extras),
        [Head(width, 91, count, 1, 1) for width, count in zip(widths, boxes, strict=True)],
        nn.Sigmoid(),
    )


def ssd_resnet34() -> nn.Module:
    """SSD-ResNet34 for 1200×1200: 15,130 boxes, 80 classes and the background."""
    extras = (
        (256, 256, 512, 2, 1),
        (512, 256, 512, 2, 1),
        (512, 128, 256, 2, 1),
        (256, 128, 256, 2, 0),
        (256, 128, 256, 1, 0),
    )
    widths, boxes = (256, 512, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4)
    return SSD(
        ResNetFeatures(),
        nn.ModuleList(_extra(*sizes, nn.ReLU) for sizes in extras),
        # The heads take every third pixel: so 1200×1200 has hardly more boxes than 300×300.
        [Head(width, 81, count, 3, 3) for width, count in zip(widths, boxes, strict=True)],
        nn.Softmax(-1),
    )
