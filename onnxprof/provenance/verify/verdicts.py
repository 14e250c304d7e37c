"""Claims of steps compared with the values that the executed and the original graph computed.

A step that covers layers must read the tensors that these layers read from outside, and yield
the results that other layers read. Both are looked up by value, in two runs on inputs of
different seeds; names made by a runtime are not used.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.provenance.congruence import constant_tensors
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.boundary import boundary
from onnxprof.provenance.verify.likeness import (
    UNLIKE,
    Original,
    Sampled,
    fits,
    fits_any,
    likeness,
)
from onnxprof.provenance.verify.moments import Moments, may_be_equal, moments
from onnxprof.provenance.verify.rounding import dequantised, origin, rounding_size

Array = NDArray[Any]
Values = Mapping[str, Array]

#: What a tensor's error may be, by the coarsest type that a network computes in. Measured on
#: the corpus in tests/support/networks: correct ties stay below a quarter of these bounds
#: in all but ill-conditioned layers, other tensors of the same size lie above 0.3 in all but
#: degenerate cases.
TOLERANCES = {"float64": 4e-3, "float32": 4e-3, "float16": 8e-2, "bfloat16": 0.2}
#: Roundings flip where 8 bits are computed in another order, and flips add up with depth.
QUANTISED = 0.2
_IN_8_BITS = ("Quantize", "QLinear", "Integer", "QGemm")
_PLAIN = TOLERANCES["float32"]
_FIRST = 4096
TOO_LATE = "the time for the check was used up"
#: A match with an error above this part of the tolerance counts only if no other tensor of the
#: original is much closer; the second value says by what factor.
SURE, _CLOSER = 0.25, 0.8


class Outcome(StrEnum):
    """The result of checking a claim."""

    VERIFIED = "verified"
    REFUTED = "refuted"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Claim:
    """That some nodes of the executed graph did the work of some layers of the original."""

    step: int
    """Position among the steps."""
    nodes: tuple[int, ...]
    """Positions of the nodes in the executed graph; empty where the step is not in it."""
    layers: tuple[str, ...]
    obstacle: str = ""
    """Why the claim cannot be checked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's outcome, the tensor of the original that decided it, and why."""

    step: int
    outcome: Outcome
    reason: str = ""
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """All readable tensors of both graphs, from one run on the same inputs."""

    original: Values
    executed: Values


