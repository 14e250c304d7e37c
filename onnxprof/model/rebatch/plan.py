"""Rewrite a model for another batch size, or name the layer that prevents it.

A fixed batch is traced through the graph: shapes are inferred at the file's own batch and at a
prime, and axes whose size at the prime is a multiple of that prime are batch axes. Fixed
operands (Reshape targets, …) that block the trace are rewritten, and the shapes are inferred
again, until nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from onnxprof.errors import UsageError
from onnxprof.model.graph.operators import DEFAULT_DOMAINS, STATE_INPUTS
from onnxprof.model.graph.outline import Outline, outline
from onnxprof.model.graph.weights import MAX_TENSOR_BYTES, element_bits
from onnxprof.model.rebatch import axes as batchaxes
from onnxprof.model.rebatch import targets
from onnxprof.model.rebatch.axes import BatchAxes, FreeDim
from onnxprof.model.rebatch.obstacles import Obstacles
from onnxprof.model.rebatch.operands import Edit, Factor, Operands, Place, Placed, placed
from onnxprof.model.rebatch.trace import dependent, marks, scopes
from onnxprof.model.shapes import infer
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.plugins.memory import SMALLER

MAX_BATCH = 1 << 20
_PRIMES = (251, 257, 263, 269, 1009)
_ROUNDS = 40
_LARGEST_SIZE = 1 << 31
#: Operators with an operand that may hold the batch, those that make an initial state included.
_EDITABLE = {"Reshape", "Expand", "Resize", "Slice", "ConstantOfShape", *STATE_INPUTS}


@dataclass(frozen=True, slots=True)
class Plan:
    """The edits that give a model another batch size; the same for every size."""

    batch: BatchAxes
    free: tuple[FreeDim, ...]
    edits: tuple[tuple[Place, Edit], ...] = ()
    obstacle: str = ""
    unnamed: bool = False
    """Whether input axes had neither size nor name and were given a name."""
    mixing: str = ""
    """The layer that mixes items of the batch, in words; empty where shapes show none."""


@dataclass(frozen=True, slots=True)
class Rebatched:
    """A model's structure at a batch size."""

    structure: ModelProto
    batch: int
    """The batch size of `structure`: as requested, or the file's own where there is an obstacle."""
    obstacle: str
    rewritten: bool
    """Whether the graph was edited, so that shapes declared in the file may be stale."""
    nodes: Outline | None = None
    """The outline of the structure's graph, where that of the model was given."""


def check_batch(batch: int) -> None:
    """Raise UsageError for a batch size below 1 or above MAX_BATCH."""
    if batch < 1:
        raise UsageError(f"batch {batch} makes no sense", remedy="Give a batch of 1 or more")
    if batch > MAX_BATCH:
        raise UsageError(f"batch {batch} is too large", remedy=f"The limit is {MAX_BATCH}")


def survey(model: ModelProto) -> Plan:
    """A plan with batch axes and free axes only, from the inputs. Does not change the model."""
    inputs, unnamed = batchaxes.named_inputs(model)
    batch = batchaxes.find(inputs, model)
    return Plan(batch, batchaxes.free_dims(inputs, batch), (), batch.problem, unnamed)


def plan(model: ModelProto, dims: Mapping[str, int], nodes: Outline) -> Plan:
    """A plan with the edits that another batch needs, or with the obstacle.

    `nodes` is the outline of the model's graph.
    """
    first = survey(model)
    if first.obstacle:
        return first
    own = first.batch.own
    base = infer.infer(*_untrusted(_sized(model, first, own, dims, {}, nodes)))
    tracer = _Tracer(model, first, base, dims, nodes)
    edits, marked = tracer.settle()
    search = Obstacles(nodes, own, tracer.dependent, (base, marked), tracer.prime)
    mixing = search.mixing(_opset(model))
    obstacle = search.find() or (mixing if first.batch.fixed else "")
    return Plan(first.batch, first.free, tuple(edits.items()), obstacle, first.unnamed, mixing)


def _opset(model: ModelProto) -> int:
    return max((o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS), default=0)


def at_batch(
    model: ModelProto,
    how: Plan,
    batch: int,
    dims: Mapping[str, int],
    folder: Path,
    nodes: Outline | None = None,
) -> Rebatched:
    """A copy of the model at the batch size, or at the file's own where there is an obstacle.

    `nodes` is the outline of the model's graph.
    """
    size = how.batch.own if how.obstacle and batch != how.batch.own else batch
    obstacle = how.obstacle if size != batch else ""
    moved = size != how.batch.own
    edits = dict(how.edits) if moved else {}
    structure, made = _sized(model, how, size, dims, edits, nodes, folder)
    _check_sizes(structure)
    rewritten = moved and (how.batch.fixed or bool(edits))
    return Rebatched(structure, size, obstacle, rewritten, made)


