"""Steps from onnxruntime's profile and the executed graph.

A step is named after its work, never after the runtime's node: names such as
`ReorderOutput_token_5` come from the order of a hash table, which differs from process to process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxprof.backends.ort.graphs.graphs import ExecutedNode, TiedNodes
from onnxprof.backends.ort.graphs.walk import MOVERS
from onnxprof.backends.ort.profile import Key, Profile, keys_by_node
from onnxprof.plugins.backend import Trace
from onnxprof.records.layer import Tensor
from onnxprof.records.step import Confidence, Step


@dataclass(frozen=True, slots=True)
class TimedNodes:
    """A step of the profile, with the nodes in the executed graph."""

    node: ExecutedNode
    keys: tuple[Key, ...]
    """Keys in the profile: the step's node first, then nodes that work for it."""
    first: int = -1
    """Position in the graph of the first node; -1 if there is none."""
    places: tuple[int, ...] = ()
    """Positions of the nodes in the graph; empty for a node of a subgraph."""
    numbers: tuple[int, ...] = ()
    """Indices of the nodes in `TiedNodes.nodes`, those of subgraphs included."""

    @property
    def barred(self) -> range:
        """Positions where a cut would separate nodes of the step."""
        return range(self.first + 1, self.node.position + 1) if self.first >= 0 else range(0)


def build_trace(
    profile: Profile, ties: TiedNodes, length: int, operators: Mapping[str, str] | None = None
) -> Trace:
    """Join a profile with the graph that ran, of `length` nodes: one step a node, in order.

    `operators` gives the operator of each layer.
    """
    joined = joined_steps(profile, ties)
    titles = _told_apart([title(entry.node, operators or {}) for entry in joined])
    steps = tuple(_step(*pair, profile) for pair in zip(joined, titles, strict=True))
    times = np.zeros((len(joined), profile.inferences), np.int64)
    for row, entry in enumerate(joined):
        for key in entry.keys:
            for inference, ns in profile.steps.get(key, {}).items():
                times[row, inference] += ns
    shapes = tuple(s for entry in joined for s in _original_shapes(entry, profile))
    known = all(entry.node.position >= 0 for entry in joined)
    return Trace(
        steps=steps,
        step_ns=times,
        folded=tuple(ties.folded),
        shapes=shapes,
        length=length if known else 0,
        barred=frozenset(place for entry in joined for place in entry.barred),
    )


def joined_steps(profile: Profile, ties: TiedNodes) -> list[TimedNodes]:
    """The executed steps, with their keys in the profile."""
    return _gathered(_join(profile, ties), ties)


def _join(profile: Profile, ties: TiedNodes) -> list[TimedNodes]:
    """Match profile keys to executed nodes by name and operator, repeated ones in order."""
    nodes = ((node.name, node.op_type) for node in ties.nodes)
    waiting, joined = keys_by_node(profile.steps, nodes), []
    for place, node in enumerate(ties.nodes):
        keys = waiting.get((node.name, node.op_type), [])
        if keys:  # a node of a subgraph is behind its control-flow node
            places = (place,) if node.position == place else ()
            joined.append(TimedNodes(node, (keys.pop(0),), places=places, numbers=(place,)))
    strangers = [key for keys in waiting.values() for key in keys]
    return joined + [TimedNodes(ExecutedNode(k[0], k[1], (), False, -1), (k,)) for k in strangers]


def _gathered(joined: list[TimedNodes], ties: TiedNodes) -> list[TimedNodes]:
    """Join nodes that compute layers together into the step of the node that completes them."""
    place = {id(node): i for i, node in enumerate(ties.nodes)}
    there = {place[id(entry.node)] for entry in joined if id(entry.node) in place}
    helpers: dict[int, list[TimedNodes]] = defaultdict(list)
    for entry in joined:
        if entry.node.head in there:
            helpers[entry.node.head].append(entry)
    return [
        _with(entry, helpers.get(place.get(id(entry.node), -1), []))
        for entry in joined
        if entry.node.head not in there
    ]


def _with(entry: TimedNodes, helpers: Sequence[TimedNodes]) -> TimedNodes:
    if not helpers:
        return entry
    keys = tuple(key for helper in helpers for key in helper.keys)
    first = min(helper.node.position for helper in helpers)
    node = replace(entry.node, op_type=_work(entry, helpers))
    places = _together([entry.places, *(helper.places for helper in helpers)])
    numbers = _together([entry.numbers, *(helper.numbers for helper in helpers)])
    return TimedNodes(node, (*entry.keys, *keys), first, places, numbers)


def _together(parts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The parts joined; empty if one part is empty."""
    return tuple(place for part in parts for place in part) if all(parts) else ()


def _work(entry: TimedNodes, helpers: Sequence[TimedNodes]) -> str:
    """The operators that do the work: `Gemm` for a Gemm between two Reshapes."""
    kinds = [node.op_type for node in (*(h.node for h in helpers), entry.node)]
    return "+".join(dict.fromkeys(k for k in kinds if k not in MOVERS)) or entry.node.op_type


def title(node: ExecutedNode, operators: Mapping[str, str]) -> str:
    """The name of a step: by the layer whose work it does, or the tensor that it passes on."""
    if not node.layers:
        return f"{node.op_type} of {node.source}" if node.source else node.op_type
    kinds = {
        name: _KIN.get(operators.get(name, ""), operators.get(name, "")) for name in node.layers
    }
    done = [_KIN.get(part, part) for part in node.op_type.split("+")]
    fits = (name for name, kind in kinds.items() if kind and any(d.endswith(kind) for d in done))
    return next(fits, node.layers[-1])


#: Operators that may replace one another.
_KIN = {"Gemm": "MatMul", "FusedGemm": "MatMul", "MatMulInteger": "MatMul", "ConvInteger": "Conv"}


def _told_apart(titles: Sequence[str]) -> list[str]:
    """The titles, with equal ones numbered in the order of execution."""
    seen: Counter[str] = Counter()
    unique = []
    for text in titles:
        seen[text] += 1
        unique.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return unique


def _step(entry: TimedNodes, name: str, profile: Profile) -> Step:
    node, key = entry.node, entry.keys[0]
    shapes = profile.shapes.get(key, ())
    outputs = zip(_tensors(node, name, len(shapes)), shapes, strict=True)
    return Step(
        name=name,
        op_type=node.op_type,
        provider=profile.providers.get(key, ""),
        layers=node.layers,
        confidence=node.confidence if node.layers else Confidence.NONE,
        evidence=node.evidence,
        outputs=tuple(Tensor(n, dtype, shape, observed=True) for n, (dtype, shape) in outputs),
        position=node.position,
        nodes=len(entry.keys),
        shared=node.shared,
        runtime_name=node.name,
    )


def _tensors(node: ExecutedNode, name: str, count: int) -> Sequence[str]:
    """The original's names of the outputs, or names made from the step's name."""
    if len(node.anchors) == count:
        return node.anchors
    return [name if i == 0 else f"{name} #{i + 1}" for i in range(count)]


def _original_shapes(entry: TimedNodes, profile: Profile) -> Iterator[Tensor]:
    shapes = profile.shapes.get(entry.keys[0], ())
    if len(shapes) == len(entry.node.anchors):
        for name, (dtype, shape) in zip(entry.node.anchors, shapes, strict=True):
            yield Tensor(name, dtype, shape, observed=True)