@dataclass
class Evidence:
    """Both graphs and their values, and the errors between tensors that were compared."""

    original: Graph
    executed: Graph
    runs: Sequence[Observed]
    tolerance: float = _PLAIN
    skipped: frozenset[str] = frozenset()
    """Layers of branches that did not run."""
    passing: frozenset[str] = frozenset()
    """Layers that pass on the results of a branch that stands in the main graph."""
    only_sure: bool = False
    """Not all values are here: a match counts only where no other tensor need be looked at."""
    _errors: dict[tuple[str, str], float] = field(default_factory=dict)
    _prepared: dict[tuple[int, str], Original] = field(default_factory=dict)
    _varying: dict[str, bool] = field(default_factory=dict)
    _samples: dict[tuple[int, str], Sampled | None] = field(default_factory=dict)
    _moments: dict[tuple[int, str, str], Moments | None] = field(default_factory=dict)

    def error(self, tensor: str, executed: str) -> float:
        """The largest error, over the runs, of an executed tensor against an original one."""
        key = (tensor, executed)
        if key not in self._errors:
            self._errors[key] = max(self._errors_by_run(tensor, executed), default=UNLIKE.error)
        return self._errors[key]

    def _errors_by_run(self, tensor: str, executed: str) -> Iterator[float]:
        for i, run in enumerate(self.runs):
            if tensor not in run.original or executed not in run.executed:
                yield UNLIKE.error
                return
            one, other = run.original[tensor], run.executed[executed]
            sums = self._sums(i, "original", tensor, one), self._sums(i, "", executed, other)
            wanted = self.prepared(i, tensor)
            if not may_be_equal(*sums, self.tolerance, wanted.rounding(other.dtype)):
                yield UNLIKE.error
                return
            error = likeness(wanted, other, self.tolerance).error
            yield error
            if error > self.tolerance:
                return

    def prepared(self, run: int, tensor: str) -> Original:
        """The original's tensor in a run, ready to be compared."""
        if (run, tensor) not in self._prepared:
            size = rounding_size(tensor, self._producers, partial(self._largest, run))
            value, level = self.runs[run].original[tensor], self._level(run, tensor)
            sampled = self._sampled(run, tensor)
            self._prepared[run, tensor] = Original(value, size, level, sampled)
        return self._prepared[run, tensor]

    def _level(self, run: int, tensor: str) -> float:
        """The distance between levels of a dequantised tensor; 0 for any other."""
        after, before = dequantised(tensor, self._producers)
        values = self.runs[run].original
        if after not in values or before not in values or not values[before].size:
            return 0.0
        steps = float(np.ptp(values[before].astype(np.float64)))
        return float(np.ptp(values[after].astype(np.float64))) / steps if steps else 0.0

    def _largest(self, run: int, tensor: str) -> float:
        """The largest value of a tensor, masks left out; 0 where there is none."""
        sampled = self._sampled(run, tensor)
        return sampled.largest if sampled else 0.0

    def _sampled(self, run: int, tensor: str) -> Sampled | None:
        key = (run, tensor)
        if key not in self._samples:
            value = self.runs[run].original.get(tensor)
            self._samples[key] = None if value is None else Sampled.of(value)
        return self._samples[key]

    @cached_property
    def _producers(self) -> Mapping[str, GraphNode]:
        return self.original.producers()

    def _sums(self, run: int, side: str, name: str, value: Array) -> Moments | None:
        key = (run, side, name)
        if key not in self._moments:
            self._moments[key] = moments(value)
        return self._moments[key]

    def known(self, tensor: str) -> bool:
        """Whether the original's tensor was seen in every run."""
        return all(tensor in run.original for run in self.runs)

    def varies(self, tensor: str) -> bool:
        """Whether an original tensor depends on the inputs, as far as the runs can tell."""
        if not self._apart:
            return tensor not in self._constant
        if tensor not in self._varying:
            first, *others = (run.original[tensor] for run in self.runs)
            self._varying[tensor] = any(not _equal(first, other) for other in others)
        return self._varying[tensor]

    @cached_property
    def _apart(self) -> bool:
        """Whether there are runs on different inputs, which show what depends on them."""
        given = set(self.original.producers()).__contains__
        first, *others = (run.original for run in self.runs)
        fed = [name for name in first if not given(name)]
        return any(not _equal(first[name], other[name]) for other in others for name in fed)

    def is_constant(self, tensor: str) -> bool:
        """Whether an original tensor is a constant or computed from constants alone."""
        return tensor in self._constant

    @cached_property
    def _constant(self) -> set[str]:
        return constant_tensors(self.original)

    def matches(self, tensor: str, candidates: Iterable[str]) -> str:
        """The candidate with the tensor's value; empty if there is none."""
        errors = [(self.error(tensor, name), name) for name in candidates]
        error, best = min(errors, default=(UNLIKE.error, ""))
        sure = SURE * self.tolerance
        if error <= sure:
            return best
        if self.only_sure or error > self.tolerance or self._closer(tensor, best, error):
            return ""
        return best

    def _closer(self, tensor: str, executed: str, error: float) -> bool:
        """Whether another tensor of the original is clearly closer to the executed one."""
        run = self.runs[0]
        wanted, there = run.original[tensor], run.executed[executed]
        first = origin(tensor, self._producers)
        for name in self.sizes.get(wanted.size, ()):
            same = name == tensor or origin(name, self._producers) == first
            says_nothing = same or fits_any(run.original[name], there)
            if not says_nothing and self._away(name, there, error) < _CLOSER * error:
                return True
        return False

    def _away(self, name: str, executed: Array, bound: float) -> float:
        return likeness(self.prepared(0, name), executed, bound).error

    def candidates(self, executed: str) -> list[str]:
        """The original's tensors whose size fits an executed tensor."""
        there = self.runs[0].executed[executed]
        return [
            name
            for size, names in self.sizes.items()
            for name in (names if fits(size, there) else ())
        ]

    @cached_property
    def sizes(self) -> Mapping[int, list[str]]:
        """The original's tensors by their count of elements."""
        by_size: dict[int, list[str]] = {}
        for name, value in self.runs[0].original.items():
            by_size.setdefault(value.size, []).append(name)
        return by_size


def _equal(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "OSU":
        return bool(np.all(one == other))
    parts = (slice(0, _FIRST), slice(_FIRST, None))  # most tensors that differ do so at once
    pairs = ((one.reshape(-1)[part], other.reshape(-1)[part]) for part in parts)
    return all(
        np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True) for a, b in pairs
    )


def tolerance_of(runs: Sequence[Observed], graphs: Sequence[Graph] = ()) -> float:
    """The error that tensors of these networks may have, by the coarsest type in them."""
    types = {
        value.dtype.name
        for run in runs
        for values in (run.original, run.executed)
        for value in values.values()
    }
    operators = {node.op_type for graph in graphs for node in graph.nodes}
    if any(mark in operator for operator in operators for mark in _IN_8_BITS):
        return QUANTISED
    return max((TOLERANCES.get(name, 0.0) for name in types), default=0.0) or _PLAIN


def check(
    evidence: Evidence, claims: Sequence[Claim], deadline: float = float("inf")
) -> list[Verdict]:
    """One verdict a claim, in order; `deadline` is a moment of `time.monotonic`."""
    layers = {node.name: node for node in evidence.original.nodes}
    readers = evidence.original.consumers()
    return [
        _checked(evidence, claim, layers, readers)
        if time.monotonic() < deadline
        else Verdict(claim.step, Outcome.UNCHECKED, TOO_LATE)
        for claim in claims
    ]


