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
    """A collector of activity records, where the device has one and device times are wanted."""

    collector: Collector | None = None
    obstacle: str = ""
    """Why only launches can be timed; empty where the device's times can be."""
    insisted: bool = False
    """Whether unmatched records are an error, since the cupti timer was requested."""

    @classmethod
    def of(cls, workload: Workload) -> DeviceTimer:
        """The device timer for the workload's provider and timer.

        Raises BackendError where the cupti timer is requested but not available.
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
        """A context in which records are gathered."""
        if self.collector is None:
            yield
            return
        self.collector.start()
        try:
            yield
        finally:
            self.collector.stop()

    def timed(self, trace: Trace, profile: Path, rows: Mapping[Key, int], epoch_ns: int) -> Trace:
        """The trace with the device's times in place of launch times, if there are records.

        `rows` maps the keys of the profile to steps; `epoch_ns` is the time at which profiling
        began. Raises BackendError if the records match no step and the cupti timer was
        requested; else the trace is returned unchanged and `obstacle` is set.
        """
        if self.collector is None:
            return trace
        with profile.open("rb") as file:
            windows = profile_windows(json.load(file), rows, event_key, epoch_ns)
        shape = (len(trace.steps), trace.step_ns.shape[1])
        windows = [window for window in windows if window.inference < shape[1]]
        attribution = attribute(windows, self.collector.launches, self.collector.activities, shape)
        try:
            return on_device(trace, attribution)
        except BackendError as error:
            if self.insisted:
                raise
            self.obstacle = f"{_LAUNCHES}, and {error.what}; --timer prefix needs no records"
            return trace


def on_device(trace: Trace, attribution: Attribution) -> Trace:
    """The trace with device and host times; work that no step launched is a further step.

    Raises BackendError if there are no records, or if most of the device's time matches no
    inference.
    """
    matched = int(attribution.device_ns.sum() + attribution.stray_ns.sum())
    if not matched or attribution.lost_ns > matched:
        message = (
            f"{attribution.lost} activity records, most of the device's time, match no inference"
        )
        raise BackendError(
            message if attribution.lost else "there is no activity record of any inference",
            remedy="Choose --timer prefix",
        )
    made = replace(
        trace,
        step_ns=attribution.device_ns,
        host_ns=attribution.host_ns,
        kernels=attribution.kernels,
        api_calls=attribution.api_calls,
    )
    return _with_stray(made, attribution) if attribution.stray_ns.any() else made


def _with_stray(trace: Trace, attribution: Attribution) -> Trace:
    none = np.zeros_like(attribution.stray_ns)
    stray = Step(_STRAY, "", trace.provider, (), Confidence.NONE, position=len(trace.steps))
    return replace(
        trace,
        steps=(*trace.steps, stray),
        step_ns=np.vstack([attribution.device_ns, attribution.stray_ns]),
        host_ns=np.vstack([attribution.host_ns, none]),
    )
