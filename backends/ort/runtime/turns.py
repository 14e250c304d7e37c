"""Steps of a sequence on one session: each reads the states that the last one wrote.

Two buffers for each state take turns as input and output, so that nothing is copied. The first step
of a sequence reads the states that were given, which nothing writes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.ort.runtime.values import ortvalue_of, view_of
from onnxprof.records.sequences.states import Carried

Place = tuple[str, int]


class Turns:
    """The bindings of a sequence: its first step, its even and its odd ones."""

    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._first: Any = None
        self._others: tuple[Any, ...] = ()
        self._held: list[Any] = []
        self._step = 0

    def bind(
        self,
        session: Any,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, Any],
        place: Place,
    ) -> None:
        """Bind inputs and outputs, where `outputs` have their memory."""
        pairs = self._carried.fed_back
        given = {name: _ortvalue(array, place) for name, array in inputs.items()}
        one = {after: outputs[after] for _, after in pairs}
        two = {after: _ortvalue(np.array(view_of(value)), place) for after, value in one.items()}
        self._held = [given, two]

        def made(reads: Mapping[str, Any] | None, writes: Mapping[str, Any]) -> Any:
            states = {before: reads[after] for before, after in pairs} if reads else {}
            return _binding(session, {**given, **states}, {**outputs, **writes})

        self._first = made(None, one)
        self._others = (made(two, one), made(one, two))
        self._step = 0

    def next(self) -> Any:
        """The binding of the next step; a new sequence begins after the last one."""
        step, self._step = self._step, (self._step + 1) % self._carried.steps
        return self._others[step % 2] if step else self._first

    def restarted(self) -> bool:
        """Begin a new sequence; whether there are bindings that it can begin with."""
        self._step = 0
        return self._first is not None


def _ortvalue(array: NDArray[Any], place: Place) -> Any:
    import onnxruntime as ort

    narrow = ortvalue_of(array)
    return ort.OrtValue.ortvalue_from_numpy(array, *place) if narrow is None else narrow


def _binding(session: Any, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in outputs.items():
        binding.bind_ortvalue_output(name, value)
    return binding
