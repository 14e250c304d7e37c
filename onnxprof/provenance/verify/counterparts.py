"""Which executed tensors stand for which tensors of the original, where their values differ.

Where a rounding decides which of two boxes (detections) is kept, the two graphs work on different
boxes from there on. An executed tensor still stands for an original one if a step that passed
the check yields it for that layer, if both have one value, or if the runtime kept the name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from onnxprof.provenance.congruence import representatives
from onnxprof.provenance.verify.likeness import Arrangement, Original, arrangement
from onnxprof.provenance.verify.verdicts import Evidence

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Counterpart:
    """An executed tensor that stands for one of the original."""

    tensor: str
    executed: str
    values: Sequence[Array]
    """Values of the executed tensor in each run, in the original's layout and type."""
    by_name: bool = False
    """Whether the name is the only evidence."""


#: From executed and original tensor to how the one holds the other, in each run.
Shown = dict[tuple[str, str], Sequence[Arrangement]]


class Counterparts:
    """`shown` grows as steps pass; `inserted` holds executed nodes that stand for no layer."""

    def __init__(self, evidence: Evidence, inserted: Collection[int], shown: Shown) -> None:
        self._evidence, self._shown = evidence, shown
        self._same = representatives(evidence.original)
        self._aliases: dict[str, list[str]] = defaultdict(list)
        for name, first in self._same.items():
            self._aliases[first].append(name)
        nodes = evidence.executed.nodes
        self._behind = {out: nodes[i].inputs for i in inserted for out in nodes[i].outputs}

    def show(self, tensor: str, executed: str, originals: Sequence[Original]) -> None:
        """Let an executed tensor stand for one of the original that was computed for each run."""
        arrangements = self._arranged(originals, executed)
        if arrangements is not None:
            self._shown[executed, self._first(tensor)] = arrangements

    def withdraw(self, executed: Iterable[str]) -> None:
        """Forget everything that was shown of these tensors."""
        gone = set(executed)
        for key in [key for key in self._shown if key[0] in gone]:
            del self._shown[key]

    def find(self, tensor: str, inputs: Collection[str]) -> Counterpart | None:
        """The one of `inputs` that stands for a tensor, by the best evidence available."""
        ways = (self._by_step, self._by_value, self._by_name, self._handed_on)
        for way in ways:
            for counterpart in way(tensor, inputs):
                return counterpart
        return None

    def stands(self, tensor: str, executed: str) -> bool:
        """Whether a step or the values show that an executed tensor stands for an original one."""
        shown = (executed, self._first(tensor)) in self._shown
        return shown or bool(self._evidence.matches(tensor, [executed]))

    def _first(self, tensor: str) -> str:
        return self._same.get(tensor, tensor)

    def _names(self, tensor: str) -> list[str]:
        """The tensor and the tensors that equal it for any input of the model."""
        first = self._first(tensor)
        return list(dict.fromkeys((tensor, first, *self._aliases.get(first, ()))))

    def _by_step(self, tensor: str, inputs: Collection[str]) -> Iterator[Counterpart]:
        for executed in inputs:
            arrangements = self._shown.get((executed, self._first(tensor)))
            if arrangements is not None and self._seen(executed):
                yield Counterpart(tensor, executed, self._undone(arrangements, executed))

    def _by_value(self, tensor: str, inputs: Collection[str]) -> Iterator[Counterpart]:
        evidence = self._evidence
        if not evidence.known(tensor) or not (executed := evidence.matches(tensor, inputs)):
            return
        originals = [evidence.prepared(i, tensor) for i in range(len(evidence.runs))]
        if arrangements := self._arranged(originals, executed):
            yield Counterpart(tensor, executed, self._undone(arrangements, executed))

    def _by_name(self, tensor: str, inputs: Collection[str]) -> Iterator[Counterpart]:
        for executed in self._names(tensor):
            if executed in inputs and self._may_be(tensor, executed):
                values = [run.executed[executed] for run in self._evidence.runs]
                yield Counterpart(tensor, executed, values, by_name=True)

    def _may_be(self, tensor: str, executed: str) -> bool:
        """Whether they have one type and as many axes, as far as both are known."""
        runs = self._evidence.runs
        if any(executed not in run.executed for run in runs):
            return False
        pairs = [(run.original[tensor], run.executed[executed]) for run in runs
                 if tensor in run.original]  # fmt: skip
        return all(one.dtype == other.dtype and one.ndim == other.ndim for one, other in pairs)

    def _handed_on(self, tensor: str, inputs: Collection[str]) -> Iterator[Counterpart]:
        """By the input of an inserted node that changed only the layout."""
        for executed in inputs:
            before = self.find(tensor, self._behind.get(executed, ()))
            if before is None:
                continue
            if arrangements := self._arranged([*map(Original, before.values)], executed):
                values = self._undone(arrangements, executed)
                yield Counterpart(tensor, before.executed, values, before.by_name)

    def _arranged(
        self, originals: Sequence[Original], executed: str
    ) -> Sequence[Arrangement] | None:
        """How an executed tensor holds one of the original in each run; None if it does not."""
        if not self._seen(executed):
            return None
        runs, bound = self._evidence.runs, self._evidence.tolerance
        arrangements = [
            arrangement(original, run.executed[executed], bound)
            for original, run in zip(originals, runs, strict=True)
        ]
        known = [item for item in arrangements if item is not None]
        return known if len(known) == len(arrangements) else None

    def _seen(self, executed: str) -> bool:
        return all(executed in run.executed for run in self._evidence.runs)

    def _undone(self, arrangements: Sequence[Arrangement], executed: str) -> Sequence[Array]:
        runs = self._evidence.runs
        return [
            how.undone(run.executed[executed]) for how, run in zip(arrangements, runs, strict=True)
        ]


def makers(nodes: Mapping[int, Collection[int]], evidence: Evidence) -> dict[str, int]:
    """From executed tensors to the step that yields them, of steps and their nodes."""
    there = evidence.executed.nodes
    return {out: step for step, places in nodes.items() for i in places for out in there[i].outputs}
