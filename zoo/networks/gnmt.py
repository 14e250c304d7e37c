"""GNMT v2 for translation, as MLPerf Training's reference has it.

After Wu et al. 2016, "Google's Neural Machine Translation System". The attention is that of
MLPerf's and of tensorflow/nmt's `gnmt_v2`: the first decoder layer asks, and what it finds
goes into every later layer at the same step. The decoder reads a given target (teacher
forcing), so that each of its layers is one LSTM over the whole target.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onnxprof.zoo.networks.lstm import Lstm

#: Rows of each embedding in tensorflow/nmt's WMT16 checkpoints.
VOCABULARY = 36_548
WIDTH = 1024


class Attention(nn.Module):
    """Normalised additive attention (Bahdanau et al. 2014; Salimans and Kingma 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.bias = nn.Parameter(torch.zeros(WIDTH))
        self.gain = nn.Parameter(torch.ones(1))
        self.direction = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """The context [batch, target, width] of queries in states [batch, sequence, width]."""
        sums = self.query(x)[:, :, None, :] + self.key(memory)[:, None, :, :] + self.bias
        direction = self.gain * self.direction * self.direction.square().sum().rsqrt()
        weights = (torch.tanh(sums) @ direction).softmax(-1)
        return weights @ memory


class Encoder(nn.Module):
    """Four layers; the first reads both ways, the last two add what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.first = Lstm(WIDTH, WIDTH, directions=2)
        self.second = Lstm(2 * WIDTH, WIDTH)
        self.others = nn.ModuleList(Lstm(WIDTH, WIDTH) for _ in range(2))

    def forward(self, source: Tensor) -> Tensor:
        """Ids [batch, sequence] to states [batch, sequence, width]."""
        x = self.second(self.first(self.embedding(source).transpose(0, 1)))
        for layer in self.others:
            x = layer(x) + x
        return x.transpose(0, 1)


class Decoder(nn.Module):
    """Four layers; the last two add what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.first = Lstm(WIDTH, WIDTH)
        self.attention = Attention()
        self.second = Lstm(2 * WIDTH, WIDTH)
        self.others = nn.ModuleList(Lstm(2 * WIDTH, WIDTH) for _ in range(2))
        self.logits = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, target: Tensor, memory: Tensor) -> Tensor:
        """Ids [batch, target] to logits [batch, target, vocabulary]."""
        x = self.first(self.embedding(target).transpose(0, 1))
        context = self.attention(x.transpose(0, 1), memory).transpose(0, 1)
        x = self.second(torch.cat((x, context), dim=2))
        for layer in self.others:
            x = layer(torch.cat((x, context), dim=2)) + x
        logits: Tensor = self.logits(x.transpose(0, 1))
        return logits


class Gnmt(nn.Module):
    """Logits of each next target token."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Ids [batch, sequence] and [batch, target] to logits [batch, target, vocabulary]."""
        logits: Tensor = self.decoder(target, self.encoder(source))
        return logits


def gnmt() -> nn.Module:
    """Some 207 million parameters."""
    return Gnmt()
