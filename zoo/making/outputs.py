"""Tensors between the layers as outputs of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnx import GraphProto, ValueInfoProto

from onnxprof.zoo.making.wire import header

_GRAPH = 7


def append_outputs(path: Path, names: Sequence[str]) -> None:
    """Make tensors outputs by appending to the file: protobuf merges a repeated message."""
    more = GraphProto(output=[ValueInfoProto(name=name) for name in names])
    payload = more.SerializeToString()
    with path.open("ab") as file:
        file.write(header(_GRAPH, len(payload)) + payload)
