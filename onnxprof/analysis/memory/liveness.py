"""Which buffers are alive at each step of an inference, from what the steps read and write.

A buffer lives from the step that writes it to the last one that reads it, or to the end where
nobody does: then it is an output. The model's inputs belong to the caller and live all the time.
A view and a result in place share the buffer of what they were made of.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from onnxprof.analysis.memory.sizes import total
from onnxprof.records.memory import Buffer, Liveness


@dataclass(frozen=True, slots=True)
class Written:
    """An activation that a step yields."""

    name: str
    size_bytes: int | None
    alike: Hashable = None
    """Equal for activations of which one could take the memory of another: shape and dtype."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One step as far as memory is concerned; tensors are told apart by any unique text."""

    name: str
    reads: tuple[str, ...] = ()
    """Activations and inputs of the model, without weights and constants."""
    writes: tuple[Written, ...] = ()
    view: bool = False
    """The first output is the first input in another shape."""
    overwrites: tuple[str, ...] = ()
    """Inputs in whose memory the first output may be written, if they are needed no longer."""
    scratch_bytes: int = 0
    """Needed while it runs alone."""
    until: int = -1
    """Index of the last step of its subgraphs, which need what it reads; -1 without subgraphs."""


@dataclass(slots=True, eq=False)
class Held:
    """A buffer while it is followed."""

    tensor: str
    size: int | None
    first: int
    last: int
    alike: Hashable = None
    is_input: bool = False
    is_output: bool = False
    users: list[str] = field(default_factory=list)


def liveness(
    executions: Sequence[Execution],
    inputs: Mapping[str, int | None],
    weights: Sequence[int | None] = (),
) -> Liveness:
    """Follow the activations of executions in order; `inputs` are the model's, with their bytes."""
    buffers = followed(executions, inputs)
    known, unknown = _by_step(buffers, len(executions))
    stored, weights_unknown = total(weights)
    return Liveness(
        tuple(execution.name for execution in executions),
        known,
        unknown,
        tuple(Buffer(b.tensor, b.size, b.first, b.last) for b in buffers),
        stored,
        weights_unknown,
    )


def followed(executions: Sequence[Execution], inputs: Mapping[str, int | None]) -> list[Held]:
    """The buffers of an inference in the order in which they are written, the inputs' first."""
    end = max(0, len(executions) - 1)
    last = _last_uses(executions)
    held = {n: Held(n, size, 0, end, users=[n], is_input=True) for n, size in inputs.items()}
    buffers = [*held.values()]
    for index, execution in enumerate(executions):
        buffers += _written(execution, index, held, last, end)
        if execution.scratch_bytes:
            buffers.append(Held(execution.name, execution.scratch_bytes, index, index))
    return buffers


def _last_uses(executions: Sequence[Execution]) -> dict[str, int]:
    """The index of the last step that needs each tensor that is read at all."""
    last: dict[str, int] = {}
    for index, execution in enumerate(executions):
        for name in execution.reads:
            last[name] = max(last.get(name, 0), index, execution.until)
    return last


def _written(
    execution: Execution, index: int, held: dict[str, Held], last: Mapping[str, int], end: int
) -> list[Held]:
    """The new buffers of one step; outputs that share another buffer only prolong it."""
    index = max(index, execution.until)
    new = []
    for position, written in enumerate(execution.writes):
        name = written.name
        if name in held:  # computed twice: the first one counts
            continue
        until = max(index, last.get(name, end))
        shared = None if position else _shared(execution, written, index, held, last, end)
        if shared is None:
            shared = Held(name, written.size_bytes, index, until, written.alike)
            new.append(shared)
        shared.last = max(shared.last, until)
        shared.is_output |= name not in last
        shared.users.append(name)
        held[name] = shared
    return new


def _shared(
    execution: Execution,
    written: Written,
    index: int,
    held: Mapping[str, Held],
    last: Mapping[str, int],
    end: int,
) -> Held | None:
    """The buffer that the first output shares with an input; None if it gets its own."""
    if execution.view:
        return next((held[name] for name in execution.reads if name in held), None)
    for name in execution.overwrites:
        buffer = held.get(name)
        if buffer is None or buffer.is_input or written.size_bytes in (None, 0):
            continue
        ends = all(last.get(user, end) <= index for user in buffer.users)
        if ends and buffer.size == written.size_bytes and not buffer.is_output:
            return buffer
    return None


def _by_step(buffers: Sequence[Held], count: int) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Bytes alive at each step, and whether a buffer of unknown size is alive."""
    change, doubts = [0] * (count + 1), [0] * (count + 1)
    for buffer in buffers if count else ():
        changed, amount = (doubts, 1) if buffer.size is None else (change, buffer.size)
        changed[buffer.first] += amount
        changed[buffer.last + 1] -= amount
    known = tuple(accumulate(change[:-1]))
    return known, tuple(number > 0 for number in accumulate(doubts[:-1]))
