"""Runs side by side: layers that any run executes as one step are one block.

Two runtimes fuse one network differently; what they share is its layers. Layers that one
step of any run covers together are in one block, and nothing else is: so each step of each
run lies in exactly one block, and no smaller blocks would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnxprof.records.run import Run


@dataclass(frozen=True, slots=True)
class Block:
    """Layers that belong together in at least one run."""

    layers: tuple[str, ...]
    steps: tuple[tuple[int, ...], ...]
    """For each run the numbers of its steps that cover these layers; empty if it has none."""


def finest_blocks(runs: Sequence[Run]) -> tuple[Block, ...]:
    """The blocks of these runs, in the order of their layers.

    Layers are matched by name, in the order of the first run's table, then of the next one's.
    Steps that cover no layer are in no block (`quantised.counterpart.strays` has them).
    """
    group = _joined(step.layers for run in runs for step in run.steps)
    members: dict[str, list[str]] = {}
    for name in _ordered(runs, group):
        members.setdefault(_root(group, name), []).append(name)
    places = {root: place for place, root in enumerate(members)}
    steps: list[list[list[int]]] = [[[] for _ in runs] for _ in members]
    for r, run in enumerate(runs):
        for number, step in enumerate(run.steps):
            if step.layers:
                steps[places[_root(group, step.layers[0])]][r].append(number)
    return tuple(
        Block(tuple(layers), tuple(map(tuple, numbers)))
        for layers, numbers in zip(members.values(), steps, strict=True)
    )


def _joined(sets: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Union-find: from each name to one that stands for its set, over some hops."""
    group: dict[str, str] = {}
    for names in sets:
        for name in names:
            group.setdefault(name, name)
            group[_root(group, name)] = _root(group, names[0])
    return group


def _root(group: dict[str, str], name: str) -> str:
    while group[name] != name:
        group[name] = group[group[name]]
        name = group[name]
    return name


def _ordered(runs: Sequence[Run], known: Mapping[str, str]) -> list[str]:
    """The names that steps cover: those in tables in table order, then the rest."""
    tables = dict.fromkeys(layer.name for run in runs for layer in run.table.nodes)
    inside = [name for name in tables if name in known]
    return inside + [name for name in known if name not in tables]
