"""A layer of long short-term memory that is one LSTM in the graph, weights and all.

torch's own holds the gates in another order than ONNX; exported, it would cut each weight
into its gates and put them together again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.onnx import is_in_onnx_export, ops

#: The gates of torch's weights (input, forget, cell, output) in the order of ONNX's (i, o, f, c).
_ORDER = (0, 2, 3, 1)


class Lstm(nn.Module):
    """Hochreiter and Schmidhuber 1997, with forget gates; the weights as ONNX lays them out."""

    def __init__(self, inputs: int, hidden: int, directions: int = 1) -> None:
        super().__init__()
        self.hidden, self.directions = hidden, directions
        self.weight = nn.Parameter(torch.randn(directions, 4 * hidden, inputs) / inputs**0.5)
        self.recurrence = nn.Parameter(torch.randn(directions, 4 * hidden, hidden) / hidden**0.5)
        self.bias = nn.Parameter(torch.zeros(directions, 8 * hidden))

    def forward(self, x: Tensor) -> Tensor:
        """[length, batch, inputs] to [length, batch, directions × hidden]."""
        if not is_in_onnx_export():
            return self.compute(x)
        y = ops.symbolic(
            "LSTM",
            (x, self.weight, self.recurrence, self.bias),
            {
                "direction": "bidirectional" if self.directions == 2 else "forward",
                "hidden_size": self.hidden,
            },
            dtype=x.dtype,
            shape=(x.shape[0], self.directions, x.shape[1], self.hidden),
            version=14,
        )
        return y.squeeze(1) if self.directions == 1 else y.transpose(1, 2).flatten(2)

    def compute(self, x: Tensor) -> Tensor:
        """The same by torch's own layer."""
        layer = nn.LSTM(x.shape[2], self.hidden, bidirectional=self.directions == 2)
        own = list(layer.parameters())
        for number in range(self.directions):
            biases = self.bias[number].chunk(2)
            given = (self.weight[number], self.recurrence[number], *biases)
            for parameter, values in zip(own[4 * number :], given, strict=False):
                gates = values.chunk(4)
                parameter.data = torch.cat([gates[gate] for gate in _ORDER])
        result: Tensor = layer(x)[0]
        return result
