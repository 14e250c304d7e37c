"""TensorRT: building an engine, and sessions over one with bound device memory.

Written after the Python API of TensorRT 10 and 11, of which this uses what both have. The
module `tensorrt` comes in as an argument, so that a stand-in with the same few verbs does.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxprof.contracts import BackendError, Workload
from onnxprof.records import PreparedModel, Tensor

#: Layers an engine may have at most; more than this from a profiler is not one inference.
_MOST_REPORTS = 1_000_000


class Memory(Protocol):
    """A stream and memory of one device; `tensorrt_memory.py` has the real one."""

    stream: int

    def allocate(self, size: int) -> int:
        """So many bytes; freed with the session. Raises BackendError where there are none."""

    def to_device(self, pointer: int, array: NDArray[Any]) -> None:
        """Copy there and wait."""

    def to_host(self, array: NDArray[Any], pointer: int) -> None:
        """Copy back and wait."""

    def wait(self) -> None:
        """Return when the stream has done its work. Raises BackendError for a failure."""


@contextmanager
def runtime_errors(what: str) -> Iterator[None]:
    """Turn TensorRT's exceptions into one line each."""
    try:
        yield
    except (BackendError, KeyboardInterrupt):
        raise
    except Exception as error:  # the bindings raise whatever pybind11 makes of it
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BackendError(f"TensorRT {what}: {lines[0][:400]}", where="tensorrt") from error


def logger(trt: Any, said: list[str]) -> Any:
    """A logger that keeps errors, for they hold the reasons, and prints nothing."""

    class Kept(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                said.append(message)
                del said[:-20]

    return Kept()


def build(trt: Any, workload: Workload, cache: Path | None = None) -> bytes:
    """The serialised engine of a model at the sizes of its inputs. Raises BackendError.

    Types are the model's own (strongly typed), each input has one size, and the engine keeps
    all that it can tell of its layers. Tactics that were timed before are taken from `cache`.
    """
    said: list[str] = []
    log = logger(trt, said)
    with runtime_errors("cannot build the engine"):
        builder = trt.Builder(log)
        network = builder.create_network(_flags(trt))
        parser = trt.OnnxParser(network, log)
        if not _parse(parser, workload.model):
            raise BackendError(f"TensorRT cannot read the model: {_reason(parser, said)}")
        config = builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        config.add_optimization_profile(_profile(builder, network, workload.inputs))
        timing = _timing_cache(config, cache)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"TensorRT cannot build the engine: {_last(said)}", where="tensorrt")
    if timing is not None and cache is not None:
        _keep(timing, cache)
    return bytes(plan)


def _flags(trt: Any) -> int:
    """Strongly typed: the choice of TensorRT 10, the only way of TensorRT 11."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(parser: Any, model: PreparedModel) -> bool:
    """External data is looked up beside the file, or in the folder of the model's bytes."""
    if isinstance(model.source, bytes):
        return bool(parser.parse(model.source, str(model.folder / "model.onnx")))
    return bool(parser.parse_from_file(str(model.source)))


def _reason(parser: Any, said: Sequence[str]) -> str:
    if not parser.num_errors:
        return _last(said)
    error = parser.get_error(0)
    name = getattr(error, "node_name", lambda: "")()
    place = f" (at {name})" if name else ""
    return f"{error.desc()}"[:300] + place


def _last(said: Sequence[str]) -> str:
    return said[-1].strip().splitlines()[0][:400] if said and said[-1].strip() else "no reason"


def _profile(builder: Any, network: Any, inputs: Mapping[str, NDArray[Any]]) -> Any:
    """One size for every input, so that tactics are chosen for what is measured."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if tensor.name not in inputs:
            raise BackendError(f"TensorRT wants an input that is not given: {tensor.name}")
        array = inputs[tensor.name]
        if tensor.is_shape_tensor:
            values = array.ravel().tolist()
            profile.set_shape_input(tensor.name, values, values, values)
        elif any(size < 0 for size in tensor.shape):
            profile.set_shape(tensor.name, array.shape, array.shape, array.shape)
    return profile


def _timing_cache(config: Any, path: Path | None) -> Any:
    """A timing cache in use, with what is in the file; None where none can be had."""
    if path is None or not hasattr(config, "create_timing_cache"):
        return None
    known = b""
    with suppress(OSError):
        known = path.read_bytes()
    for data in (known, b""):  # a damaged file, or another device's, is refused
        made = config.create_timing_cache(data)
        if made is not None and config.set_timing_cache(made, False):
            return config.get_timing_cache()
    return None


def _keep(timing: Any, path: Path) -> None:
    """Write whole or not at all; a cache that cannot be written costs time, not the run."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        temporary.write_bytes(bytes(timing.serialize()))
        os.replace(temporary, path)


@dataclass(slots=True)
class Reports:
    """What a profiler was told: a name and milliseconds for each layer, inference by inference."""

    inferences: list[list[tuple[str, float]]] = field(default_factory=list)
    count: int = 0

    def begin(self) -> None:
        """Another inference."""
        self.inferences.append([])

    def add(self, name: str, ms: float) -> None:
        """One layer's time in the inference that began last."""
        self.count += 1
        if self.inferences and self.count <= _MOST_REPORTS:
            self.inferences[-1].append((name, ms))

    @property
    def whole(self) -> list[list[tuple[str, float]]]:
        """The inferences that were kept to their end."""
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
    """An engine with an execution context, its inputs and outputs bound once."""

    def __init__(self, trt: Any, engine: Any, memory: Memory, workload: Workload) -> None:
        self.engine = engine
        self._memory = memory
        self._trt = trt
        with runtime_errors("cannot bind inputs and outputs"):
            self.context = engine.create_execution_context()
            if self.context is None:
                raise BackendError(
                    "no memory on the device for the engine", remedy="Use a smaller --batch"
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
        found = {}
        for name, (array, pointer) in self._outputs.items():
            found[name] = np.empty_like(array)
            self._memory.to_host(found[name], pointer)
        return found

    def _input(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if name not in inputs:
            raise BackendError(f"TensorRT wants an input that is not given: {name}")
        array = np.ascontiguousarray(inputs[name], self._dtype(name))
        on_host = self.engine.get_tensor_location(name) == self._trt.TensorLocation.HOST
        if not on_host and not self.context.set_input_shape(name, array.shape):
            raise BackendError(f"TensorRT refuses shape {list(array.shape)} for {name}")
        pointer = array.ctypes.data if on_host else self._memory.allocate(array.nbytes)
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
        array = np.empty(shape, self._dtype(name))
        pointer = self._memory.allocate(max(array.nbytes, 1))
        self.context.set_tensor_address(name, pointer)
        return array, pointer

    def _dtype(self, name: str) -> np.dtype[Any]:
        try:
            return np.dtype(self._trt.nptype(self.engine.get_tensor_dtype(name)))
        except TypeError as error:
            raise BackendError(f"NumPy has no type for tensor {name}: {error}") from None


class ProfiledSession(EngineSession):
    """The same under an `IProfiler`."""

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
        self._profiler = profiler(trt, self._reports)  # the context holds no reference to it
        self.context.profiler = self._profiler

    def infer(self) -> None:
        """Run once; the times are reported before it returns."""
        self._reports.begin()
        super().infer()

    def trace(self) -> Any:
        """What was reported, tied to the layers."""
        with runtime_errors("cannot describe its engine"):
            return self._traced(self.engine, self._reports)
