"""Calls whose outputs nobody reads, left out of a program."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.backends.torch.program.program import UNWANTED, Call, Program

#: For every call that is a layer: the call, the number of the layer that holds it (or -1), and the
#: position among the calls of the main graph.
Layers = list[tuple[Call, int, int]]


def prune(program: Program, layers: Layers) -> None:
    """Leave out the calls whose outputs nobody reads, and number the rest."""
    wanted = set(program.outputs)
    kept: list[Call] = []
    for call in reversed(program.calls):
        if wanted.intersection(call.outputs) - {UNWANTED}:
            wanted.update(call.inputs)
            kept.append(call)
    program.calls = kept[::-1]
    _renumber(layers, {id(call): at for at, call in enumerate(program.calls)})


def _renumber(layers: Layers, places: Mapping[int, int]) -> None:
    """Renumber positions without removed calls; layers inside removed calls are dropped."""
    kept: Layers = []
    number: dict[int, int] = {-1: -1}
    for old, (call, parent, _) in enumerate(layers):
        top = parent == -1
        if (top and id(call) not in places) or parent not in number:
            continue
        number[old] = call.number = len(kept)
        position = places[id(call)] if top else kept[number[parent]][2]
        kept.append((call, number[parent], position))
    layers[:] = kept
