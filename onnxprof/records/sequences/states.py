"""States that a model takes and returns: caches of attention, states of recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onnxprof.records.layer import Shape


class Role(StrEnum):
    """What an input that is no state says of a sequence."""

    TOKENS = "tokens"
    """The new tokens, as numbers or as embeddings."""
    MASK = "mask"
    """Which tokens count, those of the cache included."""
    POSITIONS = "positions"
    """The places of the new tokens in the sequence."""
    LAST = "last"
    """The place of the last token, as GroupQueryAttention takes it."""
    TOTAL = "total"
    """How many tokens there are, the new ones included."""
    KEPT = "kept"
    """How many tokens are in the cache."""
    BRANCH = "branch"
    """Whether there is a cache, in a file that has a branch for either case."""
    BEAMS = "beams"
    """How many beams there are."""
    BEAM = "beam"
    """From which beam each one goes on."""


@dataclass(frozen=True, slots=True)
class State:
    """A state: the input that has it before an inference, and the output that has it after."""

    input: str
    """Empty for a model that only returns it, as one for the prompt alone does."""
    output: str
    """Empty for a state that stays as it is: keys of what an encoder read."""
    dtype: str
    shape: Shape
    """Of the input where there is one; axes without a size by name, the batch at 1."""
    axis: int | None = None
    """The axis along which tokens are added; None for a state of fixed size."""
    shared: bool = False
    """Whether its operator may write the output where the input is: one buffer for both."""
    evidence: tuple[str, ...] = ()
    """What shows the pair: operators, names, shapes."""


@dataclass(frozen=True, slots=True)
class States:
    """The states of a model, and the inputs that speak of its sequence."""

    states: tuple[State, ...]
    roles: tuple[tuple[str, Role], ...] = ()
    """Inputs that are no states, by name."""

    def of(self, role: Role) -> tuple[str, ...]:
        """Names of the inputs with a role."""
        return tuple(name for name, each in self.roles if each is role)

    @property
    def caches(self) -> tuple[State, ...]:
        """States that grow with the sequence."""
        return tuple(state for state in self.states if state.axis is not None)

    @property
    def taken(self) -> tuple[State, ...]:
        """Caches that the model takes."""
        return tuple(state for state in self.caches if state.input)

    @property
    def recurrent(self) -> tuple[State, ...]:
        """States of fixed size that are taken and returned."""
        every = (state for state in self.states if state.input and state.output)
        return tuple(state for state in every if state.axis is None)

    @property
    def unreturned(self) -> tuple[State, ...]:
        """States that the model takes and does not return."""
        return tuple(state for state in self.states if state.input and not state.output)


@dataclass(frozen=True, slots=True)
class Carried:
    """How a session is to hand states on, as pairs of an input and an output."""

    shared: tuple[tuple[str, str], ...] = ()
    """One buffer for both."""
    fed_back: tuple[tuple[str, str], ...] = ()
    """The next inference reads what this one wrote."""
    steps: int = 0
    """After so many inferences states that are fed back are the first ones again."""

    def __bool__(self) -> bool:
        return bool(self.shared or self.fed_back)


#: Every inference reads the states that it was given.
CARRIES_NONE = Carried()
#: Of a model without states, or of one that is measured in no phase.
NO_STATES = States(())
