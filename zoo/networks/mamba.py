"""Mamba, a step at a time: transformers' weights, and the recurrence of its paper.

Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", algorithm 2.
A step takes the last inputs of each layer's convolution and its state, and returns the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MambaConfig, MambaForCausalLM


class StepByStep(nn.Module):
    """Logits of the token after one token, and what the next step needs."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.lm_head = network.lm_head

    def forward(
        self,
        input_ids: Tensor,
        past_conv_states: Sequence[Tensor],
        past_ssm_states: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """An id [batch, 1]; states [batch, inner, kernel] and [batch, inner, state] a layer."""
        network, windows, states = self.backbone, [], []
        x = network.embeddings(input_ids)[:, 0]
        given = zip(network.layers, past_conv_states, past_ssm_states, strict=True)
        for layer, window, state in given:
            y, window, state = step(layer.mixer, layer.norm(x), window, state)
            x = x + y
            windows.append(window)
            states.append(state)
        logits = self.lm_head(network.norm_f(x))[:, None]
        return (logits, *windows, *states)


def step(mixer: Any, x: Tensor, window: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step of a selective state space: its output, its window and its state."""
    x, gate = mixer.in_proj(x).chunk(2, dim=-1)
    window = torch.cat((window[:, :, 1:], x[:, :, None]), dim=2)
    x = mixer.act((window * mixer.conv1d.weight.squeeze(1)).sum(-1) + mixer.conv1d.bias)
    rank, width = mixer.time_step_rank, mixer.ssm_state_size
    time, taken, read = mixer.x_proj(x).split((rank, width, width), dim=-1)
    time = nn.functional.softplus(mixer.dt_proj(time))
    decay = torch.exp(time[:, :, None] * -torch.exp(mixer.A_log))
    state = state * decay + (time * x)[:, :, None] * taken[:, None]
    y = (state @ read[:, :, None])[:, :, 0] + mixer.D * x
    return mixer.out_proj(y * mixer.act(gate)), window, state


def mamba_130m() -> nn.Module:
    """24 layers of width 768."""
    config = MambaConfig(hidden_size=768, num_hidden_layers=24)
    return StepByStep(MambaForCausalLM(config))
