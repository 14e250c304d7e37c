"""The graph that OpenVINO executes, with nodes tied to layers.

An executed node lists the operations that it computes, by the marks of `marks.py`. Marks are
evidence, not proof: nodes that optimisation made have none, a fused bias may lose the MatMul's,
and a node without work passes marks on. `holders.py` finds the nodes that computed layers which
no node names. Nodes that share a layer, or are parts of one, are one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from onnxprof.backends.openvino.graphs.clues import LAYOUT, PASSIVE, Clues, RuntimeNode
from onnxprof.backends.openvino.graphs.holders import Groups, Held, Twins, hold, unite_shared
from onnxprof.backends.openvino.graphs.marks import Marks
from onnxprof.provenance.slice import Anchor, Assignment, assign
from onnxprof.provenance.ties import TiedStep, Ties
from onnxprof.provenance.topology import Graph
from onnxprof.records.step import Confidence


def tie(
    original: Graph,
    nodes: Sequence[RuntimeNode],
    marks: Marks,
    twins: Twins = dict,
    *,
    reported: bool = False,
) -> Ties:
    """Tie the nodes, in execution order, to the layers of `original`.

    A node that ran is in one step, and a layer in at most one. With `reported`, nodes list only
    the layer that they are named after, not all layers that they compute.
    """
    clues = Clues.gather(original, nodes, marks)
    clues.reported = reported
    groups = Groups(nodes)
    held = hold(clues, groups, twins)
    unite_shared(clues, groups)
    members = groups.members()
    anchors = [
        anchor
        for number, places in enumerate(members)
        if (anchor := _anchor(number, places, clues, held))
    ]
    assignment = assign(original, anchors, fixed=clues.fixed())
    steps = tuple(
        _step(number, places, assignment, clues, held) for number, places in enumerate(members)
    )
    return Ties(steps, assignment.folded)


def _step(
    number: int, places: tuple[int, ...], assignment: Assignment, clues: Clues, held: Held
) -> TiedStep:
    named = {name for place in places for name in clues.layers[place]}
    named |= {name for place in places for name in held.layers.get(place, ())}
    if clues.reported and any(clues.is_chain(place) for place in places):
        named |= _turned(assignment.layers.get(number, ()), named, clues)
    layers = _without_edges(assignment.layers.get(number, ()), named, clues)
    if not layers:
        return TiedStep(places)
    anchor = assignment.anchors[number]
    contested = number in assignment.inferred and _is_contested(layers, number, assignment)
    sure = anchor.confidence is Confidence.EXACT and not contested
    confidence = Confidence.EXACT if sure else Confidence.INFERRED
    return TiedStep(places, layers, confidence, anchor.evidence)


def _turned(layers: Sequence[str], named: set[str], clues: Clues) -> set[str]:
    """The Transposes around the products of a chain, which are fused in but not listed."""
    idle = {name for names in clues.landmarks for name in names}
    if not any(clues.by_name[name].op_type == "MatMul" for name in named):
        return set()
    turns = {name for name in layers if clues.by_name[name].op_type == "Transpose"}
    return turns - idle


def _is_contested(layers: Sequence[str], number: int, assignment: Assignment) -> bool:
    """Whether a step still has layers that several steps could have computed."""
    return len(layers) == len(assignment.layers[number])


def _without_edges(layers: Sequence[str], named: set[str], clues: Clues) -> tuple[str, ...]:
    """The layers without unnamed ones, unless these arrange data between two named layers.

    An unnamed Transpose at the edge of a step was left out by the runtime, unless arranging
    data is all that the step does.
    """
    kept = [name for name in layers if _may_stay(name, named, clues)]
    if all(clues.by_name[name].op_type in LAYOUT for name in named):
        idle = {name for names in clues.landmarks for name in names}
        return tuple(name for name in kept if name in named or name not in idle)
    while True:
        inside = set(kept)
        left = [name for name in kept if name in named or not _is_edge(name, inside, clues)]
        if len(left) == len(kept):
            return tuple(kept)
        kept = left


def _may_stay(name: str, named: set[str], clues: Clues) -> bool:
    return name in named or clues.by_name[name].op_type in LAYOUT | PASSIVE


def _is_edge(name: str, inside: set[str], clues: Clues) -> bool:
    """Whether a layer reads no result of the step, or no layer of the step reads its result."""
    node = clues.by_name[name]
    if node.op_type in PASSIVE:
        return False
    makers = (clues.produced[t].name for t in node.inputs if t in clues.produced)
    readers = (n.name for t in node.outputs for n in clues.consumers.get(t, ()))
    return inside.isdisjoint(makers) or inside.isdisjoint(readers)


def with_bodies(ties: Ties, with_inner: Callable[[Sequence[str]], tuple[str, ...]]) -> Ties:
    """The ties, with the layers of subgraphs added to the step of the control-flow layer.

    The runtime times the control-flow node as a whole. `with_inner` adds to layers the layers
    inside them.
    """
    return replace(ties, steps=tuple(_with_body(step, with_inner) for step in ties.steps))


def _with_body(step: TiedStep, with_inner: Callable[[Sequence[str]], tuple[str, ...]]) -> TiedStep:
    layers = with_inner(step.layers)
    sure = step.confidence if len(layers) == len(step.layers) else Confidence.INFERRED
    return replace(step, layers=layers, confidence=sure)


def _anchor(number: int, places: tuple[int, ...], clues: Clues, held: Held) -> Anchor | None:
    """The anchor of a step: the tensors that leave its layers; None for a step without layers."""
    stated = [name for place in places for name in clues.layers[place]]
    guessed = [name for place in places for name in held.layers.get(place, ())]
    layers = set(stated) | set(guessed)
    tensors = tuple(
        tensor
        for name in dict.fromkeys((*stated, *guessed))
        for tensor in clues.by_name[name].outputs
        if tensor not in clues.constant and _is_boundary(tensor, layers, clues)
    )
    if not tensors:
        return None
    sure = held.unsure.isdisjoint(places)
    return Anchor(
        number,
        tensors,
        Confidence.EXACT if sure else Confidence.INFERRED,
        _evidence(sure, held, layers, stated=bool(stated)),
        rank=1 if stated else 0,
    )


def _evidence(sure: bool, held: Held, layers: set[str], *, stated: bool) -> str:
    if not sure:
        return "place among named nodes"
    if not stated:
        return "the only layer of its kind between named nodes"
    if layers & held.shared:
        return "names of its operations; equal layers are computed once"
    return "names of its operations"


def _is_boundary(tensor: str, layers: set[str], clues: Clues) -> bool:
    readers = clues.consumers.get(tensor, ())
    outside = any(node.name not in layers for node in readers)
    return outside or not readers or tensor in clues.original.outputs
