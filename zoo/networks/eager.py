"""What the models of transformers share: plain attention, and masks made in few steps.

Attention is computed by MatMul and Softmax. Given a mask of four axes, transformers adds it
to the scores as it is, so that the graph holds none of the steps by which it would look for
padding, packed texts and caches that are not there.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

Model = TypeVar("Model")

#: What is added to the score of a position that must not be seen; its exponential is 0.
MASKED = torch.finfo(torch.float32).min


def eager(model: type[Model], config: Any, attention: str = "eager") -> Model:
    """A model with random weights."""
    make: Any = model
    made: Model = make._from_config(config, attn_implementation=attention)
    return made


def padding_mask(kept: Tensor) -> Tensor:
    """From ones where a token is no padding, [batch, sequence], to [batch, 1, 1, sequence]."""
    return torch.where(kept.bool(), 0.0, MASKED)[:, None, None, :]


def causal_mask(length: int) -> Tensor:
    """Each position sees itself and those before, [1, 1, length, length]."""
    order = torch.arange(length)
    return torch.where(order[None, :] <= order[:, None], 0.0, MASKED)[None, None]


def positions(length: int) -> Tensor:
    """Indices of positions, [1, length]."""
    return torch.arange(length)[None]