def _checked(
    evidence: Evidence,
    claim: Claim,
    layers: Mapping[str, GraphNode],
    readers: Mapping[str, Sequence[GraphNode]],
) -> Verdict:
    never = next((name for name in claim.layers if name in evidence.skipped), "")
    if never and not claim.obstacle:
        reason = f"{never} is in a branch that did not run"
        return Verdict(claim.step, Outcome.REFUTED, reason)
    hidden = next((name for name in claim.layers if name not in layers), "")
    if claim.obstacle or hidden or not claim.nodes:
        reason = claim.obstacle or (
            f"{hidden} is inside a subgraph" if hidden else "it is not in the saved graph"
        )
        return Verdict(claim.step, Outcome.UNCHECKED, reason)
    covered = [layers[name] for name in claim.layers]
    return _at_ends(evidence, claim, covered, readers)


def _at_ends(
    evidence: Evidence,
    claim: Claim,
    covered: Sequence[GraphNode],
    readers: Mapping[str, Sequence[GraphNode]],
) -> Verdict:
    nodes = [evidence.executed.nodes[place] for place in claim.nodes]
    outputs = {name for node in nodes for name in node.outputs}
    inputs = {name for node in nodes for name in node.inputs} - outputs
    covered, handed = _working(evidence, covered)
    for layer in handed:
        if not any(evidence.matches(name, {*inputs, *outputs}) for name in layer.outputs):
            reason = f"it has no result of {layer.name}"
            return Verdict(claim.step, Outcome.REFUTED, reason, layer.outputs[0])
    ins, outs = boundary(covered, readers, evidence.original.outputs)
    outs = outs or dead_ends(evidence, covered, outputs)
    if not outs:
        return Verdict(claim.step, Outcome.UNCHECKED, "its layers yield nothing that can be read")
    needed = (*(name for name in ins if not evidence.is_constant(name)), *outs)
    if unseen := next((name for name in needed if not evidence.known(name)), ""):
        reason = f"the value of {unseen} cannot be read"
        return Verdict(claim.step, Outcome.UNCHECKED, reason, unseen)
    moving = [name for name in ins if evidence.known(name) and evidence.varies(name)]
    read = {name: evidence.matches(name, inputs) for name in moving}
    if name := next((name for name, executed in read.items() if not executed), ""):
        reason = f"it does not read {name}, which its layers read"
        return Verdict(claim.step, Outcome.REFUTED, reason, name)
    if evidence.only_sure and inputs - evidence.executed.constants - {*read.values()}:
        return Verdict(claim.step, Outcome.UNCHECKED, "it reads more than its layers do")
    if name := reread(evidence, covered, ins, inputs):
        reason = f"it reads {name}, which one of its layers yields"
        return Verdict(claim.step, Outcome.REFUTED, reason, name)
    return yielded(evidence, claim, outs, inputs, outputs)


def reread(
    evidence: Evidence, covered: Sequence[GraphNode], ins: Sequence[str], inputs: Collection[str]
) -> str:
    """A result of the layers that the step reads, which another step computed; empty for none.

    A result with the value of a tensor that the layers read does not count.
    """
    run = evidence.runs[0]
    made = [name for layer in covered for name in layer.outputs if evidence.known(name)]
    for name in filter(evidence.varies, made):
        for executed in inputs:
            same = evidence.error(name, executed) <= SURE * evidence.tolerance
            if not same or fits_any(run.original[name], run.executed[executed]):
                continue
            if not any(evidence.error(n, executed) <= evidence.tolerance for n in ins):
                return name
    return ""


def _working(
    evidence: Evidence, covered: Sequence[GraphNode]
) -> tuple[Sequence[GraphNode], Sequence[GraphNode]]:
    """The layers that compute, and those that only pass on results."""
    work = [layer for layer in covered if layer.name not in evidence.passing]
    handed = [layer for layer in covered if layer.name in evidence.passing]
    return (work, handed) if work else (covered, ())


def dead_ends(
    evidence: Evidence, covered: Sequence[GraphNode], outputs: Collection[str]
) -> list[str]:
    """For layers whose results nobody reads: one that the step yields, or else all results."""
    made = [name for node in covered for name in node.outputs if evidence.known(name)]
    match = next((name for name in reversed(made) if evidence.matches(name, outputs)), "")
    return [match] if match else made


def yielded(
    evidence: Evidence,
    claim: Claim,
    outs: Sequence[str],
    inputs: Collection[str],
    outputs: Collection[str],
) -> Verdict:
    """The verdict on whether the step yields the results that other layers read.

    A result that equals an input of the step needed no work, and one that is the same in every
    run is a constant: these may be missing.
    """
    matched = [name for name in outs if evidence.matches(name, outputs)]
    others = [name for name in outs if name not in matched and evidence.varies(name)]
    lost = [name for name in others if not evidence.matches(name, inputs)]
    if lost or not matched:
        name = (lost or list(outs))[0]
        reason = f"it does not yield {name}, which others read of its layers"
        return Verdict(claim.step, Outcome.REFUTED, reason, name)
    return Verdict(claim.step, Outcome.VERIFIED)
