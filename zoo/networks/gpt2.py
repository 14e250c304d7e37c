"""GPT-2, the smallest of four, with its language-model head: transformers' definition."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from onnxprof.zoo.networks.eager import causal_mask, eager, positions


class LanguageModel(GPT2LMHeadModel):
    """Logits of the token that follows each position, from the whole text at once."""

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids [batch, sequence] to logits [batch, sequence, vocabulary]."""
        length = input_ids.shape[1]
        logits: Tensor = (
            super()
            .forward(
                input_ids,
                attention_mask=causal_mask(length),
                position_ids=positions(length),
                use_cache=False,
            )
            .logits
        )
        return logits


def small() -> nn.Module:
    """12 layers of width 768."""
    return eager(LanguageModel, GPT2Config())
