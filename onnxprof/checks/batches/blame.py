"""The first layer at which a batch is no longer the same as its items run one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from onnxprof.checks.batches.lab import Lab, Values
from onnxprof.checks.batches.layouts import is_touched, part, placements
from onnxprof.model.file import batch_axes
from onnxprof.model.rebatch.trace import dependent

#: Operators that quantise by the range of their input tensor.
DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
#: Operators that put the batch behind another axis on purpose.
_REORDERING = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Einsum")


def text(node: NodeProto, what: str) -> str:
    """`layer NAME (OPERATOR): what`, where `what` says how it treats the batch."""
    return f"layer {node.name} ({node.op_type}): {what}"


def touched(lab: Lab, runs: Sequence[Values], item: int, names: Sequence[str]) -> list[str]:
    """Names of those tensors in which replacing an item changed the values of other items.

    `runs` are one at the file's own batch, one at twice that, and the latter with the item
    replaced. Tensors whose size depends on data (NonZero, …) are left out.
    """
    one, both, other = runs
    changed = []
    for name in names:
        if name not in one or name not in both or not _is_static(lab, name):
            continue
        if is_touched(both[name], other[name], one[name].shape, lab.own, 2 * lab.own, item):
            changed.append(name)
    return changed


def _is_static(lab: Lab, name: str) -> bool:
    tensor = lab.tensors.get(name)
    return tensor is None or tensor.is_static


def first_touched(lab: Lab, outputs: Sequence[str], item: int, spare: int) -> NodeProto | None:
    """The first layer that these outputs depend on and in which an item changes others."""
    own, pair = list(range(lab.own)), list(range(2 * lab.own))
    other = [spare if index == item else index for index in pair]

    def meets(nodes: Sequence[NodeProto]) -> NodeProto | None:
        names = [name for node in nodes for name in node.output if name]
        runs = [lab.run(items, names) for items in (own, pair, other)]
        met = set(touched(lab, runs, item, names))
        return next((node for node in nodes if met.intersection(node.output)), None)

    return _first(lab, outputs, meets)


def _first(
    lab: Lab, outputs: Sequence[str], search: Callable[[Sequence[NodeProto]], NodeProto | None]
) -> NodeProto | None:
    for share in lab.shares(lab.behind(outputs)):
        if (node := search(share)) is not None:
            return node
    return None


def first_unlike(
    lab: Lab,
    outputs: Sequence[str],
    batch: int,
    differs: Callable[[NDArray[Any], NDArray[Any], str], bool],
) -> NodeProto | None:
    """The first layer that these outputs depend on and whose values for the first items differ.

    `differs` compares a layer's output at the file's own batch with the same items' part of its
    output at `batch`.
    """
    moving = dependent(lab.model.nodes, batch_axes(lab.model, lab.dims))
    count = min(lab.own, batch)

    def unlike(nodes: Sequence[NodeProto]) -> NodeProto | None:
        names = [name for node in nodes for name in node.output if name in moving]
        one, many = (lab.run(range(size), names) for size in (lab.own, batch))
        for node in nodes:
            for name in (n for n in node.output if n in one and n in many and _is_static(lab, n)):
                a, b = one[name], many[name]
                fits = placements(a.shape, lab.own, b.shape, batch)
                pairs = [
                    (part(a, at, lab.own, 0, count), part(b, at, batch, 0, count)) for at in fits
                ]
                same = [(a, b)] if a.shape == b.shape else pairs
                if all(differs(*pair, name) for pair in same):
                    return node
        return None

    return _first(lab, outputs, unlike)


def first_interleaved(
    lab: Lab, outputs: Sequence[str], differs: Callable[[NDArray[Any], NDArray[Any], str], bool]
) -> NodeProto | None:
    """The first layer in whose output items are no longer contiguous along their axis.

    None where that layer only moves axes, as from [batch, time] to [time, batch].
    """
    moving = dependent(lab.model.nodes, batch_axes(lab.model, lab.dims))

    def apart(nodes: Sequence[NodeProto]) -> NodeProto | None:
        names = [name for node in nodes for name in node.output if name in moving]
        one, many = (lab.run(range(size), names) for size in (lab.own, 2 * lab.own))
        for node in nodes:
            for name in (n for n in node.output if n in one and n in many):
                fits = placements(one[name].shape, lab.own, many[name].shape, 2 * lab.own)
                good = [
                    at
                    for at in fits
                    if not differs(
                        part(one[name], at, lab.own, 0, lab.own),
                        part(many[name], at, 2 * lab.own, 0, lab.own),
                        name,
                    )
                ]
                if good and good[0].outer > 1:
                    return node
        return None

    node = _first(lab, outputs, apart)
    return None if node is None or node.op_type in _REORDERING else node


def fixed_quantisation(values: Values, nodes: Sequence[NodeProto]) -> Callable[[ModelProto], None]:
    """A change of a graph: DynamicQuantizeLinear gets fixed scales and zero points, of `values`."""
    known: Mapping[str, tuple[Any, Any]] = {
        node.output[0]: (values[node.output[1]], values[node.output[2]])
        for node in nodes
        if node.op_type == DYNAMIC[0] and all(name in values for name in node.output[1:3])
    }

    def change(model: ModelProto) -> None:
        for node in model.graph.node:
            if node.op_type != DYNAMIC[0] or node.output[0] not in known:
                continue
            names, data, made = list(node.output[1:3]), node.input[0], node.output[0]
            for name, array in zip(names, known[made], strict=True):
                model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(array), name))
            plain = onnx.helper.make_node("QuantizeLinear", [data, *names], [made], node.name)
            node.CopyFrom(plain)

    return change
