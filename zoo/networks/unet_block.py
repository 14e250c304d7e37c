"""A down block of Stable Diffusion 1.5's U-Net, with cross attention to a text.

After Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", and
the published sizes of version 1.5: its second block, which widens 320 channels to 640. Two times
a residual unit that is told the time step (Ho et al. 2020), then a transformer; each sum is kept
for the way up; then half the size.
"""

from __future__ import annotations

from torch import Tensor, nn

INPUTS, WIDTH = 320, 640
#: Of the embedding of the time step, and of a text's tokens (CLIP ViT-L/14).
TIME, TEXT = 1280, 768
HEADS, GROUPS, EXPANSION = 8, 32, 4


class Residual(nn.Module):
    """Two 3×3 with the time step between them, and a shortcut."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.silu1 = nn.SiLU()
        self.conv1 = nn.Conv2d(inputs, WIDTH, 3, padding=1)
        self.silu_time = nn.SiLU()
        self.time = nn.Linear(TIME, WIDTH)
        self.norm2 = nn.GroupNorm(GROUPS, WIDTH)
        self.silu2 = nn.SiLU()
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, WIDTH, 1) if inputs != WIDTH else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(self.silu1(self.norm1(x)))
        y = y + self.time(self.silu_time(time))[:, :, None, None]
        y = self.conv2(self.silu2(self.norm2(y)))
        return self.shortcut(x) + y


class Attention(nn.Module):
    """Attention of pixels to one another, or to the tokens of a text."""

    def __init__(self, told: int) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(told, WIDTH, bias=False)
        self.value = nn.Linear(told, WIDTH, bias=False)
        self.output = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Pixels [batch, n, width] that ask `told` [batch, m, …]."""
        query, key, value = self.query(x), self.key(told), self.value(told)
        heads = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (query, key, value))
        query, key, value = heads
        scores = (query @ key.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5
        return self.output((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class Gated(nn.Module):
    """A hidden layer of which one half gates the other (Shazeer 2020, "GLU Variants")."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(WIDTH, 2 * EXPANSION * WIDTH)
        self.gelu = nn.GELU()
        self.project = nn.Linear(EXPANSION * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.expand(x).chunk(2, -1)
        return self.project(value * self.gelu(gate))


class Transformer(nn.Module):
    """Pixels as tokens: attention to one another, to the text, and a gated layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, WIDTH, eps=1e-6)
        self.enter = nn.Conv2d(WIDTH, WIDTH, 1)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.pixels = Attention(WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.text = Attention(TEXT)
        self.norm3 = nn.LayerNorm(WIDTH)
        self.gated = Gated()
        self.leave = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        size = image.shape[2:]
        x = self.enter(self.norm(image)).flatten(2).transpose(1, 2)
        y = self.norm1(x)
        x = x + self.pixels(y, y)
        x = x + self.text(self.norm2(x), text)
        x = x + self.gated(self.norm3(x))
        return self.leave(x.transpose(1, 2).unflatten(2, size)) + image


class DownBlock(nn.Module):
    """Two residual units with a transformer each, and a convolution that halves the size."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.ModuleList(Residual(inputs) for inputs in (INPUTS, WIDTH))
        self.transformers = nn.ModuleList(Transformer() for _ in self.units)
        self.down = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)

    def forward(self, sample: Tensor, time: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """The block's output, and the two sums for the way up."""
        kept = []
        for unit, transformer in zip(self.units, self.transformers, strict=True):
            sample = transformer(unit(sample, time), text)
            kept.append(sample)
        return self.down(sample), *kept


def down_block() -> nn.Module:
    """The second down block of version 1.5."""
    return DownBlock()
