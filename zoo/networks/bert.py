"""BERT with a head for extractive question answering: transformers' definition."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import BertConfig, BertForQuestionAnswering

from onnxprof.zoo.networks.eager import eager, padding_mask, positions


class BertForSpans(BertForQuestionAnswering):
    """Scores of each token as the start and as the end of the answer."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Ids, ones where a token is no padding, and segments, each [batch, sequence]."""
        result = super().forward(
            input_ids,
            padding_mask(attention_mask),
            token_type_ids,
            positions(input_ids.shape[1]),
        )
        return result.start_logits, result.end_logits


def base() -> nn.Module:
    """12 layers of width 768."""
    return eager(BertForSpans, BertConfig())


def large() -> nn.Module:
    """24 layers of width 1024."""
    config = BertConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
    )
    return eager(BertForSpans, config)
