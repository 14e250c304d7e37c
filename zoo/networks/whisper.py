"""Whisper's audio encoder: transformers' definition."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from onnxprof.zoo.networks.eager import eager


class AudioEncoder(WhisperEncoder):
    """States of 1500 frames from 30 seconds of sound."""

    def forward(self, input_features: Tensor) -> Tensor:
        """Log-mel spectrogram [batch, 80, 3000] to states [batch, 1500, width]."""
        states: Tensor = super().forward(input_features).last_hidden_state
        return states


def tiny_encoder() -> nn.Module:
    """4 layers of width 384."""
    config = WhisperConfig(
        d_model=384,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
    )
    return eager(AudioEncoder, config)
