"""T5's encoder: transformers' definition."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from onnxprof.zoo.networks.eager import eager, padding_mask


class TextEncoder(T5EncoderModel):
    """States of the tokens of a text."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        self.encoder.block[0].layer[0].SelfAttention._relative_position_bucket = bucket

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Ids, and ones where a token is no padding, to states [batch, sequence, width]."""
        states: Tensor = super().forward(input_ids, padding_mask(attention_mask)).last_hidden_state
        return states


def bucket(
    relative_position: Tensor, bidirectional: bool, num_buckets: int, max_distance: int
) -> Tensor:
    """Bucket of each distance: one each for the near, by logarithm for the far (section 2.1).

    transformers' own also takes the logarithm of distance 0, and throws that infinity away.
    """
    assert bidirectional
    half = num_buckets // 2
    exact = half // 2
    distance = relative_position.abs()
    steps = (half - exact) / math.log(max_distance / exact)
    far = exact + (torch.log(distance.clamp(min=exact) / exact) * steps).long()
    nearness = torch.where(distance < exact, distance, far.clamp(max=half - 1))
    return nearness + (relative_position > 0).long() * half


def small_encoder() -> nn.Module:
    """6 layers of width 512."""
    return eager(TextEncoder, T5Config(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8))
