"""The cost of each layer of a table, and their sum.

`costs(table)` needs nothing but a layer table, so it serves a model that was opened and a stored
run alike. Layers of a body are rows of their own: those of a Loop or Scan count as often as it
runs, of the branches of an If the one that costs more counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from onnxprof.cost.base.call import Call, SizesOf, Unknown, static_sizes
from onnxprof.cost.base.expression import Expression, Size, evaluate
from onnxprof.cost.base.work import Estimate, Work
from onnxprof.cost.parameters import by_layer
from onnxprof.cost.table import formula_of, why_not
from onnxprof.cost.traffic import Move, Moved, moves, summed
from onnxprof.records.cost import CostTotal, LayerCost, Operations, Role, Traffic, added
from onnxprof.records.layer import Layer, LayerKind, LayerTable

_NONE: Mapping[str, int] = MappingProxyType({})
_ODD = "its attributes or shapes do not fit its operator"


@dataclass(frozen=True, slots=True)
class Sized:
    """A layer's cost in one run, in sizes that may be expressions."""

    layer: Layer
    work: Work | None
    moves: tuple[Move, ...]
    unknown: str = ""
    bound: str = ""

    @property
    def moved(self) -> Moved:
        """Bytes read and written by role and dtype."""
        return summed(self.moves)


def costs(table: LayerTable) -> tuple[LayerCost, ...]:
    """The cost of every layer that is a node, in the table's order."""
    sized = sized_layers(table, static_sizes)
    parameters = by_layer(table)
    times = run_times({layer.name: layer for layer in table.nodes})
    once = [in_numbers(one, times[one.layer.name], parameters) for one in sized]
    return without_lesser_branches(once, table.nodes)


def sized_layers(table: LayerTable, sizes: SizesOf) -> list[Sized]:
    """Work and bytes of one run of every layer that is a node."""
    weights = stored(table)
    return [_sized(layer, weights, sizes) for layer in table.nodes]


def stored(table: LayerTable) -> set[str]:
    """Names of the tensors that are stored in the file, and of other views of them."""
    given = (LayerKind.INITIALIZER, LayerKind.SHAPE_OPERAND)
    names = {layer.name for layer in table if layer.kind in given}
    for layer in table.nodes:
        constant = layer.op_type == "Constant" and not layer.domain
        same = layer.op_type in ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
        if constant or (same and layer.inputs and layer.inputs[0].name in names):
            names.update(tensor.name for tensor in layer.outputs)
    return names


def _sized(layer: Layer, weights: set[str], sizes: SizesOf) -> Sized:
    call = Call(layer, sizes)
    estimate, unknown = _estimate(call)
    found, missing = moves(call, estimate or Estimate(), weights, sizes)
    return Sized(
        layer,
        estimate.work if estimate else None,
        tuple(found),
        unknown or missing,
        estimate.bound if estimate else "",
    )


def _estimate(call: Call) -> tuple[Estimate | None, str]:
    """The operator's estimate, or why there is none."""
    layer = call.layer
    formula = formula_of(layer.op_type, layer.domain)
    if formula is None:
        return None, why_not(layer.op_type, layer.domain)
    try:
        work = formula(call)
    except Unknown as error:
        return None, str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None, _ODD
    estimate = work if isinstance(work, Estimate) else Estimate(work)
    if _reads_nothing(layer):
        estimate = replace(estimate, work=Work(*map(_at_least_none, estimate.work.kinds())))
    return (estimate, "") if all(map(_is_count, estimate.work.kinds())) else (None, _ODD)


def _reads_nothing(layer: Layer) -> bool:
    """Whether a tensor that it reads has no element: one fewer than that is no operation."""
    return any(tensor.shape is not None and 0 in tensor.shape for tensor in layer.inputs)


def _at_least_none(size: Size) -> Size:
    return max(size, 0) if isinstance(size, int) else size


def _is_count(size: Size) -> bool:
    """Whether it is a number of operations: shapes that do not belong together make others."""
    return isinstance(size, Expression) or (isinstance(size, int) and size >= 0)


@dataclass(frozen=True, slots=True)
class Times:
    """How often a layer runs in an inference."""

    count: Size | None
    bound: str = ""


def run_times(layers: Mapping[str, Layer], sizes: SizesOf = static_sizes) -> dict[str, Times]:
    """Runs of every layer by name: the product of the trips of the loops that it is in."""
    found: dict[str, Times] = {"": Times(1)}
    trips: dict[str, Times] = {}
    for name, layer in layers.items():
        if layer.parent not in trips:
            trips[layer.parent] = _trips(layers.get(layer.parent), found, sizes)
        found[name] = trips[layer.parent]
    return found


def _trips(parent: Layer | None, found: Mapping[str, Times], sizes: SizesOf) -> Times:
    """How often the bodies of a layer run in an inference."""
    if parent is None:
        return Times(1)
    outer = found.get(parent.name, Times(None))
    call = Call(parent, sizes)
    try:
        own = _RUNS.get(parent.op_type, _once)(call)
    except (Unknown, LookupError, ValueError):
        own = Times(None)
    if outer.count is None or own.count is None:
        return Times(None)
    return Times(outer.count * own.count, outer.bound or own.bound)


