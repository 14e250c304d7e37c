"""Sessions over a program: un-profiled, with a time for each layer, and of the first layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.cuda.collector import tables
from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function
from onnxprof.backends.torch.base.values import described, to_numpy, to_torch
from onnxprof.backends.torch.program.loader import Loaded, load
from onnxprof.backends.torch.program.placement import host_inputs, place
from onnxprof.backends.torch.program.program import UNWANTED, Call, Program, layer_error
from onnxprof.backends.torch.settings import lay_out
from onnxprof.backends.torch.verify import TorchProof
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Session, Trace, Workload
from onnxprof.records.layer import Tensor
from onnxprof.records.step import Confidence, Granularity, Step

Values = Mapping[str, NDArray[Any]]
_EVIDENCE = "runs operator by operator"
_UNPACKED = f"{_EVIDENCE}; its weights of few bits were unpacked while loading"


def prepare(workload: Workload, device: Any, wrap: Any = None) -> Loaded:
    """Load the model onto a device, with inputs bound. Raises BackendError."""
    fold = workload.granularity is Granularity.EXECUTED
    try:
        loaded = load(workload.model, fold=fold, wrap=wrap)
        _bind(loaded, workload.inputs, device)
        lay_out(loaded.program, workload.setup)
    except (MemoryError, RuntimeError) as error:
        raise layer_error(None, error) from error
    return loaded


def _bind(loaded: Loaded, inputs: Values, device: Any) -> None:
    program = loaded.program
    missing = [name for name in loaded.inputs if name not in inputs]
    if missing:
        raise BackendError(f"no value for the input {missing[0]!r}")
    given = [_given(name, inputs[name]) for name in loaded.inputs]
    here = [True] * len(given)
    if device.type != "cpu":
        here = host_inputs(program, [_elements(value) for value in given])
        place(program, device, here)
    for slot, value, on_host in zip(program.formals, given, here, strict=True):
        program.template[slot] = value if on_host else _on(device, value)


def _given(name: str, array: NDArray[Any]) -> Any:
    try:
        return to_torch(array)
    except BackendError as error:
        raise BackendError(f"input {name!r}: {error.what}", remedy=error.remedy) from None


def _elements(value: Any) -> int:
    return sum(map(_elements, value)) if isinstance(value, list) else int(value.numel())


def _on(device: Any, value: Any) -> Any:
    return [_on(device, item) for item in value] if isinstance(value, list) else value.to(device)


def _nothing() -> None:
    pass


def synchroniser(device: Any) -> Callable[[], None]:
    """A function that waits until a device has finished; it does nothing for the CPU."""
    if device.type != "cuda":
        return _nothing
    synchronise = torch.cuda.synchronize
    return lambda: synchronise(device)


class TorchSession:
    """A program with bound inputs; an inference ends when the device is done."""

    def __init__(self, loaded: Loaded, device: Any) -> None:
        self.loaded, self.device = loaded, device
        self._program = loaded.program
        self._wait = synchroniser(device)
        self._values: list[Any] = []

    def infer(self) -> None:
        """Run every layer once."""
        program = self._program
        values = program.template.copy()
        program.run(values)
        self._wait()
        self._values = [values[slot] for slot in program.outputs]

    def outputs(self) -> Sequence[Tensor]:
        """Names, dtypes and shapes of the last inference's outputs."""
        named = zip(self.loaded.outputs, self._values, self.loaded.output_types, strict=True)
        return [described(*entry) for entry in named]

    def values(self) -> Values:
        """Copies of the last outputs; sequences and optional values are left out."""
        kinds = (self.loaded.outputs, self.loaded.output_types, self._values)
        return {
            name: to_numpy(value, kind)
            for name, kind, value in zip(*kinds, strict=True)
            if isinstance(value, torch.Tensor)
        }

    def arena_bytes(self) -> int | None:
        """Peak bytes of torch's allocator on a CUDA device; None on the CPU, which has no count."""
        if self.device.type != "cuda":
            return None
        return int(torch.cuda.max_memory_allocated(self.device))


class PrefixSession:
    """The first calls of a program, with the same weights; results are dropped."""

    def __init__(self, program: Program, count: int, device: Any) -> None:
        self._program = Program(program.template, calls=program.calls[:count])
        self._wait = synchroniser(device)

    def infer(self) -> None:
        """Run the first calls once."""
        self._program.run(self._program.template.copy())
        self._wait()

    def outputs(self) -> Sequence[Tensor]:
        """Empty: a prefix has no outputs of the model."""
        return []

    def values(self) -> Values:
        """Empty."""
        return {}


class Marks:
    """Functions that mark a moment, and that give the nanoseconds between two marks."""

    def __init__(self, device: Any) -> None:
        on_device = device.type == "cuda"
        self.mark: Callable[[], Any] = cuda_mark if on_device else time.perf_counter_ns
        self.between: Callable[[Any, Any], int] = event_ns if on_device else _difference


