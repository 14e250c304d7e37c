"""What a step of a run has to do: operations and bytes of its layers, fused as they ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from onnxprof.cost.base.call import Unknown, static_sizes
from onnxprof.cost.base.expression import product
from onnxprof.cost.count import costs
from onnxprof.cost.traffic import size_bytes
from onnxprof.records.cost import LayerCost, Role
from onnxprof.records.elements.table import is_computed_in
from onnxprof.records.layer import Layer, LayerTable, Tensor
from onnxprof.records.step import Step

#: Parts of the names of operators that compute with integers of 8 bits or fewer.
_QUANTISED = ("QLinear", "Integer", "Quant", "NBits", "Bnb4", "QGemm", "QAttention", "QMoE")


@dataclass(frozen=True, slots=True)
class Work:
    """What a step, or a single layer, has to compute and to move at the least."""

    flops: int | None
    """Operations of all its layers, a multiply-accumulate as two; None where one is not known."""
    bytes: int | None
    """Bytes of weights and of tensors that enter or leave it; None where one is not known."""
    least_flops: int = 0
    """What no fusion takes away: multiply-accumulates, or all operations where there are none."""
    least_bytes: int = 0
    """The bytes that are known and do not depend on data."""
    macs: int = 0
    precision: str = ""
    unknown: str = ""
    """Why something is not known; empty where all is. Bounds are then `at least`."""

    @property
    def intensity(self) -> float | None:
        """Operations a byte; None where either is not known, or no byte moves."""
        return self.flops / self.bytes if self.flops is not None and self.bytes else None


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a table's layers, with what is needed to add them up for steps."""

    layers: Mapping[str, Layer]
    costs: Mapping[str, LayerCost]
    readers: Mapping[str, tuple[str, ...]]
    """From a tensor to the layers that read it."""


def counted(table: LayerTable) -> Costs:
    """The cost of each layer that is a node."""
    nodes = table.nodes
    readers: dict[str, list[str]] = defaultdict(list)
    for layer in nodes:
        for tensor in layer.inputs:
            readers[tensor.name].append(layer.name)
    return Costs(
        {layer.name: layer for layer in nodes},
        {cost.layer: cost for cost in _costs(table)},
        {name: tuple(dict.fromkeys(names)) for name, names in readers.items()},
    )


def _costs(table: LayerTable) -> Iterable[LayerCost]:
    """The costs; of a stored table whose layers do not fit together none is known."""
    try:
        return costs(table)
    except (LookupError, ArithmeticError, ValueError, TypeError, AssertionError):
        reason = "the layers of its table do not fit together"
        return [LayerCost(each.name, each.op_type, None, unknown=reason) for each in table.nodes]


def work_of(step: Step, known: Costs, views: frozenset[str] = frozenset()) -> Work | None:
    """What a step has to do; None for a step without layers.

    A layer that was computed together with an equal one counts once. Operators in `views` need not
    move what they yield: a step of nothing else has no least number of bytes.
    """
    shared = frozenset(step.shared)
    names = [name for name in step.layers if name in known.costs and name not in shared]
    if not names:
        return None
    work = _together(names, known, step.op_type)
    is_view = all(known.costs[name].op_type in views for name in names)
    return replace(work, least_bytes=0) if is_view else work


def work_of_layer(name: str, known: Costs) -> Work:
    """What one layer has to do by itself."""
    return _together([name], known, known.costs[name].op_type)


def _together(names: list[str], known: Costs, executed: str) -> Work:
    parts = [known.costs[name] for name in names]
    exact = [part for part in parts if not part.bound]
    unknown = next(
        (part.unknown or part.bound for part in parts if part.at_least or part.bound), ""
    )
    macs = sum(part.operations.macs for part in exact if part.operations)
    flops = sum(part.operations.flops for part in parts if part.operations)
    least = sum(part.operations.flops for part in exact if part.operations)
    moved = max(0, sum(part.bytes for part in parts) - _inside(names, known))
    surely = max(0, moved - sum(part.bytes for part in parts if part.bound))
    return Work(
        flops=None if any(not part.modelled or part.times is None for part in parts) else flops,
        bytes=None if any(part.at_least for part in parts) else moved,
        least_flops=2 * macs or least,
        least_bytes=surely,
        macs=macs,
        precision=_precision(parts, executed),
        unknown=unknown,
    )


def _inside(names: list[str], known: Costs) -> int:
    """Bytes of tensors that the layers hand to one another, which a fused step does not move."""
    if len(names) == 1:
        return 0
    members = frozenset(names)
    saved = 0
    for name in names:
        for tensor in known.layers[name].outputs:
            readers = known.readers.get(tensor.name, ())
            moving = [r for r in readers if r in members and known.costs[r].traffic]
            if not moving:
                continue
            size = _bytes_of(tensor) * (known.costs[name].times or 1)
            stays = len(moving) == len(readers) and known.costs[name].traffic
            saved += size * (len(moving) + bool(stays))
    return saved


def _bytes_of(tensor: Tensor) -> int:
    try:
        size = size_bytes(product(static_sizes(tensor)), tensor)
    except Unknown:
        return 0
    return size if isinstance(size, int) else 0


def _precision(parts: Iterable[LayerCost], executed: str) -> str:
    """The dtype that the arithmetic is counted under: `int8` for anything quantised."""
    every = list(parts)
    names = [executed, *(part.op_type for part in every)]
    if any(mark in name for name in names for mark in _QUANTISED):
        return "int8"
    sizes: dict[str, int] = defaultdict(int)
    for part in every:
        for traffic in part.traffic:
            if is_computed_in(traffic.dtype) and traffic.role is not Role.STATE:
                sizes[traffic.dtype] += traffic.read_bytes + traffic.written_bytes
    return max(sizes, key=lambda dtype: sizes[dtype], default="")
