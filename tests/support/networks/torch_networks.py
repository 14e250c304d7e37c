"""Modules of a user's, sound and not; needs torch."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x):
        return torch.relu(x + self.bn1(self.conv1(x)))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.fc = nn.Linear(8 * 8 * 8, 10)

    def forward(self, x):
        y = nn.functional.max_pool2d(self.layer1(torch.relu(self.conv1(x))), 2)
        return self.fc(torch.flatten(nn.functional.dropout(y, training=self.training), 1))


class Transformer(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.embed = nn.Embedding(100, width)
        self.norm = nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        nn.init.zeros_(self.mlp[0].bias)
        self.heads = heads

    def forward(self, ids, attention_mask=None):
        x = self.norm(self.embed(ids))
        split = [
            p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v)
        ]
        mask = None if attention_mask is None else attention_mask.bool()[:, None, None]
        y = nn.functional.scaled_dot_product_attention(*split, attn_mask=mask)
        return x + self.mlp(y.transpose(1, 2).flatten(2))


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v):
        attend = nn.functional.scaled_dot_product_attention
        if self.options.get("enable_gqa"):
            k, v = k[:, :2], v[:, :2]
        return attend(q, k, v, **self.options)


class Pair(nn.Module):
    def forward(self, x, y, mask=None):
        return {"sum": x + y, "pair": (x, x * y)}


class HardBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).view(2, -1)


class Lacking(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x).real


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class NeedsArguments(nn.Module):
    def __init__(self, width):
        super().__init__()


linear = nn.Linear(4, 2)
