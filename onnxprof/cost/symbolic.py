"""Costs as expressions in the sizes of a model's free axes.

The layer table is made at a few sizes of each axis. Every size of every tensor then becomes an
expression (see `onnxprof.cost.fit`), and the formulas of `onnxprof.cost.operators` are applied to
those. A size that no expression yields at all points is not known, and neither is what depends on
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from onnxprof.cost.base.call import Sizes, Unknown, static_sizes
from onnxprof.cost.base.expression import Size, names_in_python, product
from onnxprof.cost.base.work import Work
from onnxprof.cost.count import (
    Sized,
    Times,
    in_numbers,
    run_times,
    sized_layers,
    without_lesser_branches,
)
from onnxprof.cost.fit import BATCH, Axis, Fitter, Plan, Point, Seen
from onnxprof.cost.parameters import by_layer
from onnxprof.cost.traffic import Moved
from onnxprof.errors import ModelError
from onnxprof.records.cost import LayerCost
from onnxprof.records.layer import Layer, LayerTable, Tensor

#: The layer table at sizes of all axes.
TableAt = Callable[[Point], LayerTable]
#: More axes than this take too many points.
MOST_AXES = 6
_REMEDY = "Give sizes with --dim, and leave out --symbolic"


@dataclass(frozen=True, slots=True)
class SymbolicLayer:
    """One layer's cost in an inference as expressions."""

    sized: Sized
    times: Times
    parameters: int
    left_out: str = ""
    """Why the sum leaves it out: at the sizes of the base, another branch costs more."""

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.sized.layer.name

    @property
    def work(self) -> Work | None:
        """Operations of all its runs; None where they are unknown."""
        work, times = self.sized.work, self.times.count
        return None if work is None else work * (1 if times is None else times)

    @property
    def moved(self) -> Moved:
        """Bytes read and written in all its runs, by role and dtype."""
        times = 1 if self.times.count is None else self.times.count
        return {key: (r * times, w * times) for key, (r, w) in self.sized.moved.items()}

    @property
    def unknown(self) -> str:
        """Why figures are missing; empty where none are."""
        if self.times.count is None:
            return self.sized.unknown or "how often it runs is unknown"
        return self.sized.unknown

    @property
    def bound(self) -> str:
        """Why its figures are the most that it can be; empty where they are exact, or none."""
        computes = self.work is not None and self.work.flops != 0
        some = computes or any(size != 0 for way in self.moved.values() for size in way)
        return (self.sized.bound or self.times.bound) if some else ""


@dataclass(frozen=True, slots=True)
class SymbolicCost:
    """The cost of every layer of a model as expressions."""

    axes: tuple[Axis, ...]
    layers: tuple[SymbolicLayer, ...]
    obstacle: str = ""
    """Why the batch is none of the axes; empty where it is one."""

    def at(self, sizes: Point) -> tuple[LayerCost, ...]:
        """The cost at sizes of all axes, as `costs` counts it on the table at those sizes.

        An axis goes by its name in the expressions, or by that in the file.
        """
        own = {axis.name: sizes[axis.source] for axis in self.axes if axis.source in sizes}
        sizes = {**sizes, **own}
        found = [
            in_numbers(one.sized, one.times, {one.name: one.parameters}, sizes)
            for one in self.layers
        ]
        return without_lesser_branches(found, [one.sized.layer for one in self.layers])

    def work(self) -> Work:
        """The sum over layers of what is known."""
        total = Work()
        for one in self.layers:
            if one.work is not None and not one.left_out:
                total = total + one.work
        return total

    def bytes(self) -> tuple[Size, Size]:
        """Bytes read and written, summed over layers."""
        read: Size = 0
        written: Size = 0
        for one in self.layers:
            if not one.left_out:
                read = read + sum_of(r for r, _ in one.moved.values())
                written = written + sum_of(w for _, w in one.moved.values())
        return read, written

    def unknown(self) -> list[tuple[str, str]]:
        """(layer, reason) of what is missing in the sums."""
        return [(o.name, o.unknown) for o in self.layers if o.unknown and not o.left_out]

    def bounds(self) -> list[tuple[str, str]]:
        """(layer, reason) of those of which the most that they can cost is in the sums."""
        return [(o.name, o.bound) for o in self.layers if o.bound and not o.left_out]


def sum_of(sizes: object) -> Size:
    """The sum of sizes; 0 for none."""
    total: Size = 0
    for size in sizes:  # type: ignore[attr-defined]
        total = total + size
    return total


def symbolic(table_at: TableAt, axes: Mapping[str, int]) -> SymbolicCost:
    """Costs in these axes, each given with a usual size. Raises ModelError for too many axes.

    Also where the graph has other layers at other sizes.
    """
    if len(axes) > MOST_AXES:
        raise ModelError(f"has {len(axes)} free axes, {MOST_AXES} at most", remedy=_REMEDY)
    names = names_in_python(axes)
    sources = {name: source for source, name in names.items()}
    axes = {names[source]: base for source, base in axes.items()}
    tables = _Tables(lambda sizes: table_at({sources[name]: n for name, n in sizes.items()}))
    varied = tuple(
        Axis(name, base, tables.step(axes, name), source="" if name == source else source)
        for (name, base), source in zip(axes.items(), names, strict=True)
    )
    expressed = _Expressed(tables, Plan.of(varied))
    if expressed.missing and (wide := _windowed(varied)) != varied:
        varied = wide
        expressed = _Expressed(tables, Plan.of(varied))
    table = expressed.table
    sized = sized_layers(table, expressed.sizes)
    times = run_times({layer.name: layer for layer in table.nodes}, expressed.sizes)
    parameters = by_layer(table)
    layers = [SymbolicLayer(s, times[s.layer.name], parameters.get(s.layer.name, 0)) for s in sized]
    whole = SymbolicCost(varied, tuple(layers))
    outside = {cost.layer: cost.left_out for cost in whole.at(axes)}
    return replace(whole, layers=tuple(replace(o, left_out=outside[o.name]) for o in layers))


