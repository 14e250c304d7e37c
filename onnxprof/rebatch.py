"""Carry another batch size through a model, or say which layer stands in the way.

A batch that the file fixes is found by its trace: shapes are inferred at the file's own
batch and at a prime, and an axis is the batch where its size at the prime is a multiple of
that prime. Fixed operands (Reshape targets, …) that block the trace are rewritten, and the
trace is taken again, until it does not change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto

from onnxprof import batchaxes, reshaping, shapes
from onnxprof.batchaxes import BatchAxes, FreeDim
from onnxprof.contracts import UsageError
from onnxprof.graph import captured, subgraphs
from onnxprof.layertypes import DEFAULT_DOMAINS, shape_operands
from onnxprof.operands import Edit, Factor, Operands, Place, Placed
from onnxprof.records import Shape
from onnxprof.shapes import Scope
from onnxprof.tensors import MAX_TENSOR_BYTES, element_bits

MAX_BATCH = 1 << 20
_PRIMES = (251, 257, 263, 269, 1009)
_ROUNDS = 40
_LARGEST_SIZE = 1 << 31
#: Operators that tell about a tensor's shape, not its contents.
_ABOUT = ("Shape", "Size")
_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to give a model another batch; good for any size."""

    batch: BatchAxes
    free: tuple[FreeDim, ...]
    edits: tuple[tuple[Place, Edit], ...] = ()
    obstacle: str = ""
    unnamed: bool = False
    """Input axes without a name were given one."""


@dataclass(frozen=True, slots=True)
class Rebatched:
    """A model's structure at a batch size."""

    structure: ModelProto
    batch: int
    """The batch it is at: the one asked for, or the model's own where there is an obstacle."""
    obstacle: str
    rewritten: bool
    """More than naming sizes was needed, so declared shapes of the file may be stale."""


def check_batch(batch: int) -> None:
    """Raise UsageError for a batch size that is none."""
    if batch < 1:
        raise UsageError(f"batch {batch} makes no sense", remedy="Give a batch of 1 or more")
    if batch > MAX_BATCH:
        raise UsageError(f"batch {batch} is too large", remedy=f"The limit is {MAX_BATCH}")


def survey(model: ModelProto) -> Plan:
    """Batch axes and free axes, without looking into the graph. Leaves the model alone."""
    copy = _copy(model)
    unnamed = batchaxes.name_anonymous(copy)
    batch = batchaxes.find(copy)
    return Plan(batch, batchaxes.free_dims(copy, batch), (), batch.problem, unnamed)


def plan(model: ModelProto, dims: Mapping[str, int]) -> Plan:
    """Find the edits that let the batch through, or the obstacle."""
    found = survey(model)
    if found.obstacle:
        return found
    own = found.batch.own
    base = shapes.infer(_sized(model, found, own, dims, {}), trust_declared=False)
    tracer = _Tracer(model, found, base, dims)
    edits, marked = tracer.settle()
    obstacle = _Obstacles(model, found.batch, base, marked, tracer.prime).find()
    return Plan(found.batch, found.free, tuple(edits.items()), obstacle, found.unnamed)


def at_batch(
    model: ModelProto, how: Plan, batch: int, dims: Mapping[str, int], folder: Path
) -> Rebatched:
    """A copy of the model at the batch size, or at its own where the plan has an obstacle."""
    size = how.batch.own if how.obstacle and batch != how.batch.own else batch
    obstacle = how.obstacle if size != batch else ""
    moved = size != how.batch.own
    edits = dict(how.edits) if moved else {}
    structure = _sized(model, how, size, dims, edits, folder)
    _check_sizes(structure, size)
    return Rebatched(structure, size, obstacle, moved and (how.batch.fixed or bool(edits)))


def _check_sizes(model: ModelProto, batch: int) -> None:
    for value in batchaxes.input_values(model):
        held = batchaxes.tensor_type(value.type)
        if held is None:
            continue
        count = math.prod(max(d.dim_value, 1) for d in held.shape.dim)
        if count * max(element_bits(held.elem_type), 8) // 8 > MAX_TENSOR_BYTES:
            raise UsageError(
                f"input {value.name!r} alone would take more than {MAX_TENSOR_BYTES >> 30} GiB "
                f"at batch {batch}",
                remedy="Ask for a smaller batch",
            )


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _sized(
    model: ModelProto,
    how: Plan,
    size: int,
    dims: Mapping[str, int],
    edits: Mapping[Place, Edit],
    folder: Path = Path(),
) -> ModelProto:
    copy = _copy(model)
    batchaxes.name_anonymous(copy)
    batchaxes.set_sizes(copy, how.batch, size, dims)
    if edits:
        Operands(copy).apply(edits, size, folder)
    return copy


def scopes(graph: GraphProto, scope: Scope) -> Iterator[Scope]:
    """The scope of each node, in walk order."""
    for index, node in enumerate(graph.node):
        yield scope
        for position, (_, inner) in enumerate(subgraphs(node)):
            yield from scopes(inner, scope.inner[index, position])


