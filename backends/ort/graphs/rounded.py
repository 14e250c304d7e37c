"""The last layer of a node that computes in integers: the QuantizeLinear behind its layer.

onnxruntime fuses a layer between DequantizeLinear and QuantizeLinear into one operator on
integers (QLinearConv), or runs the layer itself on integers where that changes no number
(MaxPool, Unsqueeze). Both yield the result of the QuantizeLinear, whatever their name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxprof.backends.ort.graphs.earlier import Earlier
from onnxprof.provenance.topology import GraphNode

#: Operators that the runtime drops since rounding does their work, or since they change no number.
_DROPPED = frozenset(
    {"Relu", "Clip", "Identity", "Dropout", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
)
_BETWEEN = 4
#: A QGemm with so many inputs yields integers, by a scale and a zero point; with fewer, reals.
_ROUNDING_QGEMM = 8


def rounded(
    node: GraphNode, tensors: tuple[str, ...], earlier: Earlier, carried: Mapping[str, str]
) -> tuple[str, ...]:
    """The tensors, each with the QuantizeLinear behind it if the node yields integers."""
    named, constant = {*node.outputs} & {*tensors}, earlier.constant & {*tensors}
    maker = earlier.produced[tensors[0]]
    if named or constant or not _yields_integers(node, maker, earlier, carried):
        return tensors
    read = {carried.get(name, "") for name in node.inputs}
    ends = [_end(name, earlier, read) for name in tensors]
    return tuple(ends) if all(ends) else tensors


def _yields_integers(
    node: GraphNode, maker: GraphNode, earlier: Earlier, carried: Mapping[str, str]
) -> bool:
    if maker.op_type.startswith("QLinear") or maker.op_type in ("QuantizeLinear", "QGemm"):
        return False  # the earlier form has integers as well
    if node.op_type == "QGemm":
        return len(node.inputs) >= _ROUNDING_QGEMM
    if node.op_type.startswith("QLinear"):
        return True
    if node.op_type != maker.op_type or not node.inputs or not maker.inputs:
        return False
    reads, read = carried.get(node.inputs[0], ""), earlier.produced.get(maker.inputs[0])
    return read is not None and read.op_type == "DequantizeLinear" and _is_rounded(reads, earlier)


def _is_rounded(tensor: str, earlier: Earlier) -> bool:
    maker = earlier.produced.get(tensor)
    return maker is not None and maker.op_type == "QuantizeLinear"


def _end(tensor: str, earlier: Earlier, read: set[str]) -> str:
    """The nearest result of a QuantizeLinear of this tensor whose scale is in `read`."""
    for _ in range(_BETWEEN):
        readers = earlier.readers.get(earlier.one(tensor), ())
        quantizers = [reader for reader in readers if reader.op_type == "QuantizeLinear"]
        if quantizers:
            return _chosen(quantizers, earlier, read)
        if len(readers) != 1 or readers[0].op_type not in _DROPPED:
            return ""
        tensor = readers[0].outputs[0]
    return ""


def _chosen(quantizers: Sequence[GraphNode], earlier: Earlier, read: set[str]) -> str:
    def known(node: GraphNode) -> int:
        return sum(earlier.one(name) in read for name in node.inputs[1:])

    best = max(quantizers, key=known)
    return best.outputs[0] if known(best) or len(quantizers) == 1 else ""
