"""The size that a tensor's rounding errors are relative to, which may be far above the values.

A Sigmoid of -12 is computed as 0.5 less nearly 0.5: the difference, some 1e-6, has the rounding
errors of 0.5. Operators that move, add or scale tensors pass such errors on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxprof.provenance.topology import GraphNode

#: Operators that subtract numbers near 1 from one another.
_NEAR_ONE = frozenset(
    {"Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Silu", "QuickGelu", "Gelu",
     "FastGelu", "BiasGelu", "Mish", "LSTM", "GRU"}
)  # fmt: skip
#: Operators whose results have the rounding errors of the largest input.
_HANDING_ON = frozenset(
    {"Add", "Sub", "Sum", "Relu", "LeakyRelu", "PRelu", "Clip", "Max",
     "Min", "Concat", "Reshape", "Transpose", "Slice", "Split", "Squeeze",
     "Unsqueeze", "Flatten", "Identity", "Gather", "Cast", "If", "MaxPool",
     "GlobalMaxPool", "ReduceMax", "Expand", "Pad"}
)  # fmt: skip
#: Operators that leave numbers as they are, give or take a rounding.
_SAME_NUMBERS = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Unsqueeze",
     "Flatten", "Transpose", "Cast", "If"}
)  # fmt: skip
_STEPS = 8


def origin(tensor: str, producers: Mapping[str, GraphNode]) -> str:
    """The earliest tensor with the same numbers, in another layout or before rounding."""
    node = producers.get(tensor)
    while node is not None and node.op_type in _SAME_NUMBERS and node.inputs:
        if node.op_type == "If" and len(node.outputs) > 1:
            break
        tensor = node.inputs[-1 if node.op_type == "If" else 0]
        node = producers.get(tensor)
    return tensor


def dequantised(tensor: str, producers: Mapping[str, GraphNode]) -> tuple[str, str]:
    """Output and input of the DequantizeLinear that gave a tensor the numbers; empty if none."""
    node = producers.get(tensor)
    while node is not None and node.op_type in _SAME_NUMBERS and node.inputs:
        if node.op_type == "DequantizeLinear":
            return node.outputs[0], node.inputs[0]
        if node.op_type in ("QuantizeLinear", "If"):
            break
        node = producers.get(node.inputs[0])
    return "", ""


def rounding_size(
    tensor: str,
    producers: Mapping[str, GraphNode],
    largest: Callable[[str], float],
    steps: int = _STEPS,
) -> float:
    """The size of the numbers that a tensor was computed from, as far as the layers tell.

    `largest` returns the largest value of a tensor, or 0 if it is not known.
    """
    own, node = largest(tensor), producers.get(tensor)
    if node is None or not steps:
        return own

    def behind(name: str) -> float:
        return rounding_size(name, producers, largest, steps - 1)

    if node.op_type in _NEAR_ONE:
        return max(own, 1.0)
    if node.op_type in _HANDING_ON:
        return max([own, *map(behind, node.inputs)])
    if node.op_type == "Mul" and len(node.inputs) == 2:
        one, other = node.inputs
        return max(own, behind(one) * largest(other), largest(one) * behind(other))
    return own
