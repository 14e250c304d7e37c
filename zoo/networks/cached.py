"""Decoders with their cache as inputs and outputs: transformers' definitions, layer by layer.

The package's own loop would make masks, and caches of its classes, in many more steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    GPT2Config,
    GPT2LMHeadModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from onnxprof.zoo.networks.eager import MASKED, eager
from onnxprof.zoo.sources.sizes import QWEN


class Cache:
    """Keys and values of the tokens before, layer after layer, and those with the new ones."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        self.past = list(zip(states[::2], states[1::2], strict=True))
        self.present: list[Tensor] = []

    def update(self, key: Tensor, value: Tensor, layer: int, **_: Any) -> tuple[Tensor, Tensor]:
        """Append a layer's new keys and values, which is what transformers' attention asks for."""
        whole = [
            torch.cat((old, new), dim=2)
            for old, new in zip(self.past[layer], (key, value), strict=True)
        ]
        self.present += whole
        return whole[0], whole[1]


def step_mask(ids: Tensor, kept: Tensor) -> Tensor:
    """What is added to scores: new tokens see themselves, and what is kept before them.

    From ids [batch, new] at the end of the text, and ones where a token is no padding,
    [batch, total], to [batch, 1, new, total].
    """
    # Counted by sums, whose length shape inference knows, as it does not that of a range.
    keys = torch.ones_like(kept).cumsum(1)
    queries = torch.ones_like(ids).cumsum(1) + (kept.shape[1] - ids.shape[1])
    seen = (keys[:, None] <= queries[:, :, None]) & kept.bool()[:, None]
    return torch.where(seen, 0.0, MASKED)[:, None]


class CachedGpt2(nn.Module):
    """GPT-2 for some tokens after others."""

    def __init__(self, network: GPT2LMHeadModel) -> None:
        super().__init__()
        self.transformer = network.transformer
        self.lm_head = network.lm_head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        past_key_values: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Ids and positions [batch, new], mask [batch, past + new], two states a layer."""
        body, cache = self.transformer, Cache(past_key_values)
        mask = step_mask(input_ids, attention_mask)
        x = body.wte(input_ids) + body.wpe(position_ids)
        for block in body.h:
            x = block(x, cache, attention_mask=mask)
        return (self.lm_head(body.ln_f(x)), *cache.present)


class CachedQwen(nn.Module):
    """Qwen2 for some tokens after others."""

    def __init__(self, network: Qwen2ForCausalLM) -> None:
        super().__init__()
        self.model = network.model
        self.lm_head = network.lm_head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        past_key_values: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Ids and positions [batch, new], mask [batch, past + new], two states a layer."""
        cache = Cache(past_key_values)
        mask = step_mask(input_ids, attention_mask)
        turns = rotations(position_ids, QWEN.base, QWEN.head)
        x = self.model.embed_tokens(input_ids)
        for layer in self.model.layers:
            x = layer(x, mask, position_ids, cache, position_embeddings=turns)
        return (self.lm_head(self.model.norm(x)), *cache.present)


def rotations(positions: Tensor, base: float, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [batch, length, head], as transformers' rotary embedding has them."""
    rates = 1 / base ** (torch.arange(0, head, 2) / head)
    angles = positions[:, :, None].float() * rates
    whole = torch.cat((angles, angles), dim=-1)
    return whole.cos(), whole.sin()


def grouped(
    _module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Attention of several heads of queries to one of keys, which is not repeated for them.

    In the form that transformers calls, for [batch, head, length, size].
    """
    shared = query.unflatten(1, (key.shape[1], -1))
    scores = shared @ key[:, :, None].transpose(3, 4) * scaling + mask[:, :, None]
    return (scores.softmax(-1) @ value[:, :, None]).permute(0, 3, 1, 2, 4), None


def gpt2() -> nn.Module:
    """12 layers of width 768."""
    return CachedGpt2(eager(GPT2LMHeadModel, GPT2Config()))


def qwen() -> nn.Module:
    """24 layers of width 896."""
    config = Qwen2Config(
        vocab_size=QWEN.vocabulary,
        hidden_size=QWEN.width,
        intermediate_size=QWEN.inner,
        num_hidden_layers=QWEN.layers,
        num_attention_heads=QWEN.heads,
        num_key_value_heads=QWEN.groups,
        max_position_embeddings=QWEN.context,
        rms_norm_eps=QWEN.epsilon,
        tie_word_embeddings=QWEN.tied,
    )
    AttentionInterface.register("grouped", grouped)
    with torch.device("meta"):
        network = eager(Qwen2ForCausalLM, config, "grouped")
    network.to_empty(device="cpu").tie_weights()
    return CachedQwen(network)
