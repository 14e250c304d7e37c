"""torch modules to ONNX, through torch's dynamo exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto


def to_proto(
    module: Any,
    inputs: Mapping[str, Any],
    *,
    axes: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str] = (),
    opset: int = 20,
) -> ModelProto:
    """The ONNX graph of a torch module, traced on example tensors (by the names of `forward`).

    `axes` names the symbolic axes of each input. Weights stay in the graph as initializers;
    module scopes become names of layers; nothing tells of this machine's folders.
    """
    raise NotImplementedError
