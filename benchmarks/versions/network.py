"""Networks in which one operator holds a tenth of the time, as ONNX files.

    python benchmarks/versions/network.py OUT.onnx [--convolutions 9]

An image is warped by a GridSample (bilinear, [2,3,256,256]) and goes through convolutions at full
size; their number says which share of the time the GridSample has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.networks.models import model, node, value, weight

BATCH, SIDE, CHANNELS = 2, 256, 16


def warped(convolutions: int = 9) -> onnx.ModelProto:
    """The network; its GridSample is called `warp`."""
    nodes = [
        node(
            "GridSample",
            ["image", "grid"],
            ["warped"],
            "warp",
            mode="bilinear",
            padding_mode="zeros",
            align_corners=0,
        )
    ]
    weights = []
    last = "warped"
    for number in range(convolutions):
        out = "y" if number == convolutions - 1 else f"t{number}"
        weights.append(weight(f"w{number}", CHANNELS, CHANNELS if number else 3, 3, 3, seed=number))
        name = f"conv{number}"
        nodes.append(node("Conv", [last, f"w{number}"], [out], name, pads=[1, 1, 1, 1]))
        last = out
    image = value("image", [BATCH, 3, SIDE, SIDE])
    grid = value("grid", [BATCH, SIDE, SIDE, 2])
    result = value("y", [BATCH, CHANNELS, SIDE, SIDE])
    return model(nodes, [image, grid], [result], weights, opset=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--convolutions", type=int, default=9)
    asked = parser.parse_args()
    asked.out.write_bytes(warped(asked.convolutions).SerializeToString())


if __name__ == "__main__":
    main()
