"""The Transformer, encoder and decoder, for translation.

After Vaswani et al. 2017, "Attention Is All You Need": normalisation behind each residual
sum, sinusoids for the positions, one table for the source, the target and the logits. The
decoder reads a given target (teacher forcing), so that the whole is one graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Tokens of the shared byte-pair vocabulary of English and German.
VOCABULARY = 37_000
#: Token that fills short texts up; attention passes it over.
PADDING = 0
#: What masked scores become; its exponential is 0.
MASKED = -1e9


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (section 3.2.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, memory: Tensor, kept: Tensor) -> Tensor:
        """What `x` finds in `memory`, among the positions that are `kept`."""
        query, key, value = (
            self.split(part) for part in (self.query(x), self.key(memory), self.value(memory))
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(self.size)
        weights = torch.where(kept, scores, MASKED).softmax(-1)
        return self.output((weights @ value).transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:
        """[batch, length, width] to [batch, head, length, size]."""
        return x.unflatten(2, (self.heads, self.size)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two layers at each position (section 3.3)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with a residual sum."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """[batch, sequence, width] to the same."""
        x = self.attention_norm(x + self.attention(x, x, kept))
        return self.feed_forward_norm(x + self.feed_forward(x))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's states, and feed-forward network."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, past: Tensor, memory: Tensor, kept: Tensor) -> Tensor:
        """[batch, target, width] to the same; `past` says which targets a target may see."""
        x = self.attention_norm(x + self.attention(x, x, past))
        x = self.cross_attention_norm(x + self.cross_attention(x, memory, kept))
        return self.feed_forward_norm(x + self.feed_forward(x))


class Transformer(nn.Module):
    """Logits of each next target token."""

    def __init__(self, layers: int, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(VOCABULARY, width)
        sizes = (width, inner, heads)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(layers))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Ids [batch, sequence] and [batch, target] to logits [batch, target, vocabulary]."""
        kept = (source != PADDING)[:, None, None, :]
        memory = self.embed(source)
        for encoder in self.encoder:
            memory = encoder(memory, kept)
        order = torch.arange(target.shape[1])
        past = order[None, :] <= order[:, None]
        x = self.embed(target)
        for decoder in self.decoder:
            x = decoder(x, past, memory, kept)
        return x @ self.embedding.weight.T

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of tokens, scaled, and the sinusoids of their positions (sections 3.4, 3.5)."""
        steps = torch.arange(ids.shape[1], dtype=torch.float32)[:, None]
        rates = torch.exp(torch.arange(0, self.width, 2) * (-math.log(10_000) / self.width))
        waves = torch.cat((torch.sin(steps * rates), torch.cos(steps * rates)), dim=1)
        return self.embedding(ids) * math.sqrt(self.width) + waves


def base() -> nn.Module:
    """6 + 6 layers of width 512 (table 3)."""
    return Transformer(layers=6, width=512, inner=2048, heads=8)


def big() -> nn.Module:
    """6 + 6 layers of width 1024 (table 3)."""
    return Transformer(layers=6, width=1024, inner=4096, heads=16)
