"""A phase of a model with states: what part of a sequence one inference computes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PhaseKind(StrEnum):
    """The part of a sequence."""

    PREFILL = "prefill"
    """All tokens of a prompt at once, nothing in the cache: the time to the first token."""
    DECODE = "decode"
    """One more token behind those in the cache: the time per token."""
    STEPS = "steps"
    """One step of a sequence, each reading the states that the last one wrote."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase at one size. As a text, `decode:512`, it is part of what names a run."""

    kind: PhaseKind
    size: int
    """Tokens of the prompt, tokens in the cache, or steps of the sequence."""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.size}"

    @classmethod
    def of(cls, text: str) -> Phase:
        """The phase that `str` wrote. Raises ValueError for any other text."""
        kind, _, size = text.partition(":")
        return cls(PhaseKind(kind), int(size))

    @property
    def order(self) -> tuple[int, int]:
        """What phases are sorted by: the prompt first, then what follows it, by size."""
        return list(PhaseKind).index(self.kind), self.size

    @property
    def new(self) -> int:
        """Tokens that an inference computes."""
        return self.size if self.kind is PhaseKind.PREFILL else 1

    @property
    def kept(self) -> int:
        """Tokens in the cache before."""
        return self.size if self.kind is PhaseKind.DECODE else 0

    @property
    def total(self) -> int:
        """Tokens in the cache afterwards."""
        return self.kept + self.new


def tokens_of(text: str) -> int:
    """Tokens that an inference of a phase computes; 0 for a run without a phase of tokens."""
    phase = Phase.of(text) if text else None
    return 0 if phase is None or phase.kind is PhaseKind.STEPS else phase.new


def titled(name: str, phase: str) -> str:
    """A model's name in titles, with the phase where there is one: `gpt2 in decode:512`."""
    return f"{name} in {phase}" if phase else name
