"""A graph as a list of calls on numbered values, as a session runs it.

Values are in slots. Slot 0 is an omitted input, slot 1 takes unused outputs. A value is dropped
after the last use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function
from onnxprof.errors import BackendError
from onnxprof.plugins.memory import SMALLER, is_exhausted
from onnxprof.plugins.source_places import without_places

OMITTED, UNWANTED = 0, 1


def unbound(*given: Any) -> Any:
    """The placeholder for the function of a call."""
    raise NotImplementedError(f"a call with {len(given)} inputs has no function")


@dataclass(slots=True)
class Call:
    """One layer: a function, and the slots of inputs and outputs."""

    name: str
    op_type: str
    function: Function = unbound
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    output_names: tuple[str, ...] = ()
    host: tuple[int, ...] = ()
    """Positions of inputs that are read on the host."""
    bodies: tuple[Program, ...] = ()
    """Subgraphs, or the body of the called function."""
    is_function: bool = False
    number: int = -1
    """Index in the list of layers; -1 inside the body of a function."""
    dead: tuple[int, ...] = ()
    ready: Function | None = None
    """While the program is made: what its constant operands are made into, see `Operator`."""
    is_ready: bool = False
    """Whether that was done."""


@dataclass(slots=True)
class Program:
    """A graph, a subgraph or a function, with the constants that it reads."""

    template: list[Any] = field(default_factory=lambda: [None, None])
    """Contents of the slots before the first call: constants, else None."""
    constants: set[int] = field(default_factory=set)
    formals: list[int] = field(default_factory=list)
    captured: list[tuple[str, int]] = field(default_factory=list)
    """Names of captured outer values, and their slots here."""
    offset: int = 0
    """Offset of this body's part in the captured values of all bodies of a call."""
    calls: list[Call] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    moved: tuple[int, ...] = ()
    """Indices of outputs that are on the host and must be moved to the device."""
    device: Any = None

    def new_slot(self, value: Any = None) -> int:
        """A further slot."""
        self.template.append(value)
        return len(self.template) - 1

    def run(self, values: list[Any]) -> None:
        """Make every call. Raises BackendError naming the layer."""
        call = None
        try:
            for call in self.calls:
                result = call.function(*[values[i] for i in call.inputs])
                outputs = call.outputs
                if type(result) is not tuple:
                    values[outputs[0]] = result
                else:
                    for slot, item in zip(outputs, result, strict=False):
                        values[slot] = item
                for slot in call.dead:
                    values[slot] = None
        except Exception as error:
            raise layer_error(call, error) from error

    def run_marked(
        self, values: list[Any], mark: Callable[[], Any], after: Function | None = None
    ) -> list[Any]:
        """Run with a mark before the first call and after every call, and return the marks.

        `after`, if given, is called with every call and the values.
        """
        marks = [mark()]
        call = None
        try:
            for call in self.calls:
                result = call.function(*[values[i] for i in call.inputs])
                outputs = call.outputs
                if type(result) is not tuple:
                    values[outputs[0]] = result
                else:
                    for slot, item in zip(outputs, result, strict=False):
                        values[slot] = item
                if after is not None:
                    after(call, values)
                for slot in call.dead:
                    values[slot] = None
                marks.append(mark())
        except Exception as error:
            raise layer_error(call, error) from error
        return marks

    def __call__(self, captured: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """Run as a subgraph or function; `captured` values are in the order of `self.captured`."""
        values = self.template.copy()
        for (_, slot), value in zip(self.captured, captured[self.offset :], strict=False):
            values[slot] = value
        for slot, value in zip(self.formals, given, strict=False):
            values[slot] = value
        self.run(values)
        outputs = [values[slot] for slot in self.outputs]
        for i in self.moved:
            outputs[i] = outputs[i].to(self.device)
        return outputs

    def drop_dead(self) -> None:
        """Note for every call the values without later readers; remove unread constants."""
        last: dict[int, int] = {}
        for at, call in enumerate(self.calls):
            for slot in (*call.inputs, *call.outputs):
                last[slot] = at
        kept = {OMITTED, *self.outputs, *self.constants, *self.formals}
        kept |= {slot for _, slot in self.captured}
        dead: dict[int, list[int]] = {}
        for slot, at in last.items():
            if slot not in kept:
                dead.setdefault(at, []).append(slot)
        for at, call in enumerate(self.calls):
            call.dead = tuple(dead.get(at, ()))
        for slot in self.constants.difference(last, self.outputs):
            self.template[slot] = None


def layer_error(call: Call | None, error: Exception) -> BackendError:
    """The error for a failed layer in one line; exhausted memory has a remedy of its own."""
    if isinstance(error, BackendError):
        return error
    where = f"{call.op_type} {call.name}" if call else "torch"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if is_memory_error(error):
        return BackendError("out of memory", where=where, remedy=f"Use {SMALLER}")
    return BackendError(
        f"torch cannot run the layer: {without_places(lines[0])[:300]}",
        where=where,
        remedy="Other inputs? See --inputs and --dim",
    )


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that memory of the host or a device is exhausted."""
    return isinstance(error, torch.OutOfMemoryError) or is_exhausted(error)
