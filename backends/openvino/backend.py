"""OpenVINO on Intel's and AMD's CPUs, and on GPUs and NPUs by Intel where the runtime lists them.

docs/backends.md describes the settings, the measurement and its limits. What only a measuring
process needs is in `traced`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprof.backends.openvino import runtime
from onnxprof.backends.openvino.runtime import ListedDevice, runtime_errors
from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins.backend import Session, TracedSession, Workload
from onnxprof.records.device import Availability, Device
from onnxprof.records.step import Granularity, Setup

if TYPE_CHECKING:
    from onnxprof.plugins.readers import FileReader

#: Models that load faster than this are cut into prefixes by default, up to 24 of them.
_QUICK_NS = 1_000_000_000


class OpenvinoBackend:
    """Times ONNX models on OpenVINO."""

    name = "openvino"

    def availability(self) -> Sequence[Availability]:
        """The devices that the runtime lists, or why there is none."""
        try:
            module = runtime.runtime()
            listed = runtime.devices(module.Core())
        except Exception as error:  # a broken wheel or driver can fail in any way
            detail = f"OpenVINO cannot be used: {runtime.reason(error)}"
            return (Availability(self.name, "cpu", False, detail, runtime.REMEDY),)
        if not listed:
            remedy = f"Reinstall it: {runtime.REMEDY}"
            detail = "OpenVINO lists no device"
            return (Availability(self.name, "cpu", False, detail, remedy),)
        number = runtime.version(module)
        return tuple(Availability(self.name, entry.device.id, True, number) for entry in listed)

    def devices(self) -> Sequence[Device]:
        """The devices that the runtime lists; of several GPUs the first."""
        try:
            core = runtime.runtime().Core()
            return tuple(entry.device for entry in runtime.devices(core))
        except Exception:  # `availability` gives the reason
            return ()

    def configured(self, setup: Setup, provider: str) -> Setup:
        """Properties of the device, by OpenVINO's names: hints, streams, precision and others."""
        from onnxprof.backends.openvino.settings import configured

        return configured(setup, provider)

    def graph_suffix(self, provider: str) -> str:
        """`.xml`, on every device."""
        del provider
        return ".xml"

    def save_graph(self, workload: Workload, path: Path) -> None:
        """Write a description of the nodes that run."""
        from onnxprof.backends.openvino.exported import save

        core, device = _chosen(workload)
        save(workload, core, device, path)

    def packages(self) -> Sequence[str]:
        """The distribution `openvino`."""
        return ("openvino",)

    def readers(self) -> Sequence[FileReader]:
        """The reader of benchmark_app's reports."""
        from onnxprof.backends.openvino.readers import READERS

        return READERS

    def begin(self) -> None:
        """Import OpenVINO."""
        runtime.runtime()

    def lasts(self, provider: str) -> bool:
        """On the CPU, for which each model is compiled by a core of its own."""
        return provider == "cpu"

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A model compiled with the runtime's settings for low latency."""
        from onnxprof.backends.openvino.session import BoundSession, load

        core, device = _chosen(workload)
        loaded = load(workload, core, device.target)
        yield BoundSession(loaded, workload.inputs)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A model compiled with performance counters."""
        from onnxprof.backends.openvino.graphs.steps import producers
        from onnxprof.backends.openvino.session import BoundSession, load
        from onnxprof.backends.openvino.traced import CountingSession

        core, device = _chosen(workload)
        began = time.perf_counter_ns()
        loaded = load(workload, core, device.target, producers(workload.table))
        quick = time.perf_counter_ns() - began < _QUICK_NS
        bound = BoundSession(loaded, workload.inputs)
        yield CountingSession(bound, workload, core, device, leaves_out=quick)


def _chosen(workload: Workload) -> tuple[Any, ListedDevice]:
    """The runtime's core and the device asked for. Raises BackendError or UsageError."""
    if workload.granularity is Granularity.WRITTEN:
        raise BackendError(
            "OpenVINO cannot run a graph as written: its optimisations have no switch",
            where="openvino",
            remedy="Use --granularity executed, or --backend ort",
        )
    try:
        core = runtime.runtime().Core()
    except Exception as error:  # a broken wheel can fail in any way
        raise BackendError(
            f"OpenVINO cannot be used: {runtime.reason(error)}",
            where="openvino",
            remedy=runtime.REMEDY,
        ) from None
    with runtime_errors("cannot list its devices"):
        by_kind = {entry.device.kind: entry for entry in runtime.devices(core)}
    if workload.provider not in by_kind:
        raise UsageError(
            f"the openvino backend has no device {workload.provider!r} here",
            remedy=f"It has: {', '.join(by_kind) or 'none'}",
        )
    return core, by_kind[workload.provider]
