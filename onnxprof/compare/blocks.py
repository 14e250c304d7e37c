"""Runs side by side: layers that any run executes as one step are one block.

Two runtimes fuse one network differently; what they share is its layers. Layers that one
step of any run covers together are in one block, and nothing else is: so each step of each
run lies in exactly one block, and no smaller blocks would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxprof.analysis.reconcile import Reconciliation, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.compare.quantised.counterpart import strays
from onnxprof.compare.ratios import Floats, relative_errors
from onnxprof.compare.replicates import latency_group, row_group
from onnxprof.compare.table import RowKind
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


@dataclass(frozen=True, slots=True)
class Part:
    """A row: times and their relative errors, one a run."""

    kind: RowKind
    times_ns: tuple[int, ...]
    errors: tuple[float, ...]
    layers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()


def parts(runs: Sequence[Run]) -> list[Part]:
    """Rows whose times add up to the latency of each run; empty where a run has no step times."""
    if any(run.timings is None or not run.timings.step_ns.size for run in runs):
        return []
    return [*_layer_parts(runs), *_other_parts(runs)]


def latency_error(run: Run) -> float:
    """Relative standard error of a run's un-profiled median."""
    return float(relative_errors(latency_group(run))[0])


def _layer_parts(runs: Sequence[Run]) -> Iterator[Part]:
    """Blocks of layers in graph order, then the time of steps of no layer."""
    blocks = finest_blocks(runs)
    kinds = {layer.name: layer.op_type for run in reversed(runs) for layer in run.table.nodes}
    columns = [_column(run, [b.steps[i] for b in blocks]) for i, run in enumerate(runs)]
    for place in range(len(blocks) + 1):
        times = tuple(int(ns[place]) for ns, _ in columns)
        errors = tuple(float(error[place]) for _, error in columns)
        if place == len(blocks):
            yield Part(RowKind.NO_LAYER, times, errors)
        else:
            names = blocks[place].layers
            yield Part(
                RowKind.BLOCK, times, errors, names, tuple(kinds.get(name, "") for name in names)
            )


def _column(run: Run, rows: Sequence[tuple[int, ...]]) -> tuple[Floats, Floats]:
    """Times of the blocks and of no layer, and their relative errors."""
    every = [*rows, strays(run)]
    whole = divided(run).whole_ns
    times = np.array([whole[list(steps)].sum() for steps in every], np.float64)
    return times, np.nan_to_num(relative_errors(row_group(run, every)), nan=1.0)


def _other_parts(runs: Sequence[Run]) -> Iterator[Part]:
    sums = [reconcile(run) for run in runs]
    for kind, of in _OTHERS:
        times = tuple(of(one) for one in sums)
        # As uncertain as the median that it is a difference of.
        errors = tuple(
            latency_error(run) * one.total_ns / max(1, abs(ns))
            for run, one, ns in zip(runs, sums, times, strict=True)
        )
        yield Part(kind, times, errors)


def _interruptions(sums: Reconciliation) -> int:
    return sums.interruptions_ns or 0


def _overhead(sums: Reconciliation) -> int:
    return sums.overhead_ns


_OTHERS = ((RowKind.INTERRUPTIONS, _interruptions), (RowKind.OVERHEAD, _overhead))
