"""A second check of refuted steps, on the inputs that the executed steps read.

The layers of a refuted step are computed once more from the step's own inputs, whatever values
the original has there, and must yield the step's outputs. So a step passes that did the work of
the layers on other boxes (detections) than the original. A step that claims a layer too many, too
few or a wrong one does not pass: a tensor that the layers read is not among the inputs, or a
result that other layers read is not among the outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.boundary import boundary
from onnxprof.provenance.verify.counterparts import Counterpart, Counterparts, Shown, makers
from onnxprof.provenance.verify.verdicts import (
    SURE,
    Claim,
    Evidence,
    Observed,
    Outcome,
    Values,
    Verdict,
    dead_ends,
    reread,
    yielded,
)


@dataclass(frozen=True, slots=True)
class Task:
    """Layers to compute from given values."""

    layers: tuple[str, ...]
    fed: Sequence[Values]
    """One mapping a run: the inputs of the layers, initializers left out."""
    size_bytes: int = 0
    """Bytes of the inputs, and of the results by estimate."""


#: Copies of a computed tensor in memory: one in the runtime, one copied out.
_COPIES = 2
#: For each task the values that the layers yield, one mapping a run; None where it cannot be run.
Compute = Callable[[Sequence[Task]], Iterable[Sequence[Values] | None]]


@dataclass(frozen=True, slots=True)
class SecondCheck:
    """The second check of one run's steps; tensors matched in one part stay known in the next."""

    claims: Sequence[Claim]
    """The claims of all steps, those without layers as well."""
    compute: Compute
    memory_bytes: int = 1 << 30
    """Bytes that may be computed at a time."""
    deadline: float = float("inf")
    """A moment of `time.monotonic`."""
    _shown: Shown = field(default_factory=dict)

    def checked(self, evidence: Evidence, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The verdicts, in which refuted steps that pass on their own inputs are verified.

        Steps whose inputs are matched with the tensors that their layers read are computed
        together; their outputs then match inputs of later steps.
        """
        if not any(verdict.outcome is Outcome.REFUTED for verdict in verdicts):
            return list(verdicts)
        passed = _Second(evidence, self, verdicts, self._shown).run()
        return [
            Verdict(verdict.step, Outcome.VERIFIED) if verdict.step in passed else verdict
            for verdict in verdicts
        ]


class _Case(NamedTuple):
    """A refuted step with the layers, inputs and outputs to compare."""

    claim: Claim
    layers: Sequence[GraphNode]
    ins: Sequence[str]
    outs: Sequence[str]
    inputs: Collection[str]
    outputs: Collection[str]


class _Ready(NamedTuple):
    """A case whose inputs all have counterparts, ready to be computed."""

    case: _Case
    used: Sequence[Counterpart]
    task: Task


class _Second:
    """The second check of all refuted steps of a run."""

    def __init__(
        self, evidence: Evidence, given: SecondCheck, verdicts: Sequence[Verdict], shown: Shown
    ) -> None:
        self._evidence, self._given, claims = evidence, given, given.claims
        self._readers = evidence.original.consumers()
        self._producers = evidence.original.producers()
        worked = {claim.step: claim.nodes for claim in claims if claim.layers}
        places = {place for nodes in worked.values() for place in nodes}
        inserted = set(range(len(evidence.executed.nodes))) - places
        self._known = Counterparts(evidence, inserted, shown)
        self._makers = makers(worked, evidence)
        self._sure = {v.step for v in verdicts if v.outcome is Outcome.VERIFIED}
        refuted = {v.step for v in verdicts if v.outcome is Outcome.REFUTED}
        cases = (self._case(claim) for claim in claims if claim.step in refuted)
        self._pending = {case.claim.step: case for case in cases if case is not None}
        self._passed: dict[int, _Ready] = {}

    def run(self) -> set[int]:
        """The steps that pass."""
        while self._pending and time.monotonic() < self._given.deadline:
            ready = [*self._ready()] or [*self._ready(waiting=False)]
            if not ready:
                break
            results = self._given.compute([candidate.task for candidate in ready])
            for candidate, values in zip(ready, results, strict=True):
                del self._pending[candidate.case.claim.step]
                if values is not None:
                    self._judge(candidate, values)
        self._withdraw()
        return set(self._passed)

    def _case(self, claim: Claim) -> _Case | None:
        evidence = self._evidence
        names = set(claim.layers)
        layers = [node for node in evidence.original.nodes if node.name in names]
        if len(layers) < len(names) or names & evidence.skipped or not claim.nodes:
            return None
        nodes = [evidence.executed.nodes[place] for place in claim.nodes]
        outputs = {name for node in nodes for name in node.outputs}
        inputs = dict.fromkeys(n for node in nodes for n in node.inputs if n not in outputs)
        ins, outs = boundary(layers, self._readers, evidence.original.outputs)
        return _Case(claim, layers, ins, outs, tuple(inputs), outputs)

    def _ready(self, waiting: bool = True) -> Iterator[_Ready]:
        """Cases whose inputs all have counterparts, as many as fit into memory."""
        held = 0
        for case in self._pending.values():
            used = self._counterparts(case, waiting)
            task = None if used is None else self._task(case, used)
            if used is not None and task is not None:
                yield _Ready(case, used, task)
                held += _COPIES * task.size_bytes
            if held > self._given.memory_bytes or time.monotonic() > self._given.deadline:
                break

    def _counterparts(self, case: _Case, waiting: bool) -> list[Counterpart] | None:
        """The counterparts of the tensors that a step's layers read; None where one is missing.

        A tensor that is the same in every run needs none. With `waiting`, a tensor of a layer
        that is still to be checked counts as missing.
        """
        used = []
        pending = {layer.name for case in self._pending.values() for layer in case.layers}
        for name in case.ins:
            if self._evidence.is_constant(name):
                continue
            counterpart = self._known.find(name, case.inputs)
            if counterpart is not None:
                used.append(counterpart)
                continue
            producer = self._producers.get(name)
            waits = waiting and producer is not None and producer.name in pending
            if waits or not self._evidence.known(name) or self._evidence.varies(name):
                return None
        return used

    def _task(self, case: _Case, used: Sequence[Counterpart]) -> Task | None:
        evidence = self._evidence
        known = {counterpart.tensor: counterpart.values for counterpart in used}
        given = [n for n in case.ins if n not in known and n not in evidence.original.constants]
        if not all(evidence.known(name) for name in given):
            return None
        fed = [
            {name: values[i] for name, values in known.items()}
            | {name: run.original[name] for name in given}
            for i, run in enumerate(evidence.runs)
        ]
        made = [name for node in case.layers for name in node.outputs]
        sizes = [
            sum(value.nbytes for value in fed[i].values())
            + sum(run.original[name].nbytes for name in made if name in run.original)
            for i, run in enumerate(evidence.runs)
        ]
        return Task(tuple(node.name for node in case.layers), fed, sum(sizes))

    def _judge(self, ready: _Ready, values: Sequence[Values]) -> None:
        evidence, case = self._evidence, ready.case
        given = frozenset(name for name in case.ins if evidence.is_constant(name))
        runs = [
            Observed({**fed, **made}, run.executed)
            for fed, made, run in zip(ready.task.fed, values, evidence.runs, strict=True)
        ]
        alone = Evidence(
            Graph(tuple(case.layers), given), evidence.executed, runs, SURE * evidence.tolerance
        )
        outs = case.outs or dead_ends(alone, case.layers, case.outputs)
        if not outs or not all(map(alone.known, outs)):
            return
        if reread(alone, case.layers, case.ins, case.inputs):
            return
        verdict = yielded(alone, case.claim, outs, case.inputs, case.outputs)
        if verdict.outcome is Outcome.VERIFIED and self._all_claimed(alone, case):
            self._passed[case.claim.step] = ready
            self._show(alone, case)

    def _all_claimed(self, alone: Evidence, case: _Case) -> bool:
        """Whether every output that other steps read is a result of the claimed layers."""
        executed, own = self._evidence.executed, set(case.claim.nodes)
        others = (node.inputs for i, node in enumerate(executed.nodes) if i not in own)
        read = {*executed.outputs, *(name for inputs in others for name in inputs)}
        mine = [*case.ins, *(name for node in case.layers for name in node.outputs)]
        return all(
            any(alone.error(name, out) <= alone.tolerance for name in mine)
            for out in read.intersection(case.outputs)
        )

    def _show(self, alone: Evidence, case: _Case) -> None:
        ends = {*case.inputs, *case.outputs}
        for name in (name for node in case.layers for name in node.outputs):
            executed = alone.matches(name, case.outputs) or alone.matches(name, ends)
            if executed:
                originals = [alone.prepared(i, name) for i in range(len(alone.runs))]
                self._known.show(name, executed, originals)

    def _withdraw(self) -> None:
        """Drop passed steps that used a counterpart which no longer holds, and their dependents."""
        while gone := [step for step in self._passed if not self._holds(step)]:
            for step in gone:
                self._known.withdraw(self._passed.pop(step).case.outputs)

    def _holds(self, step: int) -> bool:
        """Whether every counterpart that a step used holds; one by name can be contradicted."""
        passed = self._sure.union(self._passed)
        return all(
            self._known.stands(used.tensor, used.executed)
            or (used.by_name and self._makers.get(used.executed, -1) not in passed)
            for used in self._passed[step].used
        )
