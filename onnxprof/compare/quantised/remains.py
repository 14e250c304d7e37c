"""What a walk has left over goes to the layer before or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnxprof.compare.quantised.graph import Graph
from onnxprof.compare.quantised.operators import ABSORBED, PASSING, QUANTISERS
from onnxprof.compare.quantised.walk import Walk
from onnxprof.records.layer import Layer

_JOINING = ABSORBED | PASSING


@dataclass(frozen=True, slots=True)
class Owners:
    """The float layer that each layer is counted to."""

    original: Mapping[str, str]
    quantised: Mapping[str, str]
    beside: Mapping[str, str]
    """Of layers that quantise or dequantise; empty text where they serve none."""


def gathered(walk: Walk) -> Owners:
    """The owners after a walk, with layers that it passed over."""
    ours, theirs = dict(walk.taken), dict(walk.owner)
    _join(walk.original, ours)
    _join(walk.quantised, theirs)
    _join_fixed(walk.quantised, theirs)
    beside = {
        node.name: _served(walk.quantised, node, theirs)
        for node in walk.quantised.nodes
        if node.op_type in QUANTISERS
    }
    return Owners(ours, theirs, beside)


def _join(graph: Graph, owner: dict[str, str]) -> None:
    """Light layers without an owner go to the one before them, else to the one after them."""

    def before(node: Layer) -> Iterable[str]:
        makers = (graph.behind(name) for name in graph.data(node))
        return (maker.name if maker else "" for maker in makers)

    def after(node: Layer) -> Iterable[str]:
        return (reader.name for reader in _readers(graph, node))

    _sweep(graph.nodes, owner, before, graph, alone=True)
    _sweep(graph.nodes[::-1], owner, after, graph, alone=False)


def _sweep(
    nodes: Sequence[Layer],
    owner: dict[str, str],
    neighbours: Callable[[Layer], Iterable[str]],
    graph: Graph,
    *,
    alone: bool,
) -> None:
    """With `alone` only where all neighbours have one owner, else the first one's."""
    for node in nodes:
        if node.name in owner or node.op_type not in _JOINING or graph.is_fixed(node):
            continue
        told = dict.fromkeys(owner.get(name, "") for name in neighbours(node))
        if told and (len(told) == 1 or not alone) and (first := next(iter(told))):
            owner[node.name] = first


def _join_fixed(graph: Graph, owner: dict[str, str]) -> None:
    """Products of scales, and what is done to weights, go to the layer that reads them."""
    for node in graph.nodes[::-1]:
        if node.name in owner or node.op_type in QUANTISERS or not graph.is_fixed(node):
            continue
        told = [owner[reader.name] for reader in _readers(graph, node) if reader.name in owner]
        if told:
            owner[node.name] = told[0]


def _readers(graph: Graph, node: Layer) -> list[Layer]:
    """Those behind layers that quantise or dequantise, too."""
    found: dict[str, Layer] = {}
    waiting = [t.name for t in node.outputs]
    while waiting:
        for reader in graph.readers.get(waiting.pop(), ()):
            if reader.name not in found:
                found[reader.name] = reader
                if reader.op_type in QUANTISERS:
                    waiting += [t.name for t in reader.outputs]
    return [reader for reader in found.values() if reader.op_type not in QUANTISERS]


def _served(graph: Graph, node: Layer, owner: Mapping[str, str]) -> str:
    """What makes the tensor that is quantised, or reads the one that is dequantised."""
    maker = graph.behind(node.inputs[0].name) if node.inputs else None
    made = owner.get(maker.name, "") if maker is not None else ""
    read = next((owner[r.name] for r in _readers(graph, node) if r.name in owner), "")
    return (made or read) if node.op_type == "QuantizeLinear" else (read or made)
