"""Encoders of a text or an image into one vector: transformers' definitions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from onnxprof.zoo.networks.eager import causal_mask, eager, padding_mask, positions


class SentenceEncoder(nn.Module):
    """The mean of the tokens' states, of length 1, as sentence-transformers has it."""

    def __init__(self, network: BertModel) -> None:
        super().__init__()
        network.pooler = None
        self.bert = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Ids, ones where a token is no padding, and segments, each [batch, sequence]."""
        states = self.bert(
            input_ids,
            padding_mask(attention_mask),
            token_type_ids,
            positions(input_ids.shape[1]),
        ).last_hidden_state
        kept = attention_mask[:, :, None].float()
        mean = (states * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean)


def minilm_l6() -> nn.Module:
    """6 layers of width 384."""
    config = BertConfig(
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    return SentenceEncoder(eager(BertModel, config))


class ImageTower(nn.Module):
    """CLIP's vector of an image, layer by layer as in ViT."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.vision_model = network.vision_model
        self.visual_projection = network.visual_projection

    def forward(self, pixel_values: Tensor) -> Tensor:
        """[batch, 3, 224, 224] to [batch, 512]."""
        network = self.vision_model
        x = network.pre_layrnorm(network.embeddings(pixel_values))
        for layer in network.encoder.layers:
            x = layer(x, None)
        vector: Tensor = self.visual_projection(network.post_layernorm(x[:, 0]))
        return vector


class TextTower(nn.Module):
    """CLIP's vector of a text: the state of its last token, whose id is the highest."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.text_model = network.text_model
        self.text_projection = network.text_projection

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids [batch, sequence] to [batch, 512]."""
        network, length = self.text_model, input_ids.shape[1]
        x = network.embeddings(input_ids, positions(length))
        mask = causal_mask(length)
        for layer in network.encoder.layers:
            x = layer(x, mask)
        x = network.final_layer_norm(x)
        last = input_ids.argmax(-1)[:, None, None].expand(-1, 1, x.shape[2])
        vector: Tensor = self.text_projection(x.gather(1, last)[:, 0])
        return vector


def clip_image() -> nn.Module:
    """ViT-B/32: the package's default configuration."""
    return ImageTower(eager(CLIPVisionModelWithProjection, CLIPVisionConfig()))


def clip_text() -> nn.Module:
    """12 layers of width 512: the package's default configuration."""
    return TextTower(eager(CLIPTextModelWithProjection, CLIPTextConfig()))
