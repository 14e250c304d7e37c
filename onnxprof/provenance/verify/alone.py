"""Refuted steps checked in a second way: on the inputs that they themselves read.

The layers of such a step are computed once more from what the executed step read, whatever the
original has there, and must yield what the step yielded. So a step passes that did the work of
its layers on other boxes than the original's; one that claims a layer too many, too few or
another one does not: a tensor that its layers read is not among its inputs, or one of theirs
that others read is not among its outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.counterparts import Counterpart, Counterparts, Shown, makers
from onnxprof.provenance.verify.verdicts import (
    SURE,
    Claim,
    Evidence,
    Observed,
    Outcome,
    Values,
    Verdict,
    boundary,
    dead_ends,
    reread,
    yielded,
)


@dataclass(frozen=True, slots=True)
class Task:
    """Layers to compute from given values."""

    layers: tuple[str, ...]
    fed: Sequence[Values]
    """One mapping a run: what they read from outside, but for initializers."""
    size_bytes: int = 0
    """Of what is fed and what they are likely to yield."""


#: Each tensor that is computed is in the runtime and copied from it.
_COPIES = 2
#: For each task every value that its layers yield, one mapping a run; None where it cannot be run.
Compute = Callable[[Sequence[Task]], Iterable[Sequence[Values] | None]]


@dataclass(frozen=True, slots=True)
class SecondCheck:
    """For the steps of one run; what it learns of one part's tensors it knows for the next."""

    claims: Sequence[Claim]
    """Of every step, those without layers as well."""
    compute: Compute
    memory_bytes: int = 1 << 30
    """For what is computed at a time."""
    deadline: float = float("inf")
    """A moment of `time.monotonic`."""
    _shown: Shown = field(default_factory=dict)

    def checked(self, evidence: Evidence, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The verdicts, in which refuted steps that pass on their own inputs are verified.

        Steps whose inputs stand for what their layers read are computed together; what they
        yield lets others follow.
        """
        if not any(verdict.outcome is Outcome.REFUTED for verdict in verdicts):
            return list(verdicts)
        passed = _Second(evidence, self, verdicts, self._shown).run()
        return [
            Verdict(verdict.step, Outcome.VERIFIED) if verdict.step in passed else verdict
            for verdict in verdicts
        ]


class _Case(NamedTuple):
    """A refuted step with what it is to be held against."""

    claim: Claim
    layers: Sequence[GraphNode]
    ins: Sequence[str]
    outs: Sequence[str]
    inputs: Collection[str]
    outputs: Collection[str]


class _Ready(NamedTuple):
    """A case of which is known what its layers read."""

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
        self._found = Counterparts(evidence, inserted, shown)
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
            results = self._given.compute([each.task for each in ready])
            for each, values in zip(ready, results, strict=True):
                del self._pending[each.case.claim.step]
                if values is not None:
                    self._judge(each, values)
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
        """Steps of which every input stands for something, as many as fit into memory."""
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
        """What stands for the tensors that a step's layers read; None where that is not known.

        What is the same in every run need not be read, but what other steps may yield for it
        is waited for.
        """
        used = []
        pending = {layer.name for case in self._pending.values() for layer in case.layers}
        for name in case.ins:
            if self._evidence.is_constant(name):
                continue
            found = self._found.find(name, case.inputs)
            if found is not None:
                used.append(found)
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
        """Whether all that other steps read of this one is a result of its layers."""
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
                self._found.show(name, executed, originals)

    def _withdraw(self) -> None:
        """Take back what rests on names that a passed step contradicts, and what rests on it."""
        while gone := [step for step in self._passed if not self._holds(step)]:
            for step in gone:
                self._found.withdraw(self._passed.pop(step).case.outputs)

    def _holds(self, step: int) -> bool:
        """Whether what a step reads is what the steps before it yield, as far as these passed."""
        passed = self._sure.union(self._passed)
        return all(
            self._found.stands(used.tensor, used.executed)
            or (used.by_name and self._makers.get(used.executed, -1) not in passed)
            for used in self._passed[step].used
        )
