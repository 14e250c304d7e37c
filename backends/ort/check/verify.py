"""The steps of an onnxruntime session, checked by the values that they compute."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import onnx

from onnxprof.backends.ort.check.alone import Alone
from onnxprof.backends.ort.check.bodies import settled
from onnxprof.backends.ort.check.observe import (
    Arrays,
    Feeds,
    Wanted,
    executed_values,
    observed,
    reference_values,
)
from onnxprof.backends.ort.check.unfold import Unfolded, has_bodies, unfolded
from onnxprof.backends.ort.graphs.graphs import ExecutedNode
from onnxprof.backends.ort.graphs.saved import Saved
from onnxprof.backends.ort.graphs.scopes import load_saved
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.alone import SecondCheck
from onnxprof.provenance.verify.boundary import Layers
from onnxprof.provenance.verify.outcomes import all_unchecked, judged
from onnxprof.provenance.verify.repair import repaired
from onnxprof.provenance.verify.verdicts import (
    Claim,
    Evidence,
    Outcome,
    Verdict,
    check,
    tolerance_of,
)
from onnxprof.records.step import Step

#: Copies of a tensor in memory: in the runtime and copied out, for both graphs.
_COPIES = 4
_BYTES = 4


class Joined(Protocol):
    """A step as `timed.py` joins it."""

    @property
    def node(self) -> ExecutedNode:
        """The executed node, with the layers that it claims."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of the nodes among all nodes of the executed graph, subgraphs included."""


def claims_of(joined: Sequence[Joined]) -> list[Claim]:
    """The claims of steps, in order; nodes are numbered as in `TiedNodes`."""
    return [
        Claim(i, tuple(sorted(entry.numbers)), entry.node.layers) for i, entry in enumerate(joined)
    ]


@dataclass(frozen=True)
class Sides:
    """Both graphs, with executed bodies in the main graph, and the claims about them."""

    original: Unfolded
    executed: Unfolded
    claims: Sequence[Claim]

    @classmethod
    def of(cls, original: Unfolded, executed: Unfolded, claims: Sequence[Claim]) -> Sides:
        """Both graphs, and claims with node numbers replaced by positions."""
        return cls(original, executed, [_placed(claim, executed) for claim in claims])

    @cached_property
    def layers(self) -> Layers:
        """The layers of the original."""
        return Layers(self.original.graph)

    @property
    def graphs(self) -> tuple[Graph, Graph]:
        """The topologies of the original and the executed graph."""
        return self.original.graph, self.executed.graph


def _placed(claim: Claim, executed: Unfolded) -> Claim:
    unread = (executed.unread[i] for i in claim.nodes if i in executed.unread)
    if obstacle := claim.obstacle or next(unread, ""):
        return replace(claim, nodes=(), obstacle=obstacle)
    there = all(i in executed.places for i in claim.nodes)
    places = sorted(executed.places[i] for i in claim.nodes) if there else ()
    return replace(claim, nodes=tuple(places))


