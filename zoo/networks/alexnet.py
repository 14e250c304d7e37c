"""AlexNet for images of 32×32: Krizhevsky 2014, as pytorch-classification has it.

The widths are those of torchvision's AlexNet, which follows "One weird trick for parallelizing
convolutional neural networks". A 32×32 image leaves one pixel after the last pooling, on which
one fully connected layer stands instead of three.
"""

from __future__ import annotations

from torch import Tensor, nn


class AlexNetCifar(nn.Module):
    """Five convolutions, three of them pooled, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 11, stride=4, padding=5)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(256, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for module in self.children():
            x = module(x)
        return x


def alexnet_cifar10() -> nn.Module:
    """AlexNet for images of 32×32."""
    return AlexNetCifar()
