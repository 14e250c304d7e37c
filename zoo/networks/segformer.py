"""SegFormer-B0 for semantic segmentation: transformers' definition."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation


class Segmenter(nn.Module):
    """From an image to the logits of each class at a quarter of its size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=image).logits
        return logits


def b0() -> nn.Module:
    """SegFormer-B0 for 512×512 and ADE20K's 150 classes: the default configuration."""
    config = SegformerConfig(num_labels=150)
    return Segmenter(SegformerForSemanticSegmentation(config))
