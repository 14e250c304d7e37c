"""The steps of an onnxruntime session, checked by the values that they compute."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import onnx

from onnxprof.backends.ort_graphs import ExecutedNode
from onnxprof.backends.ort_observe import Feeds, Wanted, observed
from onnxprof.backends.ort_scopes import load_saved
from onnxprof.backends.ort_topology import read_graph
from onnxprof.backends.ort_unfold import node_names, unfolded
from onnxprof.contracts import BackendError, Bounds, Workload
from onnxprof.provenance import Graph
from onnxprof.records import Step
from onnxprof.verify.outcomes import all_unchecked, judged
from onnxprof.verify.repair import repaired
from onnxprof.verify.verdicts import Claim, Evidence, Outcome, Verdict, check, ends, tolerance_of

_HIDDEN = "it runs inside a subgraph, whose values cannot be read"
#: Each tensor is in the runtime and copied from it, of the original and of the executed graph.
_COPIES = 4
_BYTES = 4


class Joined(Protocol):
    """A step as `ort_steps` joins it."""

    @property
    def node(self) -> ExecutedNode:
        """With the layers that it claims."""

    @property
    def places(self) -> tuple[int, ...]:
        """Where its nodes stand in the executed graph; empty for a node of a subgraph."""


def claims_of(joined: Sequence[Joined]) -> list[Claim]:
    """What each step claims, in order."""
    return [
        Claim(i, tuple(sorted(entry.places)), entry.node.layers, "" if entry.places else _HIDDEN)
        for i, entry in enumerate(joined)
    ]


@dataclass(slots=True)
class OrtProof:
    """Both graphs, and which executed nodes each step of the trace stands for."""

    workload: Workload
    original: onnx.ModelProto
    saved: Path
    claims: Sequence[Claim]
    """One a step, in order; those of steps without layers are empty."""
    scratch: TemporaryDirectory[str]
    """Where the executed graph was saved."""
    skipped: frozenset[str] = frozenset()
    """Layers of branches that are never taken."""

    @classmethod
    def kept(
        cls, workload: Workload, original: onnx.ModelProto, saved: Path, claims: Sequence[Claim]
    ) -> OrtProof:
        """Move the executed graph and its weights to where they outlive the session."""
        scratch = TemporaryDirectory(prefix="onnxprof-")
        for path in saved.parent.glob(f"{saved.stem}.*"):
            shutil.move(path, scratch.name)
        flat = unfolded(original)
        skipped = frozenset(node_names(original.graph) - node_names(flat.graph))
        path = Path(scratch.name) / saved.name
        return cls(workload, flat, path, claims, scratch, skipped)

    def check(
        self, steps: Sequence[Step], feeds: Sequence[Feeds], bounds: Bounds
    ) -> tuple[Step, ...]:
        """The steps with verdicts."""
        if not self.saved.exists():
            return all_unchecked(steps, "onnxruntime cannot save the graph that it executes")
        try:
            return self._checked(steps, feeds, bounds)
        except (BackendError, MemoryError) as error:
            return all_unchecked(steps, getattr(error, "what", "out of memory"))

    def close(self) -> None:
        """Delete the executed graph."""
        self.scratch.cleanup()

    def _checked(
        self, steps: Sequence[Step], feeds: Sequence[Feeds], bounds: Bounds
    ) -> tuple[Step, ...]:
        deadline = time.monotonic() + bounds.seconds
        parts = list(self._parts(bounds.memory_bytes // len(feeds)))
        verdicts: list[Verdict] = []
        for part in parts[:-1]:
            verdicts += check(self._evidence(feeds, part, deadline), part, deadline)
        evidence = self._evidence(feeds, parts[-1] if len(parts) > 1 else None, deadline)
        verdicts += check(evidence, parts[-1], deadline)
        refuted = any(verdict.outcome is Outcome.REFUTED for verdict in verdicts)
        mend = refuted and len(parts) == 1
        mended = repaired(evidence, self.claims, verdicts, deadline) if mend else {}
        return judged(steps, verdicts, mended)

    def _parts(self, memory_bytes: int) -> Iterator[list[Claim]]:
        """The claims, so many at a time that the tensors at their ends fit into memory."""
        sizes = {
            tensor.name: _BYTES * prod(d for d in tensor.shape or () if isinstance(d, int))
            for layer in self.workload.table.nodes
            for tensor in layer.outputs
        }
        graph = read_graph(self.original.graph)
        part: list[Claim] = []
        held = 0
        for claim in (claim for claim in self.claims if claim.layers):
            more = _COPIES * sum(sizes.get(name, 0) for name in ends(graph, claim.layers))
            if part and held + more > memory_bytes:
                yield part
                part, held = [], 0
            part.append(claim)
            held += more
        yield part

    def _evidence(
        self, feeds: Sequence[Feeds], part: Sequence[Claim] | None, deadline: float
    ) -> Evidence:
        """The values at the ends of these claims, or every value for None."""
        executed = load_saved(self.saved)
        graphs = read_graph(self.original.graph), read_graph(executed.graph)
        if time.monotonic() > deadline:  # no claim will be looked at
            return Evidence(*graphs, (), skipped=self.skipped)
        wanted = (None, None) if part is None else _wanted(*graphs, part)
        runs = observed(self.workload, self.original, self.saved, feeds, wanted)
        return Evidence(*graphs, runs, tolerance_of(runs, graphs), self.skipped)


def _wanted(original: Graph, executed: Graph, part: Sequence[Claim]) -> tuple[Wanted, Wanted]:
    nodes = [executed.nodes[place] for claim in part for place in claim.nodes]
    before = {name for claim in part for name in ends(original, claim.layers)}
    return before, {name for node in nodes for name in (*node.inputs, *node.outputs)}
