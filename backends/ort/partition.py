"""Which layers a compiled subgraph covers, from the runtime's own list of its nodes.

A provider that compiles (OpenVINO, TensorRT) takes whole subgraphs. The executed graph then
cannot be saved, but onnxruntime lists the nodes of each subgraph (since 1.24, session option
`session.record_ep_graph_assignment_info`). These are nodes of the graph at the basic level, which
can be saved without the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx

from onnxprof.backends.ort.graphs.earlier import Earlier
from onnxprof.backends.ort.graphs.graphs import ExecutedNode, TiedNodes
from onnxprof.backends.ort.graphs.walk import INSERTED, proposals
from onnxprof.backends.ort.profile import Key, Profile
from onnxprof.provenance.onnx_graph import read_graph
from onnxprof.provenance.slice import Anchor, Assignment, assign
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence

RECORD = "session.record_ep_graph_assignment_info"
#: Node names of each subgraph of a provider, in the order in which they were taken.
Subgraphs = Sequence[tuple[str, ...]]


def subgraphs(session: Any, provider: str) -> Subgraphs:
    """The subgraphs that the provider took; empty where the session cannot list them."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:
        return ()
    return [
        tuple(node.name for node in subgraph.get_nodes())
        for subgraph in tell()
        if subgraph.ep_name == provider
    ]


def tie_compiled(
    original: onnx.ModelProto,
    basic: onnx.ModelProto,
    taken: Subgraphs,
    profile: Profile,
    provider: str,
) -> TiedNodes:
    """Tie the executed nodes, one a profile key in execution order, to the original's layers.

    Compiled subgraphs cover the layers of their nodes; other nodes are tied by name.
    """
    before, witness = read_graph(original.graph), read_graph(basic.graph)
    earlier = Earlier(before, {})
    keys = list(profile.steps)
    owned = dict(_matched(keys, taken, profile, provider, witness))
    anchors = [a for i, key in enumerate(keys) if (a := _anchor(i, key, owned, earlier, witness))]
    computed = {name for node in before.nodes for name in node.outputs}
    assignment = assign(before, anchors, fixed=computed & witness.constants)
    return TiedNodes(
        [_executed(i, key, assignment) for i, key in enumerate(keys)], list(assignment.folded)
    )


def _matched(
    keys: Sequence[Key], taken: Subgraphs, profile: Profile, provider: str, witness: Graph
) -> Iterator[tuple[Key, tuple[tuple[str, ...], Confidence]]]:
    """Compiled steps with their nodes; empty if steps and subgraphs do not correspond.

    Steps have the runtime's number of their node, which rises in the order of the subgraphs. The
    match is certain for one subgraph; for more, the numbers of outputs must be equal as well.
    """
    mine = sorted(
        (key for key in keys if profile.providers[key] == provider), key=lambda k: int(k[2] or 0)
    )
    counts = [len(profile.shapes[key]) for key in mine]
    if len(mine) != len(taken) or counts != [_results(nodes, witness) for nodes in taken]:
        return
    how = Confidence.EXACT if len(mine) == 1 else Confidence.INFERRED
    yield from ((key, (nodes, how)) for key, nodes in zip(mine, taken, strict=True))


def _results(names: Sequence[str], witness: Graph) -> int:
    """The number of tensors that leave a subgraph of these nodes."""
    inside = [node for node in witness.nodes if node.name in names]
    others = [node for node in witness.nodes if node.name not in names]
    read = {name for node in others for name in node.inputs} | set(witness.outputs)
    return sum(name in read for node in inside for name in node.outputs)


def _anchor(
    place: int,
    key: Key,
    owned: Mapping[Key, tuple[tuple[str, ...], Confidence]],
    earlier: Earlier,
    witness: Graph,
) -> Anchor | None:
    if key not in owned:
        return _by_name(place, key, earlier, witness)
    names, how = owned[key]
    yielded = [t for node in witness.nodes if node.name in set(names) for t in node.outputs]
    tensors = tuple(t for t in yielded if t in earlier.produced)
    return Anchor(place, tensors, how, "nodes of the compiled subgraph", 3)


def _by_name(place: int, key: Key, earlier: Earlier, witness: Graph) -> Anchor | None:
    """A node that was not compiled: known by name at the basic level or in the original."""
    name, operator, _ = key
    if operator in INSERTED:
        return None
    outputs = next((node.outputs for node in witness.nodes if node.name == name), ())
    for tensors, why in proposals(GraphNode(name, operator, (), outputs), earlier):
        return Anchor(place, tensors, Confidence.EXACT, why, 1)
    return None


def _executed(place: int, key: Key, assignment: Assignment) -> ExecutedNode:
    layers = assignment.layers.get(place, ())
    if not layers:
        return ExecutedNode(key[0], key[1], (), False, place)
    anchor = assignment.anchors[place]
    sure = anchor.confidence is Confidence.EXACT and place not in assignment.inferred
    confidence = Confidence.EXACT if sure else Confidence.INFERRED
    return ExecutedNode(key[0], key[1], (), False, place, layers, confidence, anchor.evidence)