def _windowed(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    return tuple(replace(a, window=a.name != BATCH and a.step == 1) for a in axes)


class _Tables:
    """Layer tables by sizes, each made once."""

    def __init__(self, table_at: TableAt) -> None:
        self._table_at = table_at
        self._made: dict[tuple[tuple[str, int], ...], LayerTable] = {}

    def at(self, sizes: Point) -> LayerTable:
        key = tuple(sizes.items())
        if key not in self._made:
            self._made[key] = self._table_at(sizes)
        return self._made[key]

    def step(self, axes: Mapping[str, int], name: str) -> int:
        """1, or the power of two that sizes must be multiples of so that no shape gets lost."""
        base = axes[name]
        whole = _known(self.at(axes))
        if name == BATCH or _known(self.at({**axes, name: base + 1})) >= whole:
            return 1
        step = min(base & -base, 64) or 1
        return step if _known(self.at({**axes, name: base + step})) >= whole else 1


def _known(table: LayerTable) -> int:
    return sum(t.is_static for layer in table.nodes for t in layer.outputs)


class _Expressed:
    """Sizes of the base table's tensors as expressions."""

    def __init__(self, tables: _Tables, plan: Plan) -> None:
        every = [tables.at(dict(point)) for point in plan.points]
        self._fitter = Fitter(plan)
        self._sizes: dict[Tensor, tuple[Size | None, ...]] = {}
        self.missing = 0
        """Sizes that are known at the base and fit no expression."""
        self.table = replace(every[0], layers=self._layers(every))

    def sizes(self, tensor: Tensor) -> Sizes:
        """Sizes of a tensor. Raises Unknown."""
        static_sizes(tensor)
        found = self._sizes[tensor]
        if None in found:
            raise Unknown(f"the shape of {tensor.name} is no expression in the free axes")
        return found  # type: ignore[return-value]

    def _layers(self, tables: Sequence[LayerTable]) -> tuple[Layer, ...]:
        """The base's layers, without the values that differ from size to size."""
        if len({tuple((a.name, a.op_type) for a in table) for table in tables}) > 1:
            raise ModelError("has other layers at other sizes", remedy=_REMEDY)
        return tuple(self._layer(rows) for rows in zip(*tables, strict=True))

    def _layer(self, rows: Sequence[Layer]) -> Layer:
        inputs = [self._tensor(same, ()) for same in _across([row.inputs for row in rows])]
        operands = [self._sizes[tensor] for tensor in inputs]
        outputs = [self._tensor(same, operands) for same in _across([r.outputs for r in rows])]
        return replace(rows[0], inputs=tuple(inputs), outputs=tuple(outputs))

    def _tensor(
        self, same: Sequence[Tensor], operands: Sequence[tuple[Size | None, ...]]
    ) -> Tensor:
        first = same[0]
        if any(tensor.value != first.value for tensor in same):
            first = replace(first, value=None)
        if first not in self._sizes:
            self._sizes[first] = self._fit(same, operands)
        return first

    def _fit(
        self, same: Sequence[Tensor], operands: Sequence[tuple[Size | None, ...]]
    ) -> tuple[Size | None, ...]:
        shapes = [tensor.shape for tensor in same]
        if any(shape is None or len(shape) != len(shapes[0] or ()) for shape in shapes):
            return (None,)
        found: list[Size | None] = []
        for at, column in enumerate(zip(*(shape or () for shape in shapes), strict=True)):
            seen: Seen = tuple(size if isinstance(size, int) else None for size in column)
            made = self._fitter.fit(seen)
            if made is None and None not in seen:
                made = self._from_operands(seen, at, operands)
                self.missing += made is None
            found.append(made)
        return tuple(found)

    def _from_operands(
        self, seen: Seen, at: int, operands: Sequence[tuple[Size | None, ...]]
    ) -> Size | None:
        """A sum of the inputs' sizes along the axis, or a product of neighbouring sizes of one."""
        known = [[s for s in sizes if s is not None] for sizes in operands if None not in sizes]
        candidates: list[Size] = [sum_of(s[at] for s in known if at < len(s))]
        for sizes in known:
            ends = range(len(sizes) + 1)
            candidates += [product(sizes[i:j]) for i in ends for j in ends if j - i > 1]
        for size in candidates:
            if self._fitter.agrees(size, seen):
                self._fitter.accept(seen, size)
                return size
        return None


def _across(lists: Sequence[Sequence[Tensor]]) -> list[tuple[Tensor, ...]]:
    """The same operand of a layer in all tables."""
    if len({len(tensors) for tensors in lists}) > 1:
        raise ModelError("has other layers at other sizes", remedy=_REMEDY)
    return list(zip(*lists, strict=True))
