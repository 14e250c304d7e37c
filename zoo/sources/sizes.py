"""Sizes of decoders, as their authors published them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """A decoder of the Llama kind: RMS norms, rotary positions, grouped queries, SwiGLU."""

    layers: int
    width: int
    inner: int
    """Width within the feed-forward network."""
    heads: int
    """Heads of the queries."""
    groups: int
    """Heads of the keys and values, each for `heads / groups` of the queries."""
    vocabulary: int
    context: int
    """Most positions."""
    base: float
    """Base of the rotary wave lengths."""
    epsilon: float
    biased: bool
    """Whether queries, keys and values have biases."""
    tied: bool
    """Whether the table of tokens is the matrix of the logits, too."""

    @property
    def head(self) -> int:
        """Width of a head."""
        return self.width // self.heads


#: config.json of TinyLlama/TinyLlama-1.1B (Zhang et al. 2024, table 1).
LLAMA = Sizes(
    layers=22,
    width=2048,
    inner=5632,
    heads=32,
    groups=4,
    vocabulary=32_000,
    context=2048,
    base=10_000.0,
    epsilon=1e-5,
    biased=False,
    tied=False,
)
#: config.json of Qwen/Qwen2.5-0.5B (Qwen Team 2024, table 1).
QWEN = Sizes(
    layers=24,
    width=896,
    inner=4864,
    heads=14,
    groups=2,
    vocabulary=151_936,
    context=32_768,
    base=1_000_000.0,
    epsilon=1e-6,
    biased=True,
    tied=True,
)
