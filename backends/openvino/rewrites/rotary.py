"""RotaryEmbedding with one position for all items, or with a part of each head turned.

The frontend's translation takes neither for what it is, and says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxprof.backends.openvino.rewrites.nodes import (
    MICROSOFT,
    Nodes,
    attributes_of,
    known_shape,
)
from onnxprof.records.layer import Tensor


def rotary(node: Any, tensors: Mapping[str, Tensor]) -> list[Any] | None:
    """The nodes in place of one; None where it is left to the frontend."""
    given = attributes_of(node)
    shape, places = (known_shape(tensors, node.input[i]) for i in (0, 1))
    if shape is None or places is None or given.get("is_packed_batching"):
        return None
    part, heads = given.get("rotary_embedding_dim", 0), given.get("num_heads", 0)
    width = shape[3] if len(shape) == 4 else shape[2] // heads if heads else 0
    offset = len(places) == 1
    if not offset and (not part or part == width):
        return None
    made = Nodes(node)
    positions = _positions(made, shape[2 if len(shape) == 4 else 1]) if offset else made.operand(1)
    if not part or part == width:
        _turn(made, made.operand(0), positions, given, node.output[0])
    elif len(shape) == 4:
        _partly(made, made.operand(0), positions, given, width, node.output[0])
    else:
        apart = made.add("Reshape", [made.operand(0), made.ints(0, 0, heads, width)])
        swapped = made.add("Transpose", [apart], perm=[0, 2, 1, 3])
        done = _partly(made, swapped, positions, given, width)
        back = made.add("Transpose", [done], perm=[0, 2, 1, 3])
        made.add("Reshape", [back, made.ints(0, 0, heads * width)], node.output[0])
    nodes: list[Any] = made.made
    return nodes


def _positions(made: Nodes, tokens: int) -> str:
    """[1, tokens] from the position of the first token."""
    steps = made.constant(np.arange(tokens, dtype=np.int64)[None])
    return made.add("Add", [made.operand(1), steps])


def _turn(made: Nodes, name: str, places: str, given: Mapping[str, Any], output: str = "") -> str:
    kept = {n: v for n, v in given.items() if n not in ("rotary_embedding_dim", "scale")}
    operands = [name, places, made.operand(2), made.operand(3)]
    return made.add("RotaryEmbedding", operands, output, MICROSOFT, **kept)


def _partly(
    made: Nodes, name: str, places: str, given: Mapping[str, Any], width: int, output: str = ""
) -> str:
    """[batch, heads, tokens, head] of which the first elements of each head are turned."""
    part = given["rotary_embedding_dim"]
    plain = {"interleaved": given.get("interleaved", 0)}
    front = _turn(made, made.slice(name, 0, part, 3), places, plain)
    return made.add("Concat", [front, made.slice(name, part, width, 3)], output, axis=3)
