"""Runs of a quantised network under the names of its float original's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from onnxprof.compare.quantised.match import Match, match
from onnxprof.compare.quantised.operators import QUANTISERS, is_quantised
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.run import Run
from onnxprof.records.step import Step

#: Networks of which fewer layers have a counterpart are no two forms of one network.
LEAST = 0.5


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A run, and what became of it where it is one of a quantised network."""

    run: Run
    """With the layers of the float network in its table and steps."""
    told: Run
    """As it was measured."""
    match: Match | None = None
    """None for a run of the float network."""
    conversions: tuple[int, ...] = ()
    """Numbers of the steps that only quantise or dequantise."""

    @property
    def strays(self) -> tuple[int, ...]:
        """Numbers of the other steps that cover no layer."""
        apart = set(self.conversions)
        return tuple(number for number in strays(self.run) if number not in apart)

    def served(self, number: int) -> str:
        """The float layer that a conversion serves; empty where none is known."""
        beside = self.match.beside if self.match else {}
        names = (beside.get(name, "") for name in self.told.steps[number].layers)
        return next((name for name in names if name), "")


def strays(run: Run) -> tuple[int, ...]:
    """Numbers of the steps that cover no layer."""
    return tuple(number for number, step in enumerate(run.steps) if not step.layers)


def counterparts(runs: Sequence[Run]) -> tuple[Counterpart, ...]:
    """Runs of quantised networks under the float names, if there is a float run to take them from.

    Otherwise, and where networks have little in common, runs stay as they are.
    """
    quantised = [is_quantised(run.table) for run in runs]
    plain = next((run for run, told in zip(runs, quantised, strict=True) if not told), None)
    if plain is None or not any(quantised):
        return tuple(Counterpart(run, run) for run in runs)
    known: dict[tuple[str, int], Match] = {}
    made = []
    for run, is_int in zip(runs, quantised, strict=True):
        key = run.request.model_sha256, run.table.batch
        if is_int and key not in known:
            known[key] = match(plain.table, run.table)
        alike = is_int and known[key].part >= LEAST
        made.append(_renamed(run, known[key], plain.table) if alike else Counterpart(run, run))
    return tuple(made)


def _renamed(run: Run, found: Match, original: LayerTable) -> Counterpart:
    groups = {name: group.float_layers for group in found.groups for name in group.quantised_layers}
    places = {layer.name: i for i, layer in enumerate(original.nodes)}
    own = set(found.only_quantised)
    steps = [_step(step, groups, places, own) for step in run.steps]
    conversions = tuple(
        i
        for i, (new, old) in enumerate(zip(steps, run.steps, strict=True))
        if not new.layers and _converts(old, found)
    )
    table = replace(run.table, layers=tuple(_layers(run.table, found, original)))
    folded = dict.fromkeys(n for name in run.folded for n in groups.get(name, ()))
    there = {name for step in steps for name in step.layers}
    renamed = replace(
        run, table=table, steps=tuple(steps), folded=tuple(n for n in folded if n not in there)
    )
    return Counterpart(renamed, run, found, conversions)


def _converts(step: Step, found: Match) -> bool:
    return step.op_type in QUANTISERS or any(name in found.beside for name in step.layers)


def _step(
    step: Step, groups: Mapping[str, Sequence[str]], places: Mapping[str, int], own: set[str]
) -> Step:
    names = dict.fromkeys(n for name in step.layers for n in groups.get(name, ()))
    left = tuple(name for name in step.layers if name in own)
    layers = (*sorted(names, key=lambda name: places[name]), *left)
    return replace(step, layers=layers, shared=())


def _layers(table: LayerTable, found: Match, original: LayerTable) -> list[Layer]:
    """The float network's layers where they have a counterpart, and what has none."""
    known = {name for group in found.groups for name in group.float_layers}
    mine = set(found.only_quantised)
    ours = [layer for layer in original.nodes if layer.name in known]
    return [*ours, *(layer for layer in table.nodes if layer.name in mine)]
