"""TensorRT: a model built into an engine, with progress, and timings of tactics kept.

This uses the part of the Python API that TensorRT 10 and 11 share. The module `tensorrt` is an
argument, so that tests can pass a stand-in with the same few functions.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.source_places import without_places
from onnxprof.records.layer import PreparedModel

#: Least seconds between two lines of progress.
_EVERY_SECONDS = 0.5


@contextmanager
def runtime_errors(what: str) -> Iterator[None]:
    """Turn TensorRT's exceptions into a BackendError of one line."""
    try:
        yield
    except (BackendError, KeyboardInterrupt):
        raise
    except Exception as error:  # the bindings raise whatever pybind11 makes of it
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BackendError(
            f"TensorRT {what}: {without_places(lines[0])[:400]}", where="tensorrt"
        ) from error


def logger(trt: Any, said: list[str]) -> Any:
    """A logger that appends errors, which contain the reasons, to `said` and prints nothing."""

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
    detailed layer information. Timings of tactics are read from `cache` and added to it.
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
        if workload.setup.level:
            config.builder_optimization_level = int(workload.setup.level)
        config.add_optimization_profile(_profile(builder, network, workload.inputs))
        timing = _timing_cache(config, cache)
        watching = monitor(
            trt, workload.tell
        )  # kept here, since the configuration holds no reference
        if watching is not None:
            config.progress_monitor = watching
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"TensorRT cannot build the engine: {_last(said)}", where="tensorrt")
    if timing is not None and cache is not None:
        _keep(timing, cache)
    return bytes(plan)


class Phases:
    """Progress of the builder, collected from several threads and reported in single lines."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._steps: dict[str, int] = {}
        self._lock = Lock()
        self._due = 0.0

    def start(self, phase: str, steps: int) -> None:
        """A phase of so many steps has begun."""
        with self._lock:
            self._steps[phase] = steps
        self.done(phase, 0)

    def done(self, phase: str, steps: int) -> None:
        """So many steps of a phase are done."""
        with self._lock, suppress(OSError):  # the listener may have closed
            if (now := time.monotonic()) >= self._due:
                self._due = now + _EVERY_SECONDS
                self._tell(f"building the engine: {phase}, {steps} of {self._steps.get(phase, 0)}")

    def finish(self, phase: str) -> None:
        """A phase has ended, perhaps early."""
        with self._lock:
            self._steps.pop(phase, None)


def monitor(trt: Any, tell: Callable[[str], None]) -> Any:
    """An `IProgressMonitor` (TensorRT 8.6 and later); None where there is none."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phases = Phases(tell)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self.phases.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.phases.done(phase_name, step + 1)
            return True  # False would cancel the build

        def phase_finish(self, phase_name: str) -> None:
            self.phases.finish(phase_name)

    return Monitor()


def _flags(trt: Any) -> int:
    """Flags for a strongly typed network: optional in TensorRT 10, the default in TensorRT 11."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(parser: Any, model: PreparedModel) -> bool:
    """Parse a model; external data is looked up beside the file, or in the model's folder."""
    if isinstance(model.source, bytes):
        return bool(parser.parse(model.source, str(model.folder / "model.onnx")))
    return bool(parser.parse_from_file(str(model.source)))


def _reason(parser: Any, said: Sequence[str]) -> str:
    if not parser.num_errors:
        return _last(said)
    error = parser.get_error(0)
    name = getattr(error, "node_name", lambda: "")()
    place = f" (at {name})" if name else ""
    return without_places(error.desc())[:300] + place


def _last(said: Sequence[str]) -> str:
    return (
        without_places(said[-1].strip().splitlines()[0])[:400]
        if said and said[-1].strip()
        else "no reason"
    )


def _profile(builder: Any, network: Any, inputs: Mapping[str, NDArray[Any]]) -> Any:
    """An optimization profile with one size for every input, the measured one."""
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
    """A timing cache with the file's contents, set in `config`; None where it is refused."""
    if path is None or not hasattr(config, "create_timing_cache"):
        return None
    known = b""
    with suppress(OSError):
        known = path.read_bytes()
    for data in (known, b""):  # a damaged cache, or another device's, is refused
        made = config.create_timing_cache(data)
        if made is not None and config.set_timing_cache(made, False):
            return config.get_timing_cache()
    return None


def _keep(timing: Any, path: Path) -> None:
    """Write the cache atomically; errors are ignored, since the cache only saves time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        temporary.write_bytes(bytes(timing.serialize()))
        os.replace(temporary, path)
