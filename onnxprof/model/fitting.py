"""What a model's graph leaves of its free axes: those that it computes from others, or fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from onnxprof.model.demands.nodes import demands
from onnxprof.model.demands.solving import Solution, solve
from onnxprof.model.dims.grammar import compact
from onnxprof.model.file import ModelFile, batch_axes
from onnxprof.model.rebatch.axes import BATCH, name_anonymous, rename
from onnxprof.model.shapes import infer
from onnxprof.model.shapes.rules import sizes
from onnxprof.model.sizing import Sizing

#: A tie lets inference know more of the graph, which then may demand more.
_ROUNDS = 4
#: The batch, in a graph whose axes have names of ours.
_ITEMS = "n"


@dataclass(frozen=True, slots=True)
class Fit:
    """Sizes that a graph demands, of axes that have none."""

    sizes: Mapping[str, int | str]
    """A number, or an expression in the other axes and `batch`."""
    nodes: Mapping[str, str]
    """By axis the node that demands it."""


def fit(model: ModelFile, given: Sizing, missing: Sequence[str], *, bodies: bool) -> Fit:
    """Solve what the graph demands for the axes that are missing.

    `bodies` takes what is in branches for as certain as the rest. Axes whose names no expression
    can have are part of none.
    """
    axes = {name: f"a{i}" for i, name in enumerate(missing)}
    solution = Solution()
    for _ in range(_ROUNDS):
        before = dict(solution.found)
        structure = _symbolic(model, given, axes, solution)
        scope = infer.infer(structure, trust_declared=False)
        opsets = {entry.domain: entry.version for entry in structure.opset_import}
        every = demands(model.nodes.onto(structure.graph), scope, opsets, bodies=bodies)
        solve(every, list(axes.values()), solution)
        if solution.found == before:
            break
    return _named(solution, axes)


def _symbolic(
    model: ModelFile, given: Sizing, axes: Mapping[str, str], solution: Solution
) -> ModelProto:
    """The model with sizes as far as they are known, and names of ours for the other axes."""
    copy = ModelProto()
    copy.CopyFrom(model.structure)
    name_anonymous(copy)
    batch = dict.fromkeys(batch_axes(model, {}).symbols, _ITEMS)
    free = {name: solution.found.get(ours, ours) for name, ours in axes.items()}
    known: dict[str, int | str] = {**batch, **free, **given.known}
    for name, text in given.open.items():
        size = sizes.replaced(text, {BATCH: _ITEMS, **known})
        if size is not None:
            known[name] = size
    rename(copy, known)
    return copy


def _named(solution: Solution, axes: Mapping[str, str]) -> Fit:
    theirs = {ours: text for name, ours in axes.items() if (text := sizes.quoted(name))}
    theirs[_ITEMS] = BATCH
    found: dict[str, int | str] = {}
    for name, ours in axes.items():
        size = solution.found.get(ours)
        if isinstance(size, str):
            is_spelled = theirs.keys() >= set(sizes.names(size))
            size = sizes.replaced(size, theirs) if is_spelled else None
        if isinstance(size, str):
            size = compact(size)
        if size is not None:
            found[name] = size
    nodes = {name: solution.node_of[axes[name]] for name in found}
    return Fit(found, nodes)
