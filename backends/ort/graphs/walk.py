"""Two forms of one graph, walked together, to match the results of the later with the earlier.

Nodes are visited in the order of execution, so the tensors of the earlier form that a node's
inputs carry are known. A node that applies the same operator to the same inputs yields the same
result. Where an optimiser rewrote more, a name only proposes a result; the proposal holds if the
earlier form computes that result from the node's inputs and constants alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from onnxprof.backends.ort.graphs.earlier import Earlier
from onnxprof.backends.ort.graphs.rounded import rounded
from onnxprof.provenance.topology import Graph, GraphNode

#: Operators inserted by the layout optimiser and the partitioner; they belong to no layer.
INSERTED = frozenset({"ReorderInput", "ReorderOutput", "MemcpyToHost", "MemcpyFromHost"})
#: Operators that give a tensor another shape and leave the bytes unchanged.
VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten"})
#: Operators that optimisers move; weak evidence where they yield another layer's tensor.
MOVERS = VIEWS | {"Transpose", "Cast"}
#: How the layout optimiser names a node: an original output tensor plus one of these.
SUFFIXES = ("_nchwc", "_bn_nchwc", "_mul_nchwc")
#: The most movers between an operator and the one appended to it.
_BETWEEN = 4
#: Prefix and suffix that the runtime adds to the name of a replaced node or tensor.
_BEFORE = re.compile(r"^(InsertedPrecisionFreeCast_|FusedBack_)+")
_BEHIND = re.compile(r"(_token_\d+|/duplicated|/\w+Fusion)+/?$")
#: Operators with weights, whose fused and quantised forms end with their name.
_WEIGHTED = ("ConvTranspose", "ConvInteger", "Conv", "MatMulInteger", "MatMul", "Gemm")

OUTPUT, EQUAL = "output tensor", "same operator on the same inputs"

#: Tensors of the earlier form that a node may yield, and the evidence.
Proposal = tuple[tuple[str, ...], str]


class Match(NamedTuple):
    """The tensors of the earlier form that a node of the later form yields, with the evidence."""

    tensors: tuple[str, ...]
    evidence: str
    sure: bool
    """Whether the earlier form computes the tensors from exactly the inputs of the node."""


@dataclass(slots=True)
class Walked:
    """The result of a walk, by position in the later form."""

    matches: dict[int, Match] = field(default_factory=dict)
    passed: dict[int, str] = field(default_factory=dict)
    """Nodes that were inserted to pass a tensor on in another layout, type or shape."""
    repeats: dict[int, int] = field(default_factory=dict)
    """Nodes that repeat the computation of an earlier node, which is the value."""
    sources: dict[int, str] = field(default_factory=dict)
    """For each node, the tensor that it passes on, or the first that it is computed from."""
    carried: dict[str, str] = field(default_factory=dict)
    """From tensors of the later form to representatives in the earlier one."""
    yields: dict[str, str] = field(default_factory=dict)
    """From outputs of the later form to tensors of the earlier one, as a node claims them."""


class Walk:
    """One walk; `propose` returns further proposals for a node, beside name and outputs."""

    def __init__(
        self,
        earlier: Earlier,
        later: Graph,
        given: Mapping[str, str],
        propose: Callable[[int], Iterator[Proposal]] = lambda _: iter(()),
        passes: Mapping[int, str] | None = None,
    ) -> None:
        self.earlier = earlier
        self._later = later
        self._propose = propose
        self._passes = passes or {}
        self.walked = Walked(carried=dict(given))
        self._sources: dict[str, frozenset[str]] = {}
        self._moved: set[str] = set()
        self._made: dict[str, int] = {}
        for name in later.constants:
            if like := earlier.constant_like(name, later.contents.get(name, "")):
                self.walked.carried[name] = like

    def run(self) -> Walked:
        """Visit every node once."""
        computed = {name for node in self._later.nodes for name in node.outputs}
        for place, node in enumerate(self._later.nodes):
            for name in node.inputs:
                if name not in computed and name not in self._later.constants:
                    self.walked.carried.setdefault(name, self.earlier.one(name))
            self._visit(place, node)
        return self.walked

    def _visit(self, place: int, node: GraphNode) -> None:
        known = frozenset().union(*map(self._behind, node.inputs))
        if known:
            self.walked.sources[place] = min(known)
        if node.op_type in INSERTED:
            return self._pass(place, node, known)
        match = self._ending(node, self._equal(node), known) or self._proposed(place, node, known)
        if match is None or (node.op_type in MOVERS and self._only_passes(node, match)):
            match = None if match else self._searched(node, known)
            if match is None:
                return self._pass(place, node, known)
        self._take(place, node, self._rounded(node, match, known))
        return None

    def _rounded(self, node: GraphNode, match: Match, known: frozenset[str]) -> Match:
        """The match, extended by the QuantizeLinear that a node on integers includes."""
        tensors = rounded(node, match.tensors, self.earlier, self.walked.carried)
        closed = all(self.earlier.between(name, known) for name in tensors)
        return match._replace(tensors=tensors) if closed or not match.sure else match

    def _behind(self, name: str) -> frozenset[str]:
        """The tensors of the earlier form that an input is computed from, nearest first."""
        if name in self._sources:
            return self._sources[name]
        one = self.walked.carried.get(name, "")
        return frozenset() if not one or one in self.earlier.constant else frozenset({one})

    def _pass(self, place: int, node: GraphNode, known: frozenset[str]) -> None:
        """Let the output carry the tensor of the first input, unless the node does work."""
        carries = self.walked.carried.get(node.inputs[0], "") if node.inputs else ""
        moves = node.op_type in INSERTED or node.op_type in MOVERS
        if moves and not carries:
            carries = self.walked.carried.get(self._passes.get(place, ""), "")
        for name in node.outputs:
            if moves and carries:
                self.walked.passed[place] = self.walked.sources[place] = carries
                self.walked.carried[name] = carries
                if node.op_type in MOVERS or node.inputs[0] in self._moved:
                    self._moved.add(name)
            self._sources[name] = known

    def _take(self, place: int, node: GraphNode, match: Match) -> None:
        ones = [self.earlier.one(name) for name in match.tensors]
        for first in {self._made[one] for one in ones if one in self._made}:
            if self._same_work(first, node, match):
                self.walked.repeats[place] = first
        self.walked.matches[place] = match
        known = frozenset().union(*map(self._behind, node.inputs))
        self._sources |= dict.fromkeys(node.outputs, known)
        for name, tensor in _outputs(node, match.tensors):
            self.walked.carried[name] = self.earlier.one(tensor)
            self.walked.yields[name] = tensor
            self._sources[name] = self._behind_value(tensor)
        for one in ones:
            self._made.setdefault(one, place)

    def _same_work(self, first: int, node: GraphNode, match: Match) -> bool:
        alike = self._later.nodes[first].op_type == node.op_type
        return alike and self.walked.matches[first].tensors == match.tensors

    def _behind_value(self, tensor: str) -> frozenset[str]:
        one = self.earlier.one(tensor)
        return frozenset() if one in self.earlier.constant else frozenset({one})

    def _equal(self, node: GraphNode) -> Match | None:
        if node.op_type in MOVERS and not self._moved.isdisjoint(node.inputs):
            return None
        alike = self.earlier.equal(node, self.walked.carried)
        if not alike:
            return None
        named = (n for n in alike if n.name == node.name or {*n.outputs} & {*node.outputs})
        fresh = (n for n in alike if self.earlier.one(n.outputs[0]) not in self._made)
        chosen = next(named, None) or next(fresh, alike[0])
        return Match(chosen.outputs, EQUAL, True)

    def _ending(self, node: GraphNode, match: Match | None, known: frozenset[str]) -> Match | None:
        """The match, extended to a later tensor if the output has the name of that tensor."""
        if match is None or len(match.tensors) > 1 or node.outputs[0] not in self.earlier.produced:
            return match
        last = self.earlier.between(node.outputs[0], known)
        inside = last and self.earlier.produced[match.tensors[0]] in last.nodes[1:]
        return Match(node.outputs[:1], OUTPUT, True) if inside else match

    def _proposed(self, place: int, node: GraphNode, known: frozenset[str]) -> Match | None:
        weak: Match | None = None
        for tensors, why in (*self._propose(place), *proposals(node, self.earlier)):
            grown = tensors if why == OUTPUT else self._grown(node, tensors)
            match = self._checked(self._weighted(node, grown or tensors, known), why, known)
            if match and match.sure and grown:
                return match
            weak = weak or (match and match._replace(sure=False))
        return weak

    def _checked(self, tensors: tuple[str, ...], why: str, known: frozenset[str]) -> Match | None:
        """The match for tensors; sure if their slices end at exactly the inputs of the node."""
        slices = [self.earlier.between(name, known) for name in tensors]
        closed = [part for part in slices if part is not None]
        if len(closed) < len(slices):
            return Match(tensors, f"{why} alone", False) if why == OUTPUT else None
        reached = set().union(*(part.reached for part in closed))
        needless = {k for k in known if k not in reached and k not in self.earlier.shapes}
        return Match(tensors, why, not needless)

    def _weighted(
        self, node: GraphNode, tensors: tuple[str, ...], known: frozenset[str]
    ) -> tuple[str, ...]:
        """The tensors, extended by layers that use the remaining constants of the node."""
        if len(tensors) > 1 or not node.op_type.endswith(_WEIGHTED):
            return tensors
        reached = self._reaching(
            self.earlier.produced[tensors[0]], self._needed(node, known), known
        )
        return reached or tensors

    def _needed(self, node: GraphNode, known: frozenset[str]) -> frozenset[str]:
        """The known tensors, and the constants of the earlier form that the node reads."""
        carried = (self.walked.carried.get(name, "") for name in node.inputs)
        return known | {one for one in carried if one in self.earlier.constant}

    def _grown(self, node: GraphNode, tensors: tuple[str, ...]) -> tuple[str, ...]:
        """The tensors behind the operators appended to the node; empty if one is missing."""
        if not node.hints or len(tensors) != 1:
            return tensors
        last = self.earlier.produced[tensors[0]].op_type
        done = [i for i, hint in enumerate(node.hints, 1) if last in hint.split("|")]
        tensor = tensors[0]
        for hint in node.hints[max(done, default=0) :]:
            tensor = self._next(tensor, hint.split("|")) if tensor else ""
        return (tensor,) if tensor else ()

    def _next(self, tensor: str, operators: list[str]) -> str:
        """The result of the next such operator, with only movers between; empty for none."""
        for _ in range(_BETWEEN):
            readers = self.earlier.readers.get(self.earlier.one(tensor), ())
            for node in readers:
                if node.op_type in operators:
                    return node.outputs[0]
            if len(readers) != 1 or readers[0].op_type not in MOVERS:
                return ""
            tensor = readers[0].outputs[0]
        return ""

    def _only_passes(self, node: GraphNode, match: Match) -> bool:
        """Whether the result is the node's first input in another layout, type or shape."""
        carries = self.walked.carried.get(node.inputs[0], "") if node.inputs else ""
        one = self.earlier.one(match.tensors[0])
        maker = self.earlier.produced[match.tensors[0]]
        return one == carries and maker.op_type != node.op_type

    def _searched(self, node: GraphNode, known: frozenset[str]) -> Match | None:
        """The nearest layer ahead with the node's operator and exactly the node's inputs."""
        plain = next((op for op in _WEIGHTED if node.op_type.endswith(op)), "")
        wanted = {"Gemm", "MatMul"} if plain == "Gemm" else {plain}
        if not known or not wanted & self.earlier.operators:
            return None
        needed = self._needed(node, known)
        fits: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for candidate in self.earlier.ahead(known, wanted):
            tensors = self._reaching(candidate, needed, known)
            if tensors and self.earlier.one(tensors[0]) not in self._made:
                fits[self._length(tensors, known)].append(self._grown(node, tensors) or tensors)
        nearest = fits[min(fits)] if fits else []
        if len(nearest) != 1:
            return None
        sure = len(needed) > len(known)
        return Match(nearest[0], "its operator, inputs and weights", sure)

    def _length(self, tensors: tuple[str, ...], known: frozenset[str]) -> int:
        between = self.earlier.between(tensors[0], known)
        return len(between.nodes) if between else 0

    def _reaching(
        self, node: GraphNode, needed: frozenset[str], known: frozenset[str]
    ) -> tuple[str, ...] | None:
        """The first result, of the node or of its only readers, that uses all of `needed`."""
        tensor = node.outputs[0]
        while (part := self.earlier.between(tensor, known)) is not None:
            if needed <= part.reached:
                return (tensor,)
            one = self.earlier.one(tensor)
            after = self.earlier.readers.get(one, ())
            results = {self.earlier.one(out): out for reader in after for out in reader.outputs}
            results.pop(one, None)  # the result of an Identity
            if len(results) != 1:
                return None
            tensor = next(iter(results.values()))
        return None