def _difference(began: int, ended: int) -> int:
    return ended - began


def cuda_mark() -> Any:
    """An event in the current stream, behind all work enqueued so far."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def event_ns(began: Any, ended: Any) -> int:
    """Nanoseconds between two completed events; torch gives milliseconds."""
    return round(float(began.elapsed_time(ended)) * 1e6)


class Times:
    """The time of each layer in each inference, in memory allocated before the first inference.

    A small array for each inference would lie between the buffers of layers, and move buffers of
    the un-profiled session, whose latency then changes by up to a tenth.
    """

    def __init__(self, layers: int, inferences: int) -> None:
        self.count = 0
        self._kept = np.zeros((max(1, inferences), layers), np.int64)

    def next(self) -> NDArray[np.int64]:
        """A row of zeros for one more inference."""
        if self.count == len(self._kept):
            self._kept = np.concatenate([self._kept, np.zeros_like(self._kept)])
        room: NDArray[np.int64] = self._kept[self.count]
        self.count += 1
        return room

    def taken(self) -> NDArray[np.int64]:
        """All times in nanoseconds, shape [layers, inferences]."""
        noted: NDArray[np.int64] = self._kept[: self.count].T
        return noted


class TracedTorchSession(TorchSession):
    """A session that marks the time after every layer, those of subgraphs included."""

    def __init__(self, workload: Workload, device: Any) -> None:
        self._workload = workload
        self._marks = Marks(device)
        self._inner: list[tuple[Call, Call, Any, Any]] = []
        super().__init__(prepare(workload, device, self._timed), device)
        self._times = Times(len(self.loaded.layers), workload.most_traced)
        self._seen: set[int] = set()
        self._shapes: dict[int, tuple[Tensor, ...]] = {}

    def _timed(self, call: Call, parent: Call) -> Function:
        function, mark, log = call.function, self._marks.mark, self._inner

        def run(*inputs: Any) -> Any:
            began = mark()
            result = function(*inputs)
            log.append((call, parent, began, mark()))
            return result

        return run

    def infer(self) -> None:
        """Run every layer once and keep the times."""
        program = self._program
        values = program.template.copy()
        self._inner.clear()
        after = None if self._times.count else self._look
        marks = program.run_marked(values, self._marks.mark, after)
        self._wait()
        self._values = [values[slot] for slot in program.outputs]
        self._note(marks, self._times.next())

    def _note(self, marks: Sequence[Any], taken: NDArray[np.int64]) -> None:
        """Add the layers' own times, without the time of layers in their subgraphs."""
        between = self._marks.between
        for call, began, ended in zip(self._program.calls, marks, marks[1:], strict=False):
            taken[call.number] = between(began, ended)
        for call, parent, began, ended in self._inner:
            took = between(began, ended)
            taken[call.number] += took
            taken[parent.number] -= took
            self._seen.add(call.number)

    def _look(self, call: Call, values: Sequence[Any]) -> None:
        """Note the shapes of a layer's outputs, in the first inference."""
        self._shapes[call.number] = tuple(
            described(name, values[slot])
            for name, slot in zip(call.output_names, call.outputs, strict=True)
            if slot != UNWANTED and isinstance(values[slot], torch.Tensor)
        )

    def trace(self) -> Trace:
        """A trace with one exact step a layer, without layers of branches that never ran."""
        rows = [
            (number, call, position)
            for number, (call, parent, position) in enumerate(self.loaded.layers)
            if parent == -1 or number in self._seen
        ]
        times = self._times.taken()
        on_gpu = self.device.type == "cuda"
        kernels, calls = tables(super().infer) if on_gpu else ((), ())
        return Trace(
            steps=tuple(self._step(*row) for row in rows),
            step_ns=np.maximum(times[[number for number, _, _ in rows]], 0),
            folded=tuple(self.loaded.folded),
            shapes=tuple(tensor for seen in self._shapes.values() for tensor in seen),
            length=len(self._program.calls),
            provider=self.device.type,
            kernels=kernels,
            api_calls=calls,
        )

    def _step(self, number: int, call: Call, position: int) -> Step:
        return Step(
            name=call.name,
            op_type=call.op_type,
            provider=self.device.type,
            layers=(call.name,),
            confidence=Confidence.EXACT,
            evidence=_UNPACKED if call.is_ready else _EVIDENCE,
            outputs=self._shapes.get(number, ()),
            position=position,
        )

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Sessions of the first layers; they share the weights of this one."""
        return [PrefixSession(self._program, count, self.device) for count in counts]

    def proof(self) -> TorchProof:
        """The check of every layer's values, usable after this session."""
        return TorchProof(self._workload, self.device)
