"""What a gate measured and what it makes of that, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onnxprof.compare.changes import Pair
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.compare.verdict import Verdict
from onnxprof.gate.rule import Judgement, Rule, Spread, pairs_for, resolution
from onnxprof.model.dims.grammar import Size, each


class Outcome(StrEnum):
    """What a gate says of a model at a batch, at sizes of axes and in a phase."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNDECIDED = "undecided"
    UNCHANGED = "unchanged"
    """The files are equal, byte for byte, so nothing was measured."""
    NEW = "new"
    """There is no old version, or the old version has no such phase."""
    FAILED = "failed"
    """A version could not be planned or measured."""


#: The outcomes that show what is required.
_SHOWN = {
    Requirement.SAME: (Outcome.SAME, Outcome.UNCHANGED),
    Requirement.NO_SLOWER: (Outcome.SAME, Outcome.UNCHANGED, Outcome.FASTER),
    Requirement.FASTER: (Outcome.FASTER,),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A model at one size and in one phase: the old version against the new one."""

    model: str
    """As the user named it."""
    batch: int | None
    """None where the model was not planned."""
    outcome: Outcome
    origin: str = ""
    """Where the old version is from."""
    noise: Spread | None = None
    """The old version against itself."""
    judgement: Judgement | None = None
    pair: Pair | None = None
    """Layer by layer, by provenance."""
    why: str = ""
    """Of what failed, and of a phase that is new."""
    phase: str = ""
    """Of a model with states, as `decode:512`; empty for a plain inference."""
    dims: tuple[tuple[str, Size], ...] = ()
    """Sizes of axes, those left out that the phase decides."""

    @property
    def title(self) -> str:
        """The model, its batch, phase and sizes of axes."""
        batch = [] if self.batch is None else [f"batch {self.batch}"]
        return ", ".join((self.model, *batch, *self.work))

    @property
    def work(self) -> tuple[str, ...]:
        """The phase and the sizes of axes: `decode:512`, `sequence=128`."""
        return (*([self.phase] if self.phase else []), *each(self.dims))


@dataclass(frozen=True, slots=True)
class Gated:
    """All cases of a gate, and the rule they were judged by."""

    cases: tuple[Case, ...]
    rule: Rule
    required: Requirement | None
    """None: what the measurement does not decide passes."""
    pairs: int
    """Pairs of processes of each case, of the old version with itself and with the new one."""
    process_seconds: float
    """Seconds that each process measures."""

    def stops(self, case: Case) -> bool:
        """Whether a case keeps the gate from passing."""
        if case.outcome in (Outcome.SLOWER, Outcome.FAILED):
            return True
        if case.outcome is Outcome.NEW or self.required is None:
            return False
        shown = case.outcome in _SHOWN[self.required]
        within = case.judgement is not None and case.judgement.within
        return not (shown or (within and self.required is Requirement.NO_SLOWER))

    @property
    def stopped(self) -> tuple[Case, ...]:
        """The cases that keep the gate from passing."""
        return tuple(case for case in self.cases if self.stops(case))

    @property
    def exit_code(self) -> int:
        """0: it passes; 1: something is slower, or not shown to be as required; 2: failed."""
        if any(case.outcome is Outcome.FAILED for case in self.cases):
            return 2
        return int(bool(self.stopped))

    def is_blunt(self, case: Case) -> bool:
        """Whether this machine is too noisy to tell the limit from no change."""
        return case.noise is not None and self.sees(case.noise) > self.rule.max_slowdown

    def sees(self, noise: Spread) -> float:
        """The smallest difference that is told apart, as a fraction."""
        return resolution(noise, self.pairs, self.rule)

    def enough(self, noise: Spread) -> int | None:
        """How many pairs would tell the limit from no change; None for more than can be advised."""
        return pairs_for(noise, self.rule)


def outcome_of(called: Verdict) -> Outcome:
    """The outcome that a verdict on a latency is."""
    return Outcome(called.value)
