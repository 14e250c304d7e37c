"""Neural collaborative filtering (NeuMF) at the sizes of MLPerf Training's reference.

After He et al. 2017, "Neural Collaborative Filtering", section 3.4, for the users and the
films of MovieLens-20M.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

USERS, ITEMS = 138_493, 26_744
FACTORS = 64
WIDTHS = (256, 256, 128, 64)


class NeuMF(nn.Module):
    """Matrix factorisation and a multilayer perceptron side by side, each with its own tables."""

    def __init__(self) -> None:
        super().__init__()
        self.mf_user = nn.Embedding(USERS, FACTORS)
        self.mf_item = nn.Embedding(ITEMS, FACTORS)
        self.mlp_user = nn.Embedding(USERS, WIDTHS[0] // 2)
        self.mlp_item = nn.Embedding(ITEMS, WIDTHS[0] // 2)
        layers = [(nn.Linear(*sizes), nn.ReLU()) for sizes in pairwise(WIDTHS)]
        self.mlp = nn.Sequential(*(part for layer in layers for part in layer))
        self.final = nn.Linear(FACTORS + WIDTHS[-1], 1)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Ids [batch] of users and items to the probability [batch, 1] that they go together."""
        factors = self.mf_user(user) * self.mf_item(item)
        features = self.mlp(torch.cat((self.mlp_user(user), self.mlp_item(item)), dim=1))
        return torch.sigmoid(self.final(torch.cat((factors, features), dim=1)))


def neumf() -> nn.Module:
    """31.8 million parameters, nearly all of them in the tables."""
    return NeuMF()
