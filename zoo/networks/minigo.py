"""MiniGo's network for 9×9 boards, of MLPerf Training: AlphaGo Zero's tower, made small.

Blocks and widths are the reference's (mlcommons/training, reinforcement/tensorflow/minigo,
`dual_net.py`: as many blocks as the board has rows, 32 filters, 64 in the value head), layers
those of the methods section of Silver et al. 2017.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

BOARD, PLANES, BLOCKS, WIDTH, HIDDEN = 9, 17, 9, 32, 64


def _convolution(inputs: int, outputs: int, kernel: int, *, affine: bool = True) -> nn.Sequential:
    """A convolution and its batch norm; the reference keeps the convolution's bias, too."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            norm=nn.BatchNorm2d(outputs, affine=affine),
        )
    )


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = _convolution(WIDTH, WIDTH, 3)
        self.relu1 = nn.ReLU()
        self.block2 = _convolution(WIDTH, WIDTH, 3)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(x + self.block2(self.relu1(self.block1(x))))


class MiniGo(nn.Module):
    """A residual tower with two heads: what to play, and who wins."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(PLANES, WIDTH, 3), nn.ReLU())
        self.tower = nn.Sequential(*(Residual() for _ in range(BLOCKS)))
        points = BOARD * BOARD
        self.policy = nn.Sequential(
            OrderedDict(
                block=_convolution(WIDTH, 2, 1, affine=False),
                relu=nn.ReLU(),
                flatten=nn.Flatten(),
                # Every point, and to pass.
                moves=nn.Linear(2 * points, points + 1),
                softmax=nn.Softmax(1),
            )
        )
        self.value = nn.Sequential(
            OrderedDict(
                block=_convolution(WIDTH, 1, 1, affine=False),
                relu1=nn.ReLU(),
                flatten=nn.Flatten(),
                hidden=nn.Linear(points, HIDDEN),
                relu2=nn.ReLU(),
                winner=nn.Linear(HIDDEN, 1),
                tanh=nn.Tanh(),
            )
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = self.tower(self.stem(planes))
        return self.policy(x), self.value(x)


def minigo() -> nn.Module:
    """The 9×9 network of MLPerf Training's reference."""
    return MiniGo()
