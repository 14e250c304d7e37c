"""Times of steps on a CUDA device, for sessions whose own profiler sees launches alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from onnxprof.backends.cuda import collector as cupti_torch
from onnxprof.backends.cuda.activity import Attribution, attribute, profile_windows
from onnxprof.backends.cuda.collector import Collector, TorchCollector
from onnxprof.backends.ort.profile import Key, event_key
from onnxprof.backends.ort.runtime.providers import cuda_version, provider_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.records.device import device_index
from onnxprof.records.step import Confidence, Step

_STRAY = "(device, between steps)"
_LAUNCHES = "onnxruntime's own profiler times launches on CUDA"


@dataclass(slots=True)
class DeviceTimer:
    """A collector, where the device has one and is asked for its times."""

    collector: Collector | None = None
    obstacle: str = ""
    """Why launches are all that can be seen; empty where that is not so."""
    insisted: bool = False
    """Records that match nothing are an error, since there is nothing else to be had."""

    @classmethod
    def of(cls, workload: Workload) -> DeviceTimer:
        """What the workload's provider and timer need.

        Raises BackendError where the cupti timer is asked for and cannot be had.
        """
        if provider_of(workload).kind != "cuda":
            return cls()
        if workload.timer == "trace":
            return cls(obstacle=_LAUNCHES)
        insisted = workload.timer == "cupti"
        collector = TorchCollector()
        index = device_index(workload.device)
        missing = cupti_torch.obstacle(cuda_version()) or cupti_torch.silence(
            collector, partial(cupti_torch.fill, index)
        )
        if not missing:
            return cls(collector, insisted=insisted)
        if insisted:
            raise BackendError(f"the cupti timer cannot be used: {missing}", where="ort")
        return cls(obstacle=f"{_LAUNCHES}, and {missing.rstrip('.')}")

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Gather records inside of it."""
        if self.collector is None:
            yield
            return
        self.collector.start()
        try:
            yield
        finally:
            self.collector.stop()

    def timed(self, trace: Trace, profile: Path, rows: Mapping[Key, int], epoch_ns: int) -> Trace:
        """The trace with the device's times in place of the launches', if there are records.

        `rows` says which step each key of the profile belongs to, and `epoch_ns` when profiling
        began. Raises BackendError where the records match nothing and are insisted on; else
        the trace stays as it is, and the obstacle says so.
        """
        if self.collector is None:
            return trace
        with profile.open("rb") as file:
            windows = profile_windows(json.load(file), rows, event_key, epoch_ns)
        shape = (len(trace.steps), trace.step_ns.shape[1])
        windows = [window for window in windows if window.inference < shape[1]]
        found = attribute(windows, self.collector.launches, self.collector.activities, shape)
        try:
            return on_device(trace, found)
        except BackendError as error:
            if self.insisted:
                raise
            self.obstacle = f"{_LAUNCHES}, and {error.what}; --timer prefix needs no records"
            return trace


def on_device(trace: Trace, found: Attribution) -> Trace:
    """The trace with device and host times; what no step launched is a step of its own.

    Raises BackendError where there are no records, or where most of the device's time could not
    be matched with any inference.
    """
    matched = int(found.device_ns.sum() + found.stray_ns.sum())
    if not matched or found.lost_ns > matched:
        told = f"{found.lost} activity records, most of the device's time, match no inference"
        raise BackendError(
            told if found.lost else "there is no activity record of any inference",
            remedy="Choose --timer prefix",
        )
    made = replace(
        trace,
        step_ns=found.device_ns,
        host_ns=found.host_ns,
        kernels=found.kernels,
        api_calls=found.api_calls,
    )
    return _with_stray(made, found) if found.stray_ns.any() else made


def _with_stray(trace: Trace, found: Attribution) -> Trace:
    none = np.zeros_like(found.stray_ns)
    stray = Step(_STRAY, "", trace.provider, (), Confidence.NONE, position=len(trace.steps))
    return replace(
        trace,
        steps=(*trace.steps, stray),
        step_ns=np.vstack([found.device_ns, found.stray_ns]),
        host_ns=np.vstack([found.host_ns, none]),
    )
