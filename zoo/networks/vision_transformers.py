"""Vision networks as transformers (the package) defines them, built from a configuration alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    DetrConfig,
    DetrForObjectDetection,
    ResNetConfig,
    ViTConfig,
    ViTForImageClassification,
)


class ViT(nn.Module):
    """ViT, layer by layer: the package's own loop would make a mask that hides nothing."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.embeddings = network.vit.embeddings
        self.layers = network.vit.layers
        self.layernorm = network.vit.layernorm
        self.classifier = network.classifier

    def forward(self, image: Tensor) -> Tensor:
        x = self.embeddings(image)
        for layer in self.layers:
            x = layer(x, None)
        logits: Tensor = self.classifier(self.layernorm(x)[:, 0])
        return logits


def vit_b16() -> nn.Module:
    """ViT-B/16 for 224×224 (Dosovitskiy et al. 2020): the package's default configuration."""
    return ViT(ViTForImageClassification(ViTConfig(num_labels=1000)))


class ConvNext(nn.Module):
    """ConvNeXt, from an image to its logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=image).logits
        return logits


def convnext_tiny() -> nn.Module:
    """ConvNeXt-T for 224×224 (Liu et al. 2022): the package's default configuration."""
    return ConvNext(ConvNextForImageClassification(ConvNextConfig(num_labels=1000)))


class Detr(nn.Module):
    """DETR for images of one size: without the mask that tells pixels from padding.

    Logits become scores by the softmax that the package's post-processing applies.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone = network.model.backbone.model
        self.projection = network.model.input_projection
        self.encoder = network.model.encoder
        self.positions = network.model.position_embedding
        self.queries = network.model.query_position_embeddings
        self.decoder = network.model.decoder
        self.classes = network.class_labels_classifier
        self.box = network.bbox_predictor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.backbone(image).feature_maps[-1]
        # One image's positions serve the whole batch.
        places = self.positions(shape=feature[:1].shape, device=image.device, dtype=image.dtype)
        places = places.flatten(2).transpose(1, 2)
        memory = self.projection(feature).flatten(2).transpose(1, 2)
        # Layer by layer, as in ViT.
        for layer in self.encoder.layers:
            memory = layer(memory, None, spatial_position_embeddings=places)
        queries = self.queries.weight.expand(image.shape[0], -1, -1)
        decoded = self.decoder(
            inputs_embeds=torch.zeros_like(queries),
            spatial_position_embeddings=places,
            object_queries_position_embeddings=queries,
            encoder_hidden_states=memory,
        ).last_hidden_state
        return self.box(decoded).sigmoid(), self.classes(decoded).softmax(-1)


def detr() -> nn.Module:
    """DETR with a ResNet-50 backbone and 100 queries (Carion et al. 2020)."""
    backbone = ResNetConfig(out_features=["stage4"])
    config = DetrConfig(
        use_timm_backbone=False,
        backbone_config=backbone,
        num_labels=91,
    )
    network = DetrForObjectDetection(config)
    _unfreeze(network)
    return Detr(network)


def _unfreeze(network: nn.Module) -> None:
    """Batch norms for frozen ones, which compute the same in five operators each."""
    for module in network.modules():
        for name, child in module.named_children():
            if type(child).__name__ == "DetrFrozenBatchNorm2d":
                setattr(module, name, nn.BatchNorm2d(len(child.running_mean)))
