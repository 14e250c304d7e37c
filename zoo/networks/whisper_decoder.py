"""Whisper's text decoder with its caches: transformers' definition, layer by layer.

The keys and values of the sound, which the encoder's states give once, are inputs; those of the
text are inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.cache_utils import EncoderDecoderCache
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from onnxprof.zoo.networks.cached import Cache, step_mask
from onnxprof.zoo.networks.eager import eager


class SpeechCache(EncoderDecoderCache):
    """Keys and values of the text and of the sound, layer after layer: four tensors each."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        text = [state for at, state in enumerate(states) if at % 4 < 2]
        sound = zip(states[2::4], states[3::4], strict=True)
        layers = [SimpleNamespace(keys=key, values=value) for key, value in sound]
        self.self_attention_cache = Cache(text)
        self.cross_attention_cache = SimpleNamespace(layers=layers)
        self.is_updated = dict.fromkeys(range(len(layers)), True)


class TextDecoder(nn.Module):
    """Logits of the next token of a transcript."""

    def __init__(self, network: WhisperDecoder) -> None:
        super().__init__()
        self.decoder = network

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        past_key_values: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Ids and positions [batch, new], mask [batch, past + new], four states a layer."""
        network, cache = self.decoder, SpeechCache(past_key_values)
        mask = step_mask(input_ids, attention_mask)
        table, places = network.embed_tokens.weight, network.embed_positions.weight
        x = nn.functional.embedding(input_ids, table)
        x = x + nn.functional.embedding(position_ids, places)
        for layer in network.layers:
            # The sound itself is read no more; that it is given asks for attention to it.
            x = layer(x, attention_mask=mask, encoder_hidden_states=x, cache=cache)
        logits = network.layer_norm(x) @ table.T
        return (logits, *cache.self_attention_cache.present)


def tiny() -> nn.Module:
    """4 layers of width 384."""
    config = WhisperConfig(
        d_model=384,
        decoder_layers=4,
        decoder_attention_heads=6,
        decoder_ffn_dim=1536,
    )
    return TextDecoder(eager(WhisperDecoder, config))
