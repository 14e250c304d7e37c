"""What the inputs of a model hold in a phase, and how its states are handed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.records.sequences.states import Carried, Role, States

Arrays = Mapping[str, NDArray[Any]]
#: Axes of a table of beams: prompts, beams, tokens.
_TABLE = 3
#: Axes of a mask of tokens.
_MASK = 2


def fed(arrays: Arrays, states: States, phase: Phase) -> dict[str, NDArray[Any]]:
    """The arrays with what the phase says of them: masks, positions, counts, branches.

    States and tokens stay as they were made up; an inference writes to those of shared buffers.
    """
    made, beams = dict(arrays), _beams(arrays, states)
    for name, role in states.roles:
        if name in made and phase.kind is not PhaseKind.STEPS:
            made[name] = _value(made[name], role, phase, beams)
    return made


def words(states: States, phase: Phase, ranks: Mapping[str, int]) -> dict[str, str]:
    """The same in words, by input; nothing of those that stay as they were made up.

    `ranks` has how many axes each input has.
    """
    if phase.kind is PhaseKind.STEPS:
        return {}
    said = {
        Role.MASK: f"1 for {phase.total} tokens (a mask of all that there are)",
        Role.POSITIONS: f"{phase.kept} to {phase.total - 1} (the places of the new tokens)",
        Role.LAST: f"{phase.total - 1} (the place of the last token)",
        Role.TOTAL: f"{phase.total} (all tokens, the new ones included)",
        Role.KEPT: f"{phase.kept} (tokens in the cache)",
        Role.BRANCH: f"{phase.kind is PhaseKind.DECODE} (whether there is a cache)".lower(),
        Role.BEAMS: "the number of beams",
        Role.BEAM: "its own number (each beam goes on from itself)",
    }
    kept = {name for name in states.of(Role.MASK) if ranks.get(name) != _MASK}
    return {name: said[role] for name, role in states.roles if role in said and name not in kept}


def _value(array: NDArray[Any], role: Role, phase: Phase, beams: int) -> NDArray[Any]:
    match role:
        case Role.MASK:
            return _mask(array, phase)
        case Role.POSITIONS:
            length = array.shape[-1] if array.ndim else 1
            return _like(array, phase.kept + np.arange(length))
        case Role.LAST:
            return _like(array, phase.total - 1)
        case Role.TOTAL:
            return _like(array, phase.total)
        case Role.KEPT:
            return _like(array, phase.kept)
        case Role.BRANCH:
            return _like(array, phase.kind is PhaseKind.DECODE)
        case Role.BEAMS:
            return _like(array, beams)
        case Role.BEAM:
            return _like(array, _own(array))
    return array


def _beams(arrays: Arrays, states: States) -> int:
    """How many beams a table of [prompts, beams, tokens] has; 1 without one."""
    tables = (arrays[name] for name in states.of(Role.BEAM) if name in arrays)
    return next((table.shape[1] for table in tables if table.ndim == _TABLE), 1)


def _own(array: NDArray[Any]) -> Any:
    """Each beam goes on from itself, so that the caches of all of them are read."""
    if array.ndim == _TABLE:
        return np.arange(array.shape[1])[:, None]
    return 0 if array.ndim > 1 else np.arange(array.shape[-1])


def _mask(array: NDArray[Any], phase: Phase) -> NDArray[Any]:
    """A mask of tokens hides those behind the last one, where it is longer."""
    if array.ndim != _MASK:
        return array
    return _like(array, np.arange(array.shape[-1]) < phase.total)


def _like(array: NDArray[Any], values: Any) -> NDArray[Any]:
    """The values in the array's type, repeated to its shape."""
    return np.array(np.broadcast_to(np.asarray(values), array.shape)).astype(array.dtype)


def carried(states: States, phase: Phase) -> Carried:
    """Which states share a buffer, or are read again by the next inference."""
    if phase.kind is PhaseKind.STEPS:
        back = tuple((state.input, state.output) for state in states.recurrent)
        return Carried(fed_back=back, steps=phase.size)
    shared = (state for state in states.taken if state.shared and state.output)
    return Carried(shared=tuple((state.input, state.output) for state in shared))
