"""How many tokens a model has positions for, and which initializer says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxprof.errors import UsageError
from onnxprof.records.layer import Layer, LayerKind, LayerTable
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.records.sequences.states import Role, States
from onnxprof.sequences.reach import Graph, operands

#: Positions of the tables of angles, by (domain, operator).
_ANGLES = {
    ("com.microsoft", "RotaryEmbedding"): (2, 3),
    ("", "RotaryEmbedding"): (1, 2),
    ("com.microsoft", "GroupQueryAttention"): (7, 8),
}
_PLACES = ("position", "wpe", "pos_emb", "rotary", "cos_cache", "sin_cache", "cos_cached")
#: A table of fewer rows is no table of positions.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Limit:
    """The most tokens that a model has positions for."""

    tokens: int
    initializer: str
    layer: str
    """The layer that looks positions up in it."""


def limit_of(table: LayerTable, states: States) -> Limit | None:
    """The lowest limit; None where nothing in the graph limits the context."""
    return min(_limits(table, states), key=lambda limit: limit.tokens, default=None)


def refuse_beyond(phase: Phase, table: LayerTable, states: States) -> None:
    """Raise UsageError for a context that the model has no positions for."""
    limit = limit_of(table, states)
    if limit is None or phase.kind is PhaseKind.STEPS or phase.total <= limit.tokens:
        return
    most = limit.tokens - phase.new if phase.kind is PhaseKind.DECODE else limit.tokens
    raise UsageError(
        f"--phase {phase} takes {phase.total:,} positions, and initializer {limit.initializer!r}"
        f" has {limit.tokens:,}, which {limit.layer} looks them up in",
        remedy=f"Ask for --phase {phase.kind.value}:{most} at most",
    )


def _limits(table: LayerTable, states: States) -> Iterator[Limit]:
    weights = {
        layer.name: layer.outputs[0].shape or ()
        for layer in table
        if layer.kind is LayerKind.INITIALIZER
    }
    positions = set(_lookups(table, states))
    for layer in table.nodes:
        for position, name in _tables(layer, positions):
            rows = _rows(layer, position, weights.get(name, ()))
            if rows >= _FEWEST:
                yield Limit(rows, name, layer.name)


def _lookups(table: LayerTable, states: States) -> Iterator[str]:
    """Names of the Gathers whose index is the positions that the model takes."""
    graph = Graph(table)
    for name in states.of(Role.POSITIONS):
        yield from (layer for layer, places in graph.ahead(name).items() if 1 in places)


def _tables(layer: Layer, positions: set[str]) -> Iterator[tuple[int, str]]:
    """(position, name) of what a layer looks positions up in."""
    angles = _ANGLES.get((layer.domain, layer.op_type), ())
    for place, tensor in operands(layer):
        is_angle = place in angles
        is_lookup = layer.op_type == "Gather" and place == 0
        by_name = any(word in tensor.name.lower() for word in _PLACES)
        is_triangle = layer.op_type == "Slice" and place == 0 and not layer.domain
        if is_angle or is_triangle or (is_lookup and (layer.name in positions or by_name)):
            yield place, tensor.name


def _rows(layer: Layer, position: int, shape: tuple[object, ...]) -> int:
    """The size of the axis of positions; of a mask of all pairs it is the last one."""
    if layer.op_type == "Slice" and position == 0:
        square = len(shape) >= 2 and shape[-1] == shape[-2]
        return shape[-1] if square and isinstance(shape[-1], int) else 0
    axis = int(dict(layer.attributes).get("axis", "0")) if layer.op_type == "Gather" else 0
    size = shape[axis] if -len(shape) <= axis < len(shape) else 0
    return size if isinstance(size, int) else 0
