"""Mask R-CNN (He et al. 2017) with ResNet-50 and a feature pyramid (Lin et al. 2017).

Widths and thresholds are those of the papers and of torchvision's `maskrcnn_resnet50_fpn`. The
number of regions is the same for each image, so that the batch stays an axis: 1,000
proposals and 100 detections. A region that an overlapping one suppresses is not dropped but
put behind the others; each region keeps its best class only; each is pooled at all four
levels of the pyramid, and the level that its size asks for is chosen afterwards. Boxes that
come out are not clipped to the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.onnx.ops import symbolic

from onnxprof.zoo.networks.resnet import Bottleneck

SIZE = 800
STRIDES = (4, 8, 16, 32, 64)
CHANNELS = 256
CLASSES = 91
#: Side of the square anchors at each level (section 3.1.2 of Lin et al. 2017), and their shapes.
ANCHORS = (32, 64, 128, 256, 512)
ASPECTS = (0.5, 1.0, 2.0)
PROPOSALS, DETECTIONS = 1000, 100
#: Overlap above which the lesser region is suppressed.
PROPOSAL_OVERLAP, DETECTION_OVERLAP = 0.7, 0.5
#: A box grows by 1000 / 16 at most: beyond, exp might overflow (torchvision).
LONGEST = math.log(1000 / 16)
#: What the head's offsets and sizes are divided by (Girshick's Fast R-CNN code).
WEIGHTS = (10.0, 5.0)


class Backbone(nn.Module):
    """ResNet-50 v1.5 as far as its four stages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs, stages = 64, []
        for width, units in ((64, 3), (128, 4), (256, 6), (512, 3)):
            first = Bottleneck(inputs, width, 1 if width == 64 else 2)
            inputs = 4 * width
            rest = (Bottleneck(inputs, width, 1) for _ in range(units - 1))
            stages.append(nn.Sequential(first, *rest))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.pool(self.relu(self.norm(self.conv(image))))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Pyramid(nn.Module):
    """Feature pyramid: figure 3 of Lin et al. 2017, and a fifth level for the proposals."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(256 << i, CHANNELS, 1) for i in range(4))
        self.smooth = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(4))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.MaxPool2d(1, 2)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        sums = [self.lateral[-1](features[-1])]
        for lateral, feature in zip(self.lateral[-2::-1], features[-2::-1], strict=True):
            sums.insert(0, lateral(feature) + self.upsample(sums[0]))
        levels = [smooth(x) for smooth, x in zip(self.smooth, sums, strict=True)]
        return [*levels, self.last(levels[-1])]


class Proposer(nn.Module):
    """Region proposal network (Ren et al. 2015): one head for all levels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.relu = nn.ReLU()
        self.objectness = nn.Conv2d(CHANNELS, len(ASPECTS), 1)
        self.box = nn.Conv2d(CHANNELS, 4 * len(ASPECTS), 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Proposals [batch, 1000, 4] as corners in pixels, best first."""
        boxes, scores = zip(*map(self._level, levels, STRIDES, ANCHORS), strict=True)
        # Levels do not suppress each other: to the suppression they lie in different places.
        shifts = torch.cat(
            [torch.full((b.shape[1], 1), 2.0 * SIZE * i) for i, b in enumerate(boxes)]
        )
        proposals = torch.cat(boxes, 1).clamp(0, SIZE)
        ranked = suppress(proposals + shifts, torch.cat(scores, 1), PROPOSAL_OVERLAP, PROPOSALS)
        best = ranked.topk(PROPOSALS).indices
        return pick(proposals, best)

    def _level(self, feature: Tensor, stride: int, side: int) -> tuple[Tensor, Tensor]:
        """The best thousand anchors of one level: boxes [batch, n, 4], scores [batch, n]."""
        x = self.relu(self.conv(feature))
        scores = self.objectness(x).flatten(1).sigmoid()
        height, width = feature.shape[2:]
        roots = torch.tensor(ASPECTS).sqrt().reshape(-1, 1, 1)
        boxes = corners(
            (torch.arange(width) * float(stride), torch.arange(height)[:, None] * float(stride)),
            (side / roots, side * roots),
            self.box(x).unflatten(1, (4, len(ASPECTS))).unbind(1),
        )
        values, best = scores.topk(min(PROPOSALS, 3 * height * width))
        return pick(torch.stack(boxes, -1).flatten(1, 3), best), values


def corners(
    centre: tuple[Tensor, Tensor], size: tuple[Tensor, Tensor], deltas: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """A box moved and grown by deltas: left, top, right, bottom (Ren et al. 2015, equation 2)."""
    x, y = (at + length * delta for at, length, delta in zip(centre, size, deltas, strict=False))
    half_width, half_height = (
        0.5 * length * delta.clamp(max=LONGEST).exp()
        for length, delta in zip(size, deltas[2:], strict=True)
    )
    return x - half_width, y - half_height, x + half_width, y + half_height


def pick(values: Tensor, indices: Tensor) -> Tensor:
    """Rows of each image: values [batch, n, k], indices [batch, m], result [batch, m, k]."""
    return values.gather(1, indices[..., None].expand(-1, -1, values.shape[2]))


def suppress(boxes: Tensor, scores: Tensor, overlap: float, most: int) -> Tensor:
    """Scores [batch, n], lowered by 2 where a better box suppresses this one.

    The operator yields as many rows of (image, class, box) as are kept; the scores of those
    are put back to their places, so that the batch stays an axis.
    """
    rows = scores.shape[0] * most
    kept = symbolic(
        "NonMaxSuppression",
        (boxes, scores[:, None], torch.tensor([most]), torch.tensor([overlap])),
        dtype=torch.int64,
        shape=(rows, 3),
    )
    places = symbolic(
        "Gather", (kept, torch.tensor([0, 2])), {"axis": 1}, dtype=torch.int64, shape=(rows, 2)
    )
    best = symbolic("GatherND", (scores, places), dtype=scores.dtype, shape=(rows,))
    return symbolic("ScatterND", (scores - 2, places, best), dtype=scores.dtype, shape=scores.shape)


class Pooler(nn.Module):
    """RoIAlign (section 3 of He et al. 2017) on the level that equation 1 of Lin et al. gives."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, levels: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Boxes [batch, n, 4] to features [batch × n, 256, side, side]."""
        images = torch.arange(boxes.shape[0])[:, None].expand(-1, boxes.shape[1]).flatten()
        regions = boxes.flatten(0, 1)
        width, height = (regions[:, 2:] - regions[:, :2]).unbind(1)
        wanted = torch.floor(4 + torch.log2((width * height).sqrt() / 224 + 1e-6)).clamp(2, 5)
        wanted = wanted.reshape(-1, 1, 1, 1)
        pooled = self._align(levels[0], regions, images, STRIDES[0])
        for level in range(1, 4):
            finer = self._align(levels[level], regions, images, STRIDES[level])
            pooled = torch.where(wanted == level + 2, finer, pooled)
        return pooled

    def _align(self, feature: Tensor, regions: Tensor, images: Tensor, stride: int) -> Tensor:
        return symbolic(
            "RoiAlign",
            (feature, regions, images),
            {
                "output_height": self.side,
                "output_width": self.side,
                "sampling_ratio": 2,
                "spatial_scale": 1 / stride,
                "coordinate_transformation_mode": "output_half_pixel",
            },
            dtype=feature.dtype,
            shape=(regions.shape[0], CHANNELS, self.side, self.side),
        )


class BoxHead(nn.Module):
    """Two hidden layers on each proposal (figure 4, right, of He et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pooler(7)
        self.flatten = nn.Flatten()
        self.hidden1 = nn.Linear(CHANNELS * 7 * 7, 1024)
        self.relu1 = nn.ReLU()
        self.hidden2 = nn.Linear(1024, 1024)
        self.relu2 = nn.ReLU()
        self.classes = nn.Linear(1024, CLASSES)
        self.box = nn.Linear(1024, 4 * CLASSES)

    def forward(self, levels: Sequence[Tensor], proposals: Tensor) -> tuple[Tensor, ...]:
        """The best hundred: boxes [batch, 100, 4], scores and labels [batch, 100]."""
        x = self.flatten(self.pool(levels, proposals))
        x = self.relu2(self.hidden2(self.relu1(self.hidden1(x))))
        count = proposals.shape[1]
        scores = self.classes(x).softmax(-1).unflatten(0, (-1, count))
        scores, labels = scores[..., 1:].max(-1)
        labels = labels + 1
        deltas = self.box(x).reshape(-1, count, CLASSES, 4)
        deltas = deltas.gather(2, labels[..., None, None].expand(-1, -1, -1, 4)).squeeze(2)
        boxes = _moved(proposals, deltas)
        # Classes do not suppress each other.
        shifts = labels[..., None] * (4.0 * SIZE)
        ranked = suppress(boxes + shifts, scores, DETECTION_OVERLAP, DETECTIONS)
        scores, best = ranked.topk(DETECTIONS)
        return pick(boxes, best), scores, labels.gather(1, best)


def _moved(boxes: Tensor, deltas: Tensor) -> Tensor:
    """Boxes [batch, n, 4] as corners, moved by the head's deltas."""
    left, top, right, bottom = boxes.unbind(-1)
    dx, dy, dw, dh = deltas.unbind(-1)
    offsets, sizes = WEIGHTS
    moved = corners(
        ((left + right) * 0.5, (top + bottom) * 0.5),
        (right - left, bottom - top),
        (dx / offsets, dy / offsets, dw / sizes, dh / sizes),
    )
    return torch.stack(moved, -1)


class MaskHead(nn.Module):
    """Four convolutions, twice the size, a mask a class (figure 4, right, of He et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pooler(14)
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()]
        self.convs = nn.Sequential(*layers)
        self.up = nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, 2)
        self.relu = nn.ReLU()
        self.masks = nn.Conv2d(CHANNELS, CLASSES, 1)

    def forward(self, levels: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """The mask of each detection's class, [batch, 100, 28, 28]."""
        x = self.masks(self.relu(self.up(self.convs(self.pool(levels, boxes)))))
        chosen = labels.reshape(-1, 1, 1, 1).expand(-1, -1, *x.shape[2:])
        masks = x.gather(1, chosen).sigmoid()
        return masks.reshape(-1, boxes.shape[1], *x.shape[2:])


class MaskRCNN(nn.Module):
    """Figure 1 of He et al. 2017."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.pyramid = Pyramid()
        self.proposer = Proposer()
        self.boxes = BoxHead()
        self.mask = MaskHead()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        levels = self.pyramid(self.backbone(image))
        boxes, scores, labels = self.boxes(levels, self.proposer(levels))
        return boxes, scores, labels, self.mask(levels, boxes, labels)


def mask_rcnn() -> nn.Module:
    """Mask R-CNN, ResNet-50-FPN, for 800×800."""
    return MaskRCNN()
