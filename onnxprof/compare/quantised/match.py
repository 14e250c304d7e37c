"""Which layers of a quantised network stand for which layers of its float original.

Both graphs are walked from their inputs. What a tensor of the quantised network carries is
known: quantising and dequantising leave it as it is. So a node that reads what a float layer
reads, and applies the operator that stands for the same float operator, is that layer. Where
several layers read the same, names decide, then the sizes of weights and attributes, then the
order. Where the walk is lost, names, then the order of operators between what is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from onnxprof.compare.quantised.graph import Graph
from onnxprof.compare.quantised.operators import QUANTISERS, float_operator
from onnxprof.compare.quantised.remains import Owners, gathered
from onnxprof.compare.quantised.walk import Walk
from onnxprof.records.layer import Layer, LayerTable

_ROUNDS = 4
#: Between two matched nodes, the most pairs of others that are lined up.
_MOST_PAIRS = 250_000


class Evidence(StrEnum):
    """How two layers were matched."""

    NAME = "name"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Group:
    """Float layers, and the layers of the quantised network that do the same."""

    float_layers: tuple[str, ...]
    """In table order; a convolution with the activation that its quantised kernel takes in."""
    quantised_layers: tuple[str, ...]
    """Without those that only quantise or dequantise."""
    evidence: Evidence
    float_tensor: str
    """The tensor that the float layers yield."""
    quantised_tensor: str
    """The tensor that carries the same in the quantised network."""


@dataclass(frozen=True, slots=True)
class Match:
    """A quantised network beside its float original."""

    groups: tuple[Group, ...]
    """In the order of the float network."""
    beside: Mapping[str, str]
    """From each layer that quantises or dequantises to the float layer that it serves; or ''."""
    only_float: tuple[str, ...]
    """Layers without a counterpart, those that depend on constants alone left out."""
    only_quantised: tuple[str, ...]
    carried: Mapping[str, str]
    """From tensors of the quantised network to the float tensors that they carry."""

    @property
    def part(self) -> float:
        """The part of the float layers that have a counterpart."""
        matched = sum(len(group.float_layers) for group in self.groups)
        return matched / max(1, matched + len(self.only_float))


def match(original: LayerTable, quantised: LayerTable) -> Match:
    """Match the layers of a quantised network with those of its float original."""
    float_graph, graph = Graph.of(original), Graph.of(quantised)
    pinned: dict[str, str] = {}
    for _ in range(_ROUNDS):
        walk = Walk(float_graph, graph, pinned)
        walk.run()
        found = _between(walk)
        if not found:
            break
        pinned |= found
    owners = gathered(walk)
    return _matched(walk, owners, original, quantised)


def _between(walk: Walk) -> dict[str, str]:
    """Pairs of nodes that stand in the same order between nodes that are matched already."""
    ours = [n for n in walk.original.nodes if not walk.original.is_fixed(n)]
    theirs = [n for n in walk.quantised.nodes if _counts(walk, n)]
    places = {node.name: i for i, node in enumerate(ours)}
    found: dict[str, str] = {}
    start, gap = 0, list[Layer]()
    for node in (*theirs, None):
        head = walk.head.get(node.name, "") if node is not None else ""
        if node is not None and not head:
            gap.append(node)
            continue
        end = places.get(head, len(ours)) if node is not None else len(ours)
        if end < start:  # it stands elsewhere in the float network
            continue
        free = [n for n in ours[start:end] if n.name not in walk.taken]
        found.update(_in_order(walk, free, gap))
        start, gap = end + 1, []
    return found


def _counts(walk: Walk, node: Layer) -> bool:
    """Whether a node is a layer, or may be one: not one that converts or rescales."""
    if walk.quantised.is_fixed(node) or node.op_type in QUANTISERS:
        return False
    return node.name not in walk.owner or node.name in walk.head


def _in_order(walk: Walk, ours: Sequence[Layer], theirs: Sequence[Layer]) -> dict[str, str]:
    if not ours or not theirs or len(ours) * len(theirs) > _MOST_PAIRS:
        return {}
    a = [_key(walk.original, node) for node in ours]
    b = [_key(walk.quantised, node) for node in theirs]
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return {
        theirs[other + i].name: ours[start + i].name
        for start, other, size in blocks
        for i in range(size)
    }


def _key(graph: Graph, node: Layer) -> tuple[object, ...]:
    return float_operator(node.op_type), *graph.signature(node)


def _matched(walk: Walk, owners: Owners, original: LayerTable, quantised: LayerTable) -> Match:
    ours: dict[str, list[str]] = {}
    theirs: dict[str, list[str]] = {}
    for layer in original.nodes:
        if layer.name in owners.original:
            ours.setdefault(owners.original[layer.name], []).append(layer.name)
    for layer in quantised.nodes:
        if layer.name in owners.quantised:
            theirs.setdefault(owners.quantised[layer.name], []).append(layer.name)
    yields = _last(walk.original, owners.original), _last(walk.quantised, owners.quantised)
    groups = tuple(
        Group(
            tuple(names),
            tuple(theirs[head]),
            Evidence.NAME if head in walk.named else Evidence.STRUCTURE,
            *(its.get(head, "") for its in yields),
        )
        for head, names in ours.items()
        if head in theirs
    )
    inner = {n.name: n.op_type for n in original.nodes if n.parent}
    alike = [n.name for n in quantised.nodes if n.parent and inner.get(n.name) == n.op_type]
    nested = tuple(Group((n,), (n,), Evidence.NAME, "", "") for n in alike)
    known = {n for g in groups + nested for n in (*g.float_layers,)}
    theirs_known = {n for g in groups + nested for n in g.quantised_layers}
    return Match(
        groups + nested,
        owners.beside,
        tuple(n for n in _live(walk.original, original) if n not in known),
        tuple(
            n
            for n in _live(walk.quantised, quantised)
            if n not in theirs_known and n not in owners.beside
        ),
        walk.value,
    )


def _live(graph: Graph, table: LayerTable) -> list[str]:
    """Layers that data flows through."""
    return [n.name for n in table.nodes if n.parent or not graph.is_fixed(n)]


def _last(graph: Graph, owner: Mapping[str, str]) -> dict[str, str]:
    """From each owner to what the last of its nodes yields."""
    return {
        owner[node.name]: node.outputs[0].name
        for node in graph.nodes
        if node.name in owner and not graph.is_fixed(node)
    }
