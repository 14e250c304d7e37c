"""Which values of a program lie on the host and which on the device.

Sizes, axes and counts are read on the host. If they were computed on the device, the host would
wait for every one. So results of `Shape`, and values computed from these alone, stay on the host;
constants lie where they are read; all other values are on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function
from onnxprof.backends.torch.program.program import OMITTED, UNWANTED, Call, Program

#: Operators that read only the shape of a value, and whose results are for the host.
_ABOUT = frozenset({"Shape", "Size", "SequenceLength", "OptionalHasElement"})
#: An input with more elements counts as data, even if it is also read on the host.
_SMALL = 64


def host_inputs(program: Program, sizes: Sequence[int]) -> list[bool]:
    """Which inputs are to be bound on the host, given how many elements each has."""
    wanted = _wanted(program)
    return [s in wanted and n <= _SMALL for s, n in zip(program.formals, sizes, strict=True)]


def place(program: Program, device: Any, formals: Sequence[bool]) -> list[bool]:
    """Move constants and wrap calls so that the inputs of a call are on one side.

    `formals` says for each input whether it is on the host; captured values must be on the
    device. Returns for each output whether it is on the host.
    """
    placing = _Placing(program, device, formals)
    for call in program.calls:
        placing.call(call)
    placing.constants()
    program.device = device
    return [slot in placing.host for slot in program.outputs]


def _wanted(program: Program) -> set[int]:
    """Slots whose values are used, through any operators, as sizes, axes or counts."""
    wanted: set[int] = set()
    for call in reversed(program.calls):
        wanted.update(call.inputs[i] for i in call.host if i < len(call.inputs))
        if wanted.intersection(call.outputs) - {UNWANTED} and call.op_type not in _ABOUT:
            wanted.update(call.inputs)
    return wanted - {OMITTED, UNWANTED}


class _Placing:
    def __init__(self, program: Program, device: Any, formals: Sequence[bool]) -> None:
        self.program, self.device = program, device
        self.wanted = _wanted(program)
        self.host = {slot for slot, here in zip(program.formals, formals, strict=True) if here}
        self.copies: dict[int, int] = {}
        """From constants that are read on the host to the slot of the copy there."""

    def call(self, call: Call) -> None:
        """Decide where one call runs."""
        if call.op_type in _ABOUT:
            self.host.update(call.outputs)
        elif call.is_function:
            self._function(call)
        elif call.bodies:
            self._control(call)
        else:
            self._plain(call)

    def _data(self, call: Call) -> list[int]:
        """Slots of the inputs that are neither constant nor read on the host anyway."""
        constants = self.program.constants | {OMITTED}
        return [s for i, s in enumerate(call.inputs) if i not in call.host and s not in constants]

    def _plain(self, call: Call) -> None:
        data, outputs = self._data(call), set(call.outputs) - {UNWANTED}
        here = self.host.issuperset(data) if data else outputs <= self.wanted
        moves = self._settle(call, here)
        if moves:
            call.function = moving(call.function, moves, self.device)
        if here:
            self.host |= outputs
        elif not data:  # made from sizes alone, on the host
            call.function = delivering(call.function, self.device)

    def _settle(self, call: Call, here: bool) -> list[int]:
        """Read constants on the right side; returns the inputs to move to the device."""
        inputs, moves = list(call.inputs), []
        for i, slot in enumerate(inputs):
            on_host = here or i in call.host
            if slot in self.program.constants and on_host:
                inputs[i] = self._copy(slot)
            elif slot in self.host and not on_host:
                moves.append(i)
        call.inputs = tuple(inputs)
        return moves

    def _copy(self, slot: int) -> int:
        if slot not in self.copies:
            self.copies[slot] = self.program.new_slot(self.program.template[slot])
        return self.copies[slot]

    def _function(self, call: Call) -> None:
        """Place the body of a function for the inputs of this call."""
        (body,) = call.bodies
        held = self.program.constants | {OMITTED}
        here = [slot in self.host for slot in call.inputs]
        alone = all(h or s in held for h, s in zip(here, call.inputs, strict=True))
        here = [h or (alone and s in held) for h, s in zip(here, call.inputs, strict=True)]
        call.inputs = tuple(
            self._copy(s) if h and s in self.program.constants else s
            for h, s in zip(here, call.inputs, strict=True)
        )
        here += [False] * (len(body.formals) - len(here))
        placed = place(body, self.device, here)
        self.host.update(s for s, h in zip(call.outputs, placed, strict=False) if h)

    def _control(self, call: Call) -> None:
        """Place subgraphs: inputs on the device, except a Loop's count and condition."""
        moves = self._settle(call, False)
        if moves:
            call.function = moving(call.function, moves, self.device)
        loop = call.op_type == "Loop"
        for body in call.bodies:
            here = [loop and i < 2 for i in range(len(body.formals))]
            placed = place(body, self.device, here)
            body.moved = tuple(i for i, h in enumerate(placed) if h and not (loop and i == 0))

    def constants(self) -> None:
        """Move all constants except the copies to the device."""
        for slot in self.program.constants:
            self.program.template[slot] = _sent(self.program.template[slot], self.device)
        self.program.constants |= set(self.copies.values())


def _sent(value: Any, device: Any) -> Any:
    if isinstance(value, list):
        return [_sent(item, device) for item in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value


def moving(function: Function, positions: Sequence[int], device: Any) -> Function:
    """The function, with these inputs moved from the host to the device."""

    def run(*inputs: Any) -> Any:
        given = list(inputs)
        for i in positions:
            given[i] = _sent(given[i], device)
        return function(*given)

    return run


def delivering(function: Function, device: Any) -> Function:
    """The function, with the outputs moved to the device."""

    def run(*inputs: Any) -> Any:
        result = function(*inputs)
        if isinstance(result, tuple):
            return tuple(_sent(item, device) for item in result)
        return _sent(result, device)

    return run
