"""Sizes of a model's axes in a phase, or why the model does not have that phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnxprof.errors import UsageError
from onnxprof.model.shapes.rules import sizes as expressions
from onnxprof.records.layer import Dim, Tensor
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.records.sequences.states import Role, State, States

#: Axes of a mask of tokens, and of one of pairs of tokens.
_TOKENS, _PAIRS = 2, 4
#: Axes of a table of beams: prompts, beams, tokens.
_BEAMS = 3
_STEPS = "Its states have a fixed size: measure --phase steps:16"


def kinds_of(states: States, inputs: Mapping[str, Tensor]) -> frozenset[PhaseKind]:
    """The phases that a model has, by its states and the length of its tokens."""
    kinds = set()
    tokens = _length(states, inputs)
    if states.caches and tokens != 1:
        kinds.add(PhaseKind.PREFILL)
    if states.taken and (tokens == 1 or isinstance(tokens, str)):
        kinds.add(PhaseKind.DECODE)
    if states.recurrent and not states.caches:
        kinds.add(PhaseKind.STEPS)
    return frozenset(kinds)


def sizes_of(phase: Phase, states: States, inputs: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes of the axes that the phase decides, by name; `inputs` has all of the model's.

    Raises UsageError with the reason where the model does not have the phase, or not of this size.
    """
    refuse_kind(phase.kind, states, inputs)
    found = _Sizes(phase)
    if phase.kind is PhaseKind.STEPS:
        return {}
    found.settle(_length(states, inputs), phase.new, "the new tokens")
    for state in states.taken:
        held = length_of(state, phase)
        found.settle((state.shape or ())[state.axis or 0], held, f"the cache {state.input}")
    for name in states.of(Role.POSITIONS):
        if shape := inputs[name].shape:
            found.settle(shape[-1], phase.new, f"the positions {name}")
    for name in states.of(Role.MASK):
        shape = inputs[name].shape or ()
        if len(shape) == _PAIRS:
            found.settle(shape[-2], phase.new, f"the mask {name}", bound=False)
        if len(shape) in (_TOKENS, _PAIRS):
            found.settle(shape[-1], phase.total, f"the mask {name}", bound=False)
    for name in states.of(Role.BEAM):
        shape = inputs[name].shape or ()
        if len(shape) == _BEAMS:
            found.settle(shape[-1], phase.total, f"the beams {name}", bound=False)
    return found.sizes


def beam_axes(states: States, inputs: Mapping[str, Tensor]) -> frozenset[str]:
    """Names of the axes that count beams, which no phase decides."""
    shapes = (inputs[name].shape or () for name in states.of(Role.BEAM))
    axes = (shape[1] for shape in shapes if len(shape) == _BEAMS)
    return frozenset(axis for axis in axes if isinstance(axis, str))


def length_of(state: State, phase: Phase) -> int:
    """Tokens that a cache has room for: a shared one also for the new tokens."""
    return phase.total if state.shared else phase.kept


def _length(states: States, inputs: Mapping[str, Tensor]) -> Dim:
    """The axis of the new tokens; None where no input has them."""
    for name in states.of(Role.TOKENS):
        shape = inputs[name].shape or ()
        if len(shape) > 1:
            return shape[1]
        if len(shape) == 1:
            return shape[0]
    return None


@dataclass(slots=True)
class _Sizes:
    phase: Phase
    sizes: dict[str, int] = field(default_factory=dict)
    _whose: dict[str, str] = field(default_factory=dict)

    def settle(self, axis: Dim, size: int, whose: str, *, bound: bool = True) -> None:
        """Note the size of an axis. Raises UsageError for one that has another size already.

        Without `bound` one of a fixed size may also be longer.
        """
        known = axis if isinstance(axis, int) else self._known(axis)
        if known is None and isinstance(axis, str):
            self.sizes[axis], self._whose[axis] = size, whose
        elif known is not None and known != size and (bound or known < size):
            raise self._conflict(axis, known, size, whose)

    def _known(self, axis: Dim) -> int | None:
        """The size of an axis whose name, or all names in it, have sizes."""
        if not isinstance(axis, str):
            return None
        value = expressions.evaluate(axis, self.sizes)
        return int(value) if value is not None and value.denominator == 1 else None

    def _conflict(self, axis: Dim, known: int, size: int, whose: str) -> UsageError:
        if isinstance(axis, int):
            return UsageError(
                f"--phase {self.phase} needs {size} for {whose}, and the file fixes {known}",
                remedy="Export it with a free axis, or give the size that it has",
            )
        first = self._whose.get(axis or "", "other axes")
        return UsageError(
            f"--phase {self.phase}: axis {axis!r} is {known} for {first} and {size} for {whose}",
            remedy="Give sizes with --dim in place of --phase",
        )


def refuse_kind(kind: PhaseKind, states: States, inputs: Mapping[str, Tensor]) -> None:
    """Raise UsageError with the reason where the model does not have this kind of phase."""
    if kind not in kinds_of(states, inputs):
        what, remedy = _why_not(kind, states, _length(states, inputs))
        raise UsageError(f"no {kind.value}: {what}", remedy=remedy)


def _why_not(kind: PhaseKind, states: States, tokens: Dim) -> tuple[str, str]:
    if not states.states:
        return (
            "no input and output of the model are a state, by their names, shapes and operators",
            "Measure it with --dim in place of --phase; docs/decoders.md says what is a state",
        )
    if kind is PhaseKind.STEPS:
        if states.caches:
            name = states.caches[0].input or states.caches[0].output
            return f"its cache {name} grows with each step", "Measure --phase decode:512"
        return "the model does not return its states", "Measure it without --phase"
    if not states.caches:
        return "none of its states grows with the sequence", _STEPS
    if kind is PhaseKind.PREFILL:
        return (
            "the file fixes its new tokens at 1",
            "The file for the prompt has it: decoder_model.onnx; profile takes both files together",
        )
    if not states.taken:
        return (
            f"the model returns a cache ({states.caches[0].output}) and takes none",
            "The file for later tokens has it: decoder_with_past_model.onnx; profile takes both"
            " files together",
        )
    return (
        f"the file fixes its new tokens at {tokens}" if tokens else "no input has its new tokens",
        "Export it with a free axis for its tokens",
    )
