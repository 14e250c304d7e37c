"""Two convolutions for images of 28×28: the benchmark network of Fashion-MNIST.

Xiao, Rasul and Vollgraf 2017; the layers are those of `benchmark/convnet.py` in the data
set's repository.
"""

from __future__ import annotations

from torch import Tensor, nn


class FashionCnn(nn.Module):
    """Two pooled 5×5 convolutions and two fully connected layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(7 * 7 * 64, 1024)
        self.relu3 = nn.ReLU()
        self.logits = nn.Linear(1024, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def fashion_cnn() -> nn.Module:
    """The two-convolution network for Fashion-MNIST."""
    return FashionCnn()