def dependent(graph: GraphProto, batch: BatchAxes) -> set[str]:
    """Tensors whose contents follow from inputs with a batch; sizes of tensors do not count."""
    names = {name for name, _ in (*batch.axes, *batch.scaled)}
    _spread(graph, names)
    return names


def _spread(graph: GraphProto, names: set[str]) -> None:
    for node in graph.node:
        inner = [g for _, g in subgraphs(node)]
        if node.op_type in _ABOUT or not names.intersection((*node.input, *captured(node))):
            continue
        names.update(node.output)
        for body in inner:
            names.update(i.name for i in body.input)
            _spread(body, names)


def _marks(shape: Shape, prime: int) -> list[int]:
    return [i for i, d in enumerate(shape or ()) if isinstance(d, int) and d and d % prime == 0]


class _Tracer:
    """Finds the edits, by tracing a prime batch through the graph."""

    def __init__(self, model: ModelProto, how: Plan, base: Scope, dims: Mapping[str, int]) -> None:
        self._model, self._plan, self._base, self._dims = model, how, base, dims
        self._own = how.batch.own
        self._operands = Operands(model)
        self._scopes = list(scopes(model.graph, base))
        self._dependent = dependent(model.graph, how.batch)
        sizes = {d for t in base.types for d in base.shape(t) or () if isinstance(d, int)}
        self.prime = next((p for p in _PRIMES if not any(d % p == 0 for d in sizes if d)), 1013)

    def settle(self) -> tuple[dict[Place, Edit], Scope]:
        """Edits, and the types at the prime with them."""
        edits = self._guess()
        for _ in range(_ROUNDS):
            sized = _sized(self._model, self._plan, self.prime, self._dims, edits)
            marked = shapes.infer(sized, trust_declared=False)
            better = self._revise(edits, marked)
            if better == edits:
                break
            edits = better
        return edits, marked

    def _guess(self) -> dict[Place, Edit]:
        """Most batches stay in front: start from there, so that one more round is enough."""
        edits: dict[Place, Edit] = {}
        for index, at in enumerate(self._operands.nodes):
            if _is(at, "Reshape") and at.node.input[0] in self._dependent:
                data = self._scopes[index].shape(at.node.input[0])
                raw = self._operands.value(at, 1)
                if raw is None or raw.size == 0 or (data and data[0] != self._own):
                    continue
                if data is None and raw.flat[0] != self._own:
                    continue
                self._put(edits, (index, 1), self._target(index, at, 0))
        return edits

    def _revise(self, edits: Mapping[Place, Edit], marked: Scope) -> dict[Place, Edit]:
        out: dict[Place, Edit] = {}
        for (index, at), scope in zip(
            enumerate(self._operands.nodes), scopes(self._model.graph, marked), strict=True
        ):
            data = scope.shape(at.node.input[0]) if at.node.input else None
            if data is None or at.node.domain not in DEFAULT_DOMAINS:
                out.update({p: e for p, e in edits.items() if p[0] == index})
                continue
            axes = _marks(data, self.prime)
            if len(axes) == 1:
                self._edit(out, index, at, axes[0])
        return out

    def _edit(self, out: dict[Place, Edit], index: int, at: Placed, axis: int) -> None:
        base = self._scopes[index].shape(at.node.input[0])
        size = base[axis] if base is not None and axis < len(base) else None
        rules = {"Reshape": 1, "Expand": 1, "Resize": 3, "Slice": 2}
        position = rules.get(at.node.op_type)
        if position is None:
            if at.node.op_type in _STATES:
                self._states(out, index, at, axis)
            return
        raw = self._operands.value(at, position)
        if raw is None or raw.ndim != 1:
            return
        values = [int(v) for v in raw]
        if _is(at, "Reshape"):
            new = self._target(index, at, axis)
        elif at.node.op_type == "Expand":
            behind = len(base or ()) - axis
            at_end = len(values) - behind
            fits = at_end >= 0 and values[at_end] != 1
            new = reshaping.scale_entry(values, at_end, size, self._own) if fits else None
        elif at.node.op_type == "Resize":
            new = reshaping.scale_entry(values, axis, size, self._own)
        else:
            new = self._slice(at, values, axis, size, len(base or ()))
        self._put(out, (index, position), new)

    def _target(self, index: int, at: Placed, axis: int) -> tuple[Factor, ...] | None:
        raw = self._operands.value(at, 1)
        if raw is None or raw.ndim != 1:
            return None
        scope = self._scopes[index]
        data, out = scope.shape(at.node.input[0]), scope.shape(at.node.output[0])
        return reshaping.reshape_target([int(v) for v in raw], data, out, axis, self._own)

    def _slice(
        self, at: Placed, ends: list[int], axis: int, size: object, rank: int
    ) -> tuple[Factor, ...] | None:
        """A slice that took the whole batch goes on taking it."""
        starts, axes = self._operands.value(at, 1), self._operands.value(at, 3)
        order = [int(a) % rank for a in axes] if axes is not None else list(range(len(ends)))
        if axis not in order or starts is None or not isinstance(size, int):
            return None
        where = order.index(axis)
        whole = int(starts.flat[where]) == 0
        return reshaping.scale_entry(ends, where, size, self._own) if whole else None

    def _states(self, out: dict[Place, Edit], index: int, at: Placed, axis: int) -> None:
        """Constant initial states are repeated for every item of the batch."""
        for position in _STATES[at.node.op_type]:
            name = at.node.input[position] if position < len(at.node.input) else ""
            state = self._scopes[index].shape(name) if name else None
            if state is None or len(state) != 3:
                continue
            layout = 0 if axis == 0 else 1
            held = self._operands.holder(at, name)
            if held is not None and state[layout] == self._own:
                out[index, position] = Edit(repeat_axis=layout)
            elif held is None:
                self._made_state(out, name, layout)

    def _made_state(self, out: dict[Place, Edit], name: str, axis: int) -> None:
        for index, at in enumerate(self._operands.nodes):
            position = {"ConstantOfShape": 0, "Expand": 1}.get(at.node.op_type)
            if position is not None and name in at.node.output:
                raw = self._operands.value(at, position)
                values = [int(v) for v in raw] if raw is not None else []
                new = reshaping.scale_entry(values, axis, self._own, self._own)
                if raw is not None:
                    self._put(out, (index, position), new)

    def _put(self, edits: dict[Place, Edit], place: Place, new: tuple[Factor, ...] | None) -> None:
        if new is None or any(abs(c) > _LARGEST_SIZE for c, _ in new):
            return
        if any(scales for _, scales in new):
            edits[place] = Edit(new)