def _check_sizes(model: ModelProto) -> None:
    for value in batchaxes.input_values(model):
        held = batchaxes.tensor_type(value.type)
        if held is None:
            continue
        shape = [d.dim_value for d in held.shape.dim]
        count = math.prod(max(size, 1) for size in shape)
        if count * max(element_bits(held.elem_type), 8) // 8 > MAX_TENSOR_BYTES:
            raise UsageError(
                f"input {value.name!r} of shape {shape} alone would take more than"
                f" {MAX_TENSOR_BYTES >> 30} GiB",
                remedy=f"Use {SMALLER}",
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
    nodes: Outline | None,
    folder: Path = Path(),
) -> tuple[ModelProto, Outline | None]:
    """A copy of the model at a size, and its outline where that of the model is given."""
    copy = _copy(model)
    batchaxes.name_anonymous(copy)
    graph = outline(copy.graph) if edits or nodes is None else nodes.onto(copy.graph)
    batchaxes.set_sizes(copy, (each.graph for each in graph.all()), how.batch, size, dims)
    if edits:
        Operands(copy, graph).apply(edits, size, folder)
        graph = outline(copy.graph)
    return copy, None if nodes is None else graph


def _untrusted(sized: tuple[ModelProto, Outline | None]) -> tuple[ModelProto, bool, Outline | None]:
    return sized[0], False, sized[1]


class _Tracer:
    """Finds the edits, by tracing a prime batch through the graph."""

    def __init__(
        self, model: ModelProto, how: Plan, base: Scope, dims: Mapping[str, int], nodes: Outline
    ) -> None:
        self._model, self._plan, self._base, self._dims = model, how, base, dims
        self._own = how.batch.own
        self._nodes = nodes
        self._operands = Operands(model, nodes)
        every = enumerate(placed(nodes))
        self._editable = [(index, at) for index, at in every if at.step.op_type in _EDITABLE]
        self._scopes = scopes(nodes, base)
        self.dependent = dependent(nodes, how.batch)
        known = set(base.known.values())
        sizes = {d for held in known for d in held.shape or () if isinstance(d, int)}
        self.prime = next((p for p in _PRIMES if not any(d % p == 0 for d in sizes if d)), 1013)

    def settle(self) -> tuple[dict[Place, Edit], Scope]:
        """The edits, and the scope with the types that they yield at the prime batch."""
        edits = self._guess()
        for _ in range(_ROUNDS):
            sized = _sized(self._model, self._plan, self.prime, self._dims, edits, self._nodes)
            marked = infer.infer(*_untrusted(sized))
            better = self._revise(edits, marked)
            if better == edits:
                break
            edits = better
        return edits, marked

    def _guess(self) -> dict[Place, Edit]:
        """Edits for a batch that stays axis 0, as most do: a start that saves rounds."""
        edits: dict[Place, Edit] = {}
        for index, at in self._editable:
            if _is(at, "Reshape") and at.node.input[0] in self.dependent:
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
        all_scopes = scopes(self._nodes, marked)
        for index, at in self._editable:
            data = all_scopes[index].shape(at.node.input[0]) if at.node.input else None
            if data is None or at.node.domain not in DEFAULT_DOMAINS:
                out.update({p: e for p, e in edits.items() if p[0] == index})
                continue
            axes = marks(data, self.prime)
            if len(axes) == 1:
                self._edit(out, index, at, axes[0])
        return out

    def _edit(self, out: dict[Place, Edit], index: int, at: Placed, axis: int) -> None:
        base = self._scopes[index].shape(at.node.input[0])
        size = base[axis] if base is not None and axis < len(base) else None
        rules = {"Reshape": 1, "Expand": 1, "Resize": 3, "Slice": 2}
        position = rules.get(at.node.op_type)
        if position is None:
            if at.node.op_type in STATE_INPUTS:
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
            new = targets.scale_entry(values, at_end, size, self._own) if fits else None
        elif at.node.op_type == "Resize":
            new = targets.scale_entry(values, axis, size, self._own)
        else:
            new = self._slice(at, values, axis, size, len(base or ()))
        self._put(out, (index, position), new)

    def _target(self, index: int, at: Placed, axis: int) -> tuple[Factor, ...] | None:
        raw = self._operands.value(at, 1)
        if raw is None or raw.ndim != 1:
            return None
        scope = self._scopes[index]
        data, out = scope.shape(at.node.input[0]), scope.shape(at.node.output[0])
        return targets.reshape_target([int(v) for v in raw], data, out, axis, self._own)

    def _slice(
        self, at: Placed, ends: list[int], axis: int, size: object, rank: int
    ) -> tuple[Factor, ...] | None:
        """New ends for a Slice that takes the whole batch axis; None for any other."""
        starts, axes = self._operands.value(at, 1), self._operands.value(at, 3)
        order = [int(a) % rank for a in axes] if axes is not None else list(range(len(ends)))
        if axis not in order or starts is None or not isinstance(size, int):
            return None
        where = order.index(axis)
        whole = int(starts.flat[where]) == 0
        return targets.scale_entry(ends, where, size, self._own) if whole else None

    def _states(self, out: dict[Place, Edit], index: int, at: Placed, axis: int) -> None:
        """Constant initial states are repeated for every item of the batch."""
        for position in STATE_INPUTS[at.node.op_type]:
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
        for index, at in self._editable:
            position = {"ConstantOfShape": 0, "Expand": 1}.get(at.node.op_type)
            if position is not None and name in at.node.output:
                raw = self._operands.value(at, position)
                values = [int(v) for v in raw] if raw is not None else []
                new = targets.scale_entry(values, axis, self._own, self._own)
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
