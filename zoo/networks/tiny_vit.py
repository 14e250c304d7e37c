"""MobileSAM's image encoder: TinyViT-5M for 1024 pixels, and SAM's neck.

After Wu et al. 2022, "TinyViT: Fast Pretraining Distillation for Small Vision Transformers"
(section 3.2, table 11), and Zhang et al. 2023, "Faster Segment Anything: Towards Lightweight SAM
for Mobile Applications", whose last stage keeps the resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Of the four stages.
WIDTHS, DEPTHS, HEADS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)
#: Width of SAM's image embedding.
NECK = 256


class ConvNorm(nn.Sequential):
    """A convolution and a batch norm."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs))


class InvertedBottleneck(nn.Module):
    """Widen fourfold, convolve each channel, narrow, and add the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 4 * width
        self.widen = ConvNorm(width, inner)
        self.depthwise = ConvNorm(inner, inner, 3, groups=inner)
        self.narrow = ConvNorm(inner, width)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, width, side, side] to the same."""
        y = self.act(self.depthwise(self.act(self.widen(x))))
        return self.act(x + self.narrow(y))


class Merging(nn.Sequential):
    """To the width and resolution of the next stage."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            ConvNorm(inputs, outputs),
            nn.GELU(),
            ConvNorm(outputs, outputs, 3, stride, groups=outputs),
            nn.GELU(),
            ConvNorm(outputs, outputs),
        )


class Attention(nn.Module):
    """Attention within windows; a bias for each distance along both axes."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.head, self.window = heads, width // heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def forward(self, x: Tensor) -> Tensor:
        """[windows, tokens, width] to the same."""
        parts = self.qkv(self.norm(x)).unflatten(2, (self.heads, 3 * self.head)).transpose(1, 2)
        query, key, value = parts.split(self.head, dim=3)
        scores = query @ key.transpose(2, 3) * self.head**-0.5 + self.biases()
        return self.proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))

    def biases(self) -> Tensor:
        """[heads, tokens, tokens]."""
        size = self.window
        order = torch.arange(size)
        apart = (order[:, None] - order[None, :]).abs().flatten()
        table = self.attention_biases.unflatten(1, (size, size))
        pairs = table.index_select(1, apart).index_select(2, apart)
        grid = pairs.reshape(self.heads, size, size, size, size).transpose(2, 3)
        return grid.reshape(self.heads, size * size, size * size)


class Block(nn.Module):
    """Window attention, a convolution of each channel, and a feed-forward network."""

    def __init__(self, width: int, heads: int, window: int, side: int) -> None:
        super().__init__()
        self.window, self.side = window, side
        self.attn = Attention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] to the same."""
        x = x + self.within_windows(x)
        image = x.transpose(1, 2).unflatten(2, (self.side, self.side))
        x = self.local_conv(image).flatten(2).transpose(1, 2)
        return x + self.mlp(x)

    def within_windows(self, x: Tensor) -> Tensor:
        """Attention, on an image that zeros fill up to whole windows."""
        size, side, width = self.window, self.side, x.shape[2]
        gap = -side % size
        count = (side + gap) // size
        image = nn.functional.pad(x.unflatten(1, (side, side)), (0, 0, 0, gap, 0, gap))
        tiles = image.reshape(-1, count, size, count, size, width).transpose(2, 3)
        seen = self.attn(tiles.reshape(-1, size * size, width))
        whole = seen.reshape(-1, count, count, size, size, width).transpose(2, 3)
        image = whole.reshape(-1, side + gap, side + gap, width)
        return image[:, :side, :side].flatten(1, 2)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of an image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] to the same."""
        last = x.permute(0, 2, 3, 1)
        last = nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, 1e-6)
        return last.permute(0, 3, 1, 2)


class ImageEncoder(nn.Module):
    """An image of 1024 × 1024 to SAM's embedding of 64 × 64."""

    def __init__(self) -> None:
        super().__init__()
        first = WIDTHS[0]
        self.patch_embed = nn.Sequential(
            ConvNorm(3, first // 2, 3, 2), nn.GELU(), ConvNorm(first // 2, first, 3, 2)
        )
        self.convolutions = nn.Sequential(*(InvertedBottleneck(first) for _ in range(DEPTHS[0])))
        self.merges = nn.ModuleList(
            Merging(narrow, wide, stride)
            for narrow, wide, stride in zip(WIDTHS, WIDTHS[1:], (2, 2, 1), strict=False)
        )
        sizes = zip(WIDTHS, HEADS, WINDOWS, (256, 128, 64, 64), DEPTHS, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, heads, window, side) for _ in range(depth)))
            for width, heads, window, side, depth in list(sizes)[1:]
        )
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], NECK, 1, bias=False),
            ChannelNorm(NECK),
            nn.Conv2d(NECK, NECK, 3, padding=1, bias=False),
            ChannelNorm(NECK),
        )

    def forward(self, image: Tensor) -> Tensor:
        """[batch, 3, 1024, 1024] to [batch, 256, 64, 64]."""
        x = self.convolutions(self.patch_embed(image))
        for merge, stage in zip(self.merges, self.stages, strict=True):
            x = merge(x)
            side = x.shape[2]
            x = stage(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (side, side))
        return self.neck(x)


def mobile_sam() -> nn.Module:
    """TinyViT-5M and the neck."""
    return ImageEncoder()
