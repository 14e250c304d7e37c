"""Which layers a runtime usually computes in one step, by the table alone.

Only fusions that change what is in memory are looked for: a convolution takes in the
normalisation, sum and activation behind it, and constant subgraphs are computed while loading.
"""

from __future__ import annotations

from onnxprof.analysis.memory.tensors import Tensors
from onnxprof.records.layer import Layer, LayerTable

_HEADS = frozenset({"Conv"})
_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid"})
_JOINS = _ACTIVATIONS | {"BatchNormalization", "Add", "Sum", "Mul"}
#: Operators without inputs whose outputs are not constant.
_DRAWS = frozenset({"RandomNormal", "RandomUniform"})


def groups(table: LayerTable, tensors: Tensors) -> list[tuple[Layer, ...]]:
    """The layers of each step, in the order of the file; constant layers are left out."""
    made: list[list[Layer]] = []
    home: dict[str, int] = {}
    live = set(tensors.inputs)
    for layer in table.nodes:
        reads = [name for name in tensors.reads(layer) if name in live]
        if not reads and not layer.parent and layer.op_type not in _DRAWS:
            continue
        at = _joined(layer, reads, tensors, made, home)
        if at is None:
            at = len(made)
            made.append([])
        made[at].append(layer)
        for name, _ in tensors.outputs(layer):
            live.add(name)
            home[name] = at
    return [tuple(group) for group in made]


def is_flattened(layer: Layer) -> bool:
    """Whether onnxruntime may compute this product on two axes, between two Reshapes.

    It does so where a bias is added. The product is then a tensor of its own; as regions and blocks
    that were seen show, no later activation takes its buffer. Products without a bias are taken
    to be the same.
    """
    if layer.op_type != "MatMul" or layer.domain or len(layer.inputs) != 2:
        return False
    left, right = (tensor.shape for tensor in layer.inputs)
    return left is not None and right is not None and len(left) > len(right) == 2


def _joined(
    layer: Layer,
    reads: list[str],
    tensors: Tensors,
    made: list[list[Layer]],
    home: dict[str, int],
) -> int | None:
    """The group that the layer belongs to; None for one of its own."""
    if layer.domain or layer.op_type not in _JOINS:
        return None
    names = [name for name in reads if name in home]
    if (gated := _gated(layer, names, tensors, home)) is not None:
        return gated
    latest = max(names, key=home.__getitem__, default=None)
    if latest is None or tensors.readers(latest) > 1:
        return None
    group = made[home[latest]]
    if group[0].op_type not in _HEADS or group[0].domain or group[0].parent != layer.parent:
        return None
    kinds = [member.op_type for member in group]
    if layer.op_type in ("Add", "Sum") and len(names) > 1:
        fits = not any(kind in _ACTIVATIONS or kind in ("Add", "Sum") for kind in kinds)
    elif layer.op_type in ("Add", "Sum", "Mul", "BatchNormalization"):
        fits = len(names) == 1 and not any(kind in _ACTIVATIONS for kind in kinds)
    else:
        fits = not any(kind in _ACTIVATIONS for kind in kinds)
    return home[latest] if fits else None


def _gated(layer: Layer, names: list[str], tensors: Tensors, home: dict[str, int]) -> int | None:
    """The group of the Sigmoid whose input and output this Mul multiplies; None if it does not."""
    if layer.op_type != "Mul" or len(names) != 2:
        return None
    for name, other in (names, names[::-1]):
        gate = tensors.writer(name)
        if gate is not None and gate.op_type == "Sigmoid" and tensors.readers(name) == 1:
            return home[name] if tensors.reads(gate) == [other] else None
    return None