def _is(at: Placed, op_type: str) -> bool:
    node = at.node
    whole = len(node.input) > 1 and len(node.output) > 0
    return node.op_type == op_type and node.domain in DEFAULT_DOMAINS and whole


class _Obstacles:
    """Looks for the first layer that does not let the batch through."""

    def __init__(
        self, model: ModelProto, batch: BatchAxes, base: Scope, marked: Scope, prime: int
    ) -> None:
        self._graph, self._base, self._marked = model.graph, base, marked
        self._own, self._prime = batch.own, prime
        self._dependent = dependent(model.graph, batch)

    def find(self) -> str:
        """The obstacle in words; empty where none can be proved."""
        pairs = zip(scopes(self._graph, self._base), scopes(self._graph, self._marked), strict=True)
        for node, (base, marked) in zip(_nodes(self._graph), pairs, strict=True):
            reason = self._contradiction(node, base, marked)
            if reason:
                return f"layer {node.name} ({node.op_type}): {reason}"
        for output in self._graph.output:
            if self._keeps(output.name):
                return self._blame(output.name)
        return ""

    def _contradiction(self, node: NodeProto, base: Scope, marked: Scope) -> str:
        names = [n for n in node.input if n]
        before = [marked.shape(n) for n in names]
        scaled = any(_marks(shape, self._prime) for shape in before)
        if not scaled or any(_count(s) is None for s in before) or any(subgraphs(node)):
            return ""
        if not self._operands_known(node, marked):
            return ""
        if node.op_type == "Reshape" and node.domain in DEFAULT_DOMAINS and node.output:
            elements = _count(marked.shape(node.output[0]))
            if elements is not None and elements != _count(before[0]):
                return f"its target keeps batch {self._own}"
        lost = any(base.shape(n) is not None and marked.shape(n) is None for n in node.output if n)
        return f"its inputs fit together at batch {self._own} only" if lost else ""

    def _operands_known(self, node: NodeProto, marked: Scope) -> bool:
        positions = shape_operands(node.op_type, node.domain)
        if node.op_type == "Range":
            positions = (0, 1, 2)
        names = (node.input[i] for i in positions if i < len(node.input))
        values = (marked.value_of(name) for name in names if name)
        return all(v is not None and v.dtype != object for v in values)

    def _keeps(self, name: str) -> bool:
        before, after = self._base.tensor(name), self._marked.tensor(name)
        if name not in self._dependent or not before.is_static or not after.is_static:
            return False
        first = (before.shape or (None,))[0]
        carried = bool(_marks(after.shape, self._prime))
        return isinstance(first, int) and first % self._own == 0 and not carried

    def _blame(self, output: str) -> str:
        wanted, guilty = {output}, None
        for node in reversed(self._graph.node):
            if not wanted.intersection(node.output) or node.op_type in _ABOUT:
                continue
            needs = {n for n in (*node.input, *captured(node)) if n}
            wanted |= needs
            scaled = any(_marks(self._marked.shape(n), self._prime) for n in needs)
            kept = any(_marks(self._marked.shape(n), self._prime) for n in node.output)
            if scaled and not kept:
                guilty = node
        if guilty is None:
            return f"output {output!r} keeps batch {self._own}"
        made = next((n for n in guilty.output if n), "")
        return f"layer {guilty.name} ({guilty.op_type}): output {made!r} keeps batch {self._own}"


def _count(shape: Shape) -> int | None:
    sizes = [d for d in shape or () if isinstance(d, int)]
    return math.prod(sizes) if shape is not None and len(sizes) == len(shape) else None


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for _, inner in subgraphs(node):
            yield from _nodes(inner)