def _once(_: Call) -> Times:
    return Times(1)


def _unknown_times(_: Call) -> Times:
    return Times(None)


def _loop_trips(call: Call) -> Times:
    """The length of what it stacks; else its largest count, which its condition may cut short."""
    states = len(call.inputs) - 2
    for position in range(states, len(call.outputs)):
        try:
            return Times(call.out(position)[0])
        except Unknown:
            continue
    most = call.value(0)
    if not most:
        return Times(None)
    return Times(max(most[0], 0), "the loop may end before its largest count")


def _scan_trips(call: Call) -> Times:
    """The length of its first scanned input."""
    scanned = call.required("num_scan_inputs")
    first = len(call.inputs) - scanned
    axes = call.integers("scan_input_axes")
    shape = call.shape(first)
    old = call.layer.opset < 9  # opset 8: [batch, length, …], once for each item
    return Times(shape[0] * shape[1] if old else shape[axes[0] if axes else 0])


_RUNS = {"Loop": _loop_trips, "Scan": _scan_trips, "SequenceMap": _unknown_times}


def in_numbers(
    sized: Sized, times: Times, parameters: Mapping[str, int], sizes: Mapping[str, int] = _NONE
) -> LayerCost:
    """A layer's cost at sizes of the axes that its expressions have."""
    name, op_type = sized.layer.name, sized.layer.op_type
    count = None if times.count is None else evaluate(times.count, sizes)
    runs = 1 if count is None else count
    work = sized.work
    operations = None
    if work is not None:
        operations = Operations(*(evaluate(kind, sizes) * runs for kind in work.kinds()))
    traffic = tuple(
        Traffic(role, dtype, evaluate(read, sizes) * runs, evaluate(written, sizes) * runs)
        for (role, dtype), (read, written) in sized.moved.items()
    )
    unknown, bound = sized.unknown, sized.bound or times.bound
    if count is None:
        unknown = unknown or "how often it runs is unknown"
    return LayerCost(
        name, op_type, operations, traffic, parameters.get(name, 0), unknown, bound, count
    )


def without_lesser_branches(
    found: list[LayerCost], layers: Iterable[Layer]
) -> tuple[LayerCost, ...]:
    """Layers of the branch of an If that costs less say that totals leave them out."""
    by_name = {cost.layer: at for at, cost in enumerate(found)}
    inside = _inside(layers)
    # inner ones first, so that an outer branch is weighed by what counts in it
    for owner in reversed(list(inside)):
        branches = inside[owner]
        at = by_name.get(owner)
        if at is None or found[at].op_type != "If" or len(branches) < 2:
            continue
        kept = max(branches, key=lambda name: _weight(found[by_name[n]] for n in branches[name]))
        for branch, names in branches.items():
            if branch == kept:
                continue
            reason = f"{kept} of {owner} costs more, one of the two runs"
            for name in names:
                at = by_name[name]
                if not found[at].left_out:
                    found[at] = replace(found[at], left_out=reason)
    return tuple(found)


def _inside(layers: Iterable[Layer]) -> dict[str, dict[str, list[str]]]:
    """Names of all layers below each body of each layer that has bodies."""
    places: dict[str, tuple[tuple[str, str], ...]] = {"": ()}
    found: dict[str, dict[str, list[str]]] = {}
    for layer in layers:
        above = places.get(layer.parent, ())
        place = (*above, (layer.parent, layer.subgraph)) if layer.parent else ()
        places[layer.name] = place
        for owner, body in place:
            found.setdefault(owner, defaultdict(list))[body].append(layer.name)
    return found


def _weight(found: Iterable[LayerCost]) -> tuple[int, int]:
    """FLOPs and bytes of the layers that count."""
    counted = [cost for cost in found if not cost.left_out]
    flops = sum(cost.operations.flops for cost in counted if cost.operations)
    return flops, sum(cost.bytes for cost in counted)


def total(found: Iterable[LayerCost]) -> CostTotal:
    """The sum over layers, without the branches that are left out."""
    every = list(found)
    counted = [cost for cost in every if not cost.left_out]
    moves: dict[tuple[Role, str], tuple[int, int]] = {}
    for part in (part for cost in counted for part in cost.traffic):
        read, written = moves.get((part.role, part.dtype), (0, 0))
        moves[part.role, part.dtype] = (read + part.read_bytes, written + part.written_bytes)
    unknown = tuple((cost.layer, cost.unknown) for cost in counted if cost.unknown)
    bounded = [cost for cost in counted if cost.bound]
    return CostTotal(
        added(cost.operations for cost in counted if cost.operations),
        tuple(Traffic(*key, *moves[key]) for key in sorted(moves)),
        sum(cost.parameters for cost in every),
        len(counted),
        bool(unknown),
        any(cost.operations is None or cost.times is None for cost in counted),
        unknown,
        tuple((cost.layer, cost.bound) for cost in bounded),
        added(cost.operations for cost in bounded if cost.operations),
        sum(cost.bytes for cost in bounded),
    )
