"""TensorRT: sessions over an engine, with bound device memory.

The module `tensorrt` is an argument, as in `build.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.tensorrt.build import runtime_errors
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.memory import SMALLER
from onnxprof.records.layer import Tensor

#: The most layers of an engine; more reports than this are not one inference.
_MOST_REPORTS = 1_000_000


class Memory(Protocol):
    """A stream and memory of one device; implemented in `memory.py`."""

    stream: int

    def allocate(self, size: int) -> int:
        """The address of `size` bytes, freed with the session. Raises BackendError."""

    def to_device(self, pointer: int, array: NDArray[Any]) -> None:
        """Copy to the device and wait."""

    def to_host(self, array: NDArray[Any], pointer: int) -> None:
        """Copy to the host and wait."""

    def wait(self) -> None:
        """Return when the stream has finished. Raises BackendError for a failure."""


@dataclass(slots=True)
class Reports:
    """Reports of a profiler: a name and milliseconds for each layer, inference by inference."""

    inferences: list[list[tuple[str, float]]] = field(default_factory=list)
    count: int = 0

    def begin(self) -> None:
        """Begin an inference."""
        self.inferences.append([])

    def add(self, name: str, ms: float) -> None:
        """Add a layer's time to the present inference."""
        self.count += 1
        if self.inferences and self.count <= _MOST_REPORTS:
            self.inferences[-1].append((name, ms))

    @property
    def whole(self) -> list[list[tuple[str, float]]]:
        """The inferences with all of their layers."""
        return self.inferences if self.count <= _MOST_REPORTS else self.inferences[:-1]


def profiler(trt: Any, reports: Reports) -> Any:
    """An `IProfiler` that writes into `reports`."""

    class Reporting(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            reports.add(layer_name, ms)

    return Reporting()


class EngineSession:
    """An engine with an execution context, and with inputs and outputs bound once."""

    def __init__(self, trt: Any, engine: Any, memory: Memory, workload: Workload) -> None:
        self.engine = engine
        self._memory = memory
        self._trt = trt
        with runtime_errors("cannot bind inputs and outputs"):
            self.context = engine.create_execution_context()
            if self.context is None:
                raise BackendError(
                    "no memory on the device for the engine", remedy=f"Use {SMALLER}"
                )
            names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
            given = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
            self._arrays = {n: self._input(n, workload.inputs) for n in given}
            self._outputs = {n: self._output(n) for n in names if n not in given}

    def infer(self) -> None:
        """Run once and wait for the device; nothing is copied."""
        if not self.context.execute_async_v3(self._memory.stream):
            raise BackendError("TensorRT cannot run the engine", where="tensorrt")
        self._memory.wait()

    def outputs(self) -> list[Tensor]:
        """Names, dtypes and shapes."""
        return [
            Tensor(n, array.dtype.name, tuple(array.shape), observed=True)
            for n, (array, _) in self._outputs.items()
        ]

    def values(self) -> dict[str, NDArray[Any]]:
        """Copies of the last inference's outputs."""
        copies = {}
        for name, (array, pointer) in self._outputs.items():
            copies[name] = array.copy()
            if not self._on_host(name):
                self._memory.to_host(copies[name], pointer)
        return copies

    def _on_host(self, name: str) -> bool:
        """Whether a tensor is on the host, as tensors of sizes are."""
        location = self.engine.get_tensor_location(name)
        return bool(location == self._trt.TensorLocation.HOST)

    def _input(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if name not in inputs:
            raise BackendError(f"TensorRT wants an input that is not given: {name}")
        array = np.ascontiguousarray(inputs[name], self._dtype(name))
        on_host = self._on_host(name)
        if not self.context.set_input_shape(name, array.shape):
            raise BackendError(f"TensorRT refuses shape {list(array.shape)} for {name}")
        pointer = array.ctypes.data if on_host else self._memory.allocate(max(array.nbytes, 1))
        if not on_host:
            self._memory.to_device(pointer, array)
        self.context.set_tensor_address(name, pointer)
        return array

    def _output(self, name: str) -> tuple[NDArray[Any], int]:
        shape = tuple(self.context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise BackendError(
                f"the size of output {name} depends on values, which is not supported",
                where="tensorrt",
                remedy="Use --backend ort",
            )
        array = np.zeros(shape, self._dtype(name))
        size = max(array.nbytes, 1)
        pointer = array.ctypes.data if self._on_host(name) else self._memory.allocate(size)
        self.context.set_tensor_address(name, pointer)
        return array, pointer

    def _dtype(self, name: str) -> np.dtype[Any]:
        try:
            dtype: np.dtype[Any] = np.dtype(self._trt.nptype(self.engine.get_tensor_dtype(name)))
            return dtype
        except TypeError as error:
            raise BackendError(f"NumPy has no type for tensor {name}: {error}") from None


class ProfiledSession(EngineSession):
    """An engine session under an `IProfiler`."""

    def __init__(
        self,
        trt: Any,
        engine: Any,
        memory: Memory,
        workload: Workload,
        traced: Callable[[Any, Reports], Any],
    ) -> None:
        super().__init__(trt, engine, memory, workload)
        self._reports = Reports()
        self._traced = traced
        self._profiler = profiler(
            trt, self._reports
        )  # kept here, since the context holds no reference
        self.context.profiler = self._profiler

    def infer(self) -> None:
        """Run once; the times are reported before this returns."""
        self._reports.begin()
        super().infer()

    def trace(self) -> Any:
        """The trace of all reports, tied to the layers."""
        with runtime_errors("cannot describe its engine"):
            return self._traced(self.engine, self._reports)