@dataclass(slots=True)
class OrtProof:
    """Both graphs, and which executed nodes each step of the trace stands for."""

    workload: Workload
    original: onnx.ModelProto
    saved: Saved
    claims: Sequence[Claim]
    """One claim a step, in order; empty for steps without layers."""
    scratch: TemporaryDirectory[str]
    """The folder of the saved executed graph."""
    _expected: Arrays = field(default_factory=dict)

    @classmethod
    def kept(
        cls, workload: Workload, original: onnx.ModelProto, saved: Saved, claims: Sequence[Claim]
    ) -> OrtProof:
        """Move the executed graph and the weights to a folder that outlives the session."""
        scratch = TemporaryDirectory(prefix="onnxprof-")
        folder = Path(scratch.name)
        for path in saved.path.parent.glob(f"{saved.path.stem}.*"):
            shutil.move(path, folder)
        moved = folder if saved.folder == saved.path.parent else saved.folder
        return cls(workload, original, Saved(folder / saved.path.name, moved), claims, scratch)

    def check(
        self, steps: Sequence[Step], feeds: Sequence[Feeds], bounds: Bounds
    ) -> tuple[Step, ...]:
        """The steps with verdicts, as `Proof.check` says."""
        if not self.saved.path.exists():
            return all_unchecked(steps, "onnxruntime cannot save the graph that it executes")
        deadline = time.monotonic() + bounds.seconds
        trouble = ""
        for sides in self._sides(feeds, deadline):
            try:
                return self._checked(steps, sides, feeds, bounds.memory_bytes, deadline)
            except (BackendError, MemoryError) as error:
                trouble = getattr(error, "what", "out of memory")
        return all_unchecked(steps, trouble)

    def expected(self) -> Arrays:
        """The original's outputs for the first inputs, see `ReferenceRun`."""
        return self._expected

    def close(self) -> None:
        """Delete the executed graph."""
        self.scratch.cleanup()

    def _sides(self, feeds: Sequence[Feeds], deadline: float) -> Iterator[Sides]:
        """The graphs with bodies in place and, as a fallback if these cannot be run, unchanged."""
        executed = load_saved(self.saved.path)
        if has_bodies(self.original.graph):
            before = settled(self.original, partial(self._read_original, feeds[0]), deadline)
            after = settled(executed, partial(self._read_executed, feeds[0]), deadline)
            yield Sides.of(before, after, self.claims)
        yield Sides.of(unfolded(self.original, {}), unfolded(executed, {}), self.claims)

    def _read_original(self, feeds: Feeds, model: onnx.ModelProto, names: Wanted) -> Arrays:
        return reference_values(self.workload, model, [feeds], names)[0]

    def _read_executed(self, feeds: Feeds, model: onnx.ModelProto, names: Wanted) -> Arrays:
        return executed_values(self.workload, model, self.saved.folder, [feeds], names)[0]

    def _checked(
        self,
        steps: Sequence[Step],
        sides: Sides,
        feeds: Sequence[Feeds],
        memory_bytes: int,
        deadline: float,
    ) -> tuple[Step, ...]:
        """First with the values at the boundaries of claims, then what is in doubt with all."""
        parts = list(self._parts(sides, memory_bytes // len(feeds)))
        verdicts: list[Verdict] = []
        alone = Alone(self.workload, sides.original, deadline)
        second = SecondCheck(sides.claims, alone, memory_bytes // _COPIES, deadline)
        if len(parts) == 1:
            return self._in_one(steps, sides, feeds, parts[0], second)
        for part in parts:
            evidence = self._evidence(sides, feeds, part, deadline)
            verdicts += second.checked(evidence, check(evidence, part, deadline))
        return judged(steps, verdicts)

    def _in_one(
        self,
        steps: Sequence[Step],
        sides: Sides,
        feeds: Sequence[Feeds],
        claims: Sequence[Claim],
        second: SecondCheck,
    ) -> tuple[Step, ...]:
        """The steps whose tensors all fit into memory.

        With the values at the boundaries alone a claim passes or stays open; where all pass, no
        other value is needed.
        """
        deadline = second.deadline
        evidence = self._evidence(sides, feeds, claims, deadline)
        evidence.only_sure = True
        verdicts = check(evidence, claims, deadline)
        passed = {v.step: v for v in verdicts if v.outcome is Outcome.VERIFIED}
        if len(passed) == len(claims):
            return judged(steps, verdicts)
        del evidence
        left = [claim for claim in claims if claim.step not in passed]
        evidence = self._evidence(sides, feeds, None, deadline)
        again = {v.step: v for v in check(evidence, left, deadline)}
        verdicts = second.checked(evidence, [(passed | again)[claim.step] for claim in claims])
        refuted = any(verdict.outcome is Outcome.REFUTED for verdict in verdicts)
        mended = repaired(evidence, sides.claims, verdicts, deadline) if refuted else {}
        return judged(steps, verdicts, mended)

    def _parts(self, sides: Sides, memory_bytes: int) -> Iterator[list[Claim]]:
        """The claims in parts whose boundary tensors fit into memory."""
        sizes = {
            tensor.name: _BYTES * prod(d for d in tensor.shape or () if isinstance(d, int))
            for layer in self.workload.table.nodes
            for tensor in layer.outputs
        }
        part: list[Claim] = []
        held = 0
        for claim in (claim for claim in sides.claims if claim.layers):
            more = _COPIES * sum(sizes.get(name, 0) for name in sides.layers.ends(claim.layers))
            if part and held + more > memory_bytes:
                yield part
                part, held = [], 0
            part.append(claim)
            held += more
        yield part

    def _evidence(
        self,
        sides: Sides,
        feeds: Sequence[Feeds],
        part: Sequence[Claim] | None,
        deadline: float,
    ) -> Evidence:
        """The values at the boundaries of these claims, or all values for None."""
        graphs, before = sides.graphs, sides.original
        if time.monotonic() > deadline:  # no claim will be checked
            return Evidence(*graphs, ())
        wanted = (None, None) if part is None else _wanted(sides, part)
        models = sides.original.model, sides.executed.model
        runs = observed(self.workload, *models, self.saved.folder, feeds, wanted)
        if sides.original.model is self.original:  # no body was put in place
            names = [value.name for value in self.original.graph.output]
            seen = runs[0].original
            self._expected = {n: seen[n].copy() for n in names} if seen.keys() >= {*names} else {}
        return Evidence(*graphs, runs, tolerance_of(runs, graphs), before.skipped, before.passing)


def _wanted(sides: Sides, part: Sequence[Claim]) -> tuple[Wanted, Wanted]:
    executed = sides.executed.graph
    nodes = [executed.nodes[place] for claim in part for place in claim.nodes]
    before = {name for claim in part for name in sides.layers.ends(claim.layers)}
    before |= {name for claim in part for name in _reread(sides, claim)}
    read = {name for node in nodes for name in node.inputs}
    made = {name for node in nodes for name in node.outputs}
    return before, made | _laid_out(sides, read)


def _reread(sides: Sides, claim: Claim) -> Iterator[str]:
    """The layers' results, if the step has more inputs than its layers: it may read them."""
    original, executed = sides.graphs
    layers = sides.layers.covered(claim.layers)
    nodes = [executed.nodes[place] for place in claim.nodes]
    if len(_read(nodes) - executed.constants) > len(_read(layers) - original.constants):
        yield from (name for layer in layers for name in layer.outputs)


def _read(nodes: Sequence[GraphNode]) -> set[str]:
    """Names of the tensors that nodes read from others."""
    made = {name for node in nodes for name in node.outputs}
    return {name for node in nodes for name in node.inputs} - made


def _laid_out(sides: Sides, read: Collection[str]) -> set[str]:
    """The tensors that steps read, and the inputs of inserted nodes that changed their layout."""
    claimed = {place for claim in sides.claims if claim.layers for place in claim.nodes}
    tensors = set(read)
    for place, node in reversed(list(enumerate(sides.executed.graph.nodes))):
        if place not in claimed and tensors.intersection(node.outputs):
            tensors.update(node.inputs)
    return tensors