def proposals(node: GraphNode, earlier: Earlier) -> Iterator[Proposal]:
    """The results that the names of a node and of the outputs propose, the likeliest first."""
    for clean, why in (
        (str, OUTPUT),
        (plain_name, "output tensor behind what was put around its name"),
    ):
        direct = tuple(t for t in map(clean, node.outputs) if t in earlier.produced)
        if direct:
            yield direct, why
    for name in dict.fromkeys((node.name, plain_name(node.name))):
        outputs = earlier.by_name[name].outputs if name and name in earlier.by_name else ()
        if outputs and len(node.outputs) in (0, len(outputs)):
            yield outputs, "node name"
        for suffix in SUFFIXES:
            stem = name.removesuffix(suffix)
            for tensor in dict.fromkeys((stem, plain_name(stem))) if stem != name else ():
                if tensor in earlier.produced:
                    yield (tensor,), "name of its output tensor"
    for name in node.outputs:  # the transpose optimiser names outputs after layers
        if name in earlier.by_name and earlier.by_name[name].outputs[1:] == ():
            yield earlier.by_name[name].outputs, "output named after its layer"


def plain_name(name: str) -> str:
    """A name without the prefix and suffix that the runtime adds when it replaces a node."""
    return _BEHIND.sub("", _BEFORE.sub("", name))


def _outputs(node: GraphNode, tensors: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Outputs with the tensors that they hold: by name, else by position."""
    if {*node.outputs} & {*tensors}:
        yield from ((name, name) for name in node.outputs if name in tensors)
    elif len(node.outputs) == len(tensors):
        yield from zip(node.outputs, tensors, strict=True)
    elif tensors:
        yield node.outputs[0], tensors[0]
