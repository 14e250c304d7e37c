"""CUPTI's activity records by way of torch's profiler, for kernels that others launch.

CUPTI watches the whole process, and so records onnxruntime's work. No torch operator runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from onnxprof.backends.cuda.activity import (
    Activity,
    Launch,
    api_rows,
    clock_offset,
    kernel_rows,
    moved,
)
from onnxprof.records.gpu import ApiRow, KernelRow

_MARK = "onnxprof clock"
_CALLS = frozenset({"cuda_runtime", "cuda_driver"})
_WORK = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
#: The number of inferences recorded for the tables of a runtime with another timer.
_TABLED = 10
_REMEDY = "Install a CUDA build of torch; its profiler brings CUPTI"
#: CUPTI has one subscriber a process, and drivers may keep it for root (NVIDIA's notice
#: ERR_NVGPUCTRPERM).
_SILENT = (
    "CUPTI records nothing of the device. Another profiler may hold it, or the driver keeps it"
    " for root (NVreg_RestrictProfilingToAdminUsers)"
)


class Collector(Protocol):
    """Gathers records between `start` and `stop`, any number of times."""

    launches: list[Launch]
    """Times are on the clock that counts from the epoch."""
    activities: list[Activity]

    def start(self) -> None:
        """Record from here on."""

    def stop(self) -> None:
        """Stop, and keep the records. Call this when the device is done."""


def obstacle(built_for: str = "") -> str:
    """Why activity records are impossible here, and what to install; empty where possible.

    `built_for` is the version of CUDA, as `12.8`, of the runtime that is to be recorded.
    """
    try:
        import torch
    except Exception as error:  # a broken wheel can fail in any way
        return f"torch cannot be imported ({_line(error)}). {_REMEDY}"
    if torch.profiler.ProfilerActivity.CUDA not in torch.profiler.supported_activities():
        return f"torch {torch.__version__} has no CUPTI. {_REMEDY}"
    theirs = torch.version.cuda or ""
    if built_for and theirs.partition(".")[0] != built_for.partition(".")[0]:
        return (
            f"torch brings CUPTI for CUDA {theirs}, and the runtime is built for CUDA"
            f" {built_for}. Install a build of torch for that"
        )
    return ""


def silence(collector: Collector, work: Callable[[], None]) -> str:
    """Why no activity is recorded while `work` runs; empty if some is recorded."""
    if reason := _recorded(collector, work):
        return f"nothing can be recorded of the device: {reason}"
    recorded = bool(collector.activities)
    collector.launches.clear()
    collector.activities.clear()
    return "" if recorded else _SILENT


def tables(
    infer: Callable[[], None], collector: Collector | None = None
) -> tuple[tuple[KernelRow, ...], tuple[ApiRow, ...]]:
    """Kernels and CUDA calls of ten inferences; empty where nothing can be recorded of them."""
    if collector is None and obstacle():
        return (), ()
    collector = collector or TorchCollector()

    def inferences() -> None:
        for _ in range(_TABLED):
            infer()

    _recorded(collector, inferences)
    return kernel_rows(collector.activities), api_rows(collector.launches)


def _recorded(collector: Collector, work: Callable[[], None]) -> str:
    """Do some work while records are gathered; returns the reason of a failure, or nothing."""
    try:
        collector.start()
        try:
            work()
        finally:
            collector.stop()
    except Exception as error:  # a driver can fail in any way
        return _line(error)
    return ""


def fill(index: int) -> None:
    """Run a small kernel on the device of this number."""
    import torch

    torch.ones(1, device=torch.device("cuda", index))
    torch.cuda.synchronize(index)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


class TorchCollector:
    """A collector by torch's profiler; every stretch has records and a clock offset of its own."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.activities: list[Activity] = []
        self.offsets: list[int] = []
        """Nanoseconds added to torch's clock in each stretch, to count from the epoch."""
        self._profile: Any = None
        self._bracket = (0, 0)

    def start(self) -> None:
        """Record from here on; takes some milliseconds, the first time more."""
        import torch

        self._profile = torch.profiler.profile(
            activities=torch.profiler.supported_activities(), acc_events=False
        )
        self._profile.start()
        before = time.time_ns()
        with torch.profiler.record_function(_MARK):
            pass
        self._bracket = (before, time.time_ns())

    def stop(self) -> None:
        """Stop, and keep the records of this stretch."""
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        launches, activities, mark = sorted_out(events)
        before, after = self._bracket
        offset = clock_offset(before, mark, after) if mark else 0
        self.offsets.append(offset)
        self.launches += moved(launches, offset)
        self.activities += activities
        self._profile = None


def sorted_out(events: Iterable[Any]) -> tuple[list[Launch], list[Activity], int]:
    """Calls, activities of the device, and the time of the mark (0 if there is none)."""
    launches: list[Launch] = []
    activities: list[Activity] = []
    mark = 0
    for event in events:
        kind = event.activity_type()
        if kind in _CALLS:
            launches.append(_launch(event))
        elif kind in _WORK:
            activities.append(Activity(event.correlation_id(), event.name(), event.duration_ns()))
        elif event.name() == _MARK and not mark:
            mark = event.start_ns()
    return launches, activities, mark


def _launch(event: Any) -> Launch:
    """A call as a `Launch`; the resource of a call on the host is the thread."""
    return Launch(
        correlation=event.correlation_id(),
        thread=event.device_resource_id(),
        start_ns=event.start_ns(),
        duration_ns=event.duration_ns(),
        name=event.name(),
    )
