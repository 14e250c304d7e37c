"""OpenVINO on Intel's and AMD's CPUs, and on GPUs and NPUs by Intel where the runtime lists them.

docs/backends.md describes the settings, the measurement and its limits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from onnxprof.backends.openvino import runtime
from onnxprof.backends.openvino.counters import Counters, step_times
from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.steps import Listed, executed, producers, steps_of, tied
from onnxprof.backends.openvino.prefix import Prefixes
from onnxprof.backends.openvino.runtime import ListedDevice, runtime_errors
from onnxprof.backends.openvino.session import BoundSession, load
from onnxprof.errors import BackendError, UsageError
from onnxprof.model.graph.read import read_prepared
from onnxprof.plugins.backend import Session, Trace, TracedSession, Workload
from onnxprof.plugins.readers import FileReader
from onnxprof.provenance.ties import Ties
from onnxprof.records.device import Availability, Device
from onnxprof.records.step import Granularity
from onnxprof.records.timings import Samples

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

    def packages(self) -> Sequence[str]:
        """The distribution `openvino`."""
        return ("openvino",)

    def readers(self) -> Sequence[FileReader]:
        """The reader of benchmark_app's reports."""
        from onnxprof.backends.openvino.readers import READERS

        return READERS

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A model compiled with the runtime's settings for low latency."""
        core, device = _chosen(workload)
        loaded = load(workload, core, device.target)
        yield BoundSession(loaded, workload.inputs)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A model compiled with performance counters."""
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


class CountingSession:
    """A session whose performance counters are read at intervals, outside of inferences."""

    def __init__(
        self,
        session: BoundSession,
        workload: Workload,
        core: Any,
        device: ListedDevice,
        *,
        leaves_out: bool,
    ) -> None:
        self.leaves_out = leaves_out
        """True for fast models: counters round down, and miss the time between nodes."""
        self._session = session
        self._workload = workload
        self._core = core
        self._listed_device = device
        self._kind = device.device.kind
        self._prefixes: Prefixes | None = None
        self._counters = Counters()
        self.outputs = session.outputs
        self.values = session.values

    def infer(self) -> None:
        """Run once. Counters are read seldom, since reading makes a call longer."""
        began = time.perf_counter_ns()
        self._session.infer()
        self._counters.add(time.perf_counter_ns() - began)
        if self._counters.is_due():
            self._read()

    def _read(self) -> dict[str, Listed]:
        began = time.perf_counter_ns()
        listed = self._listed()
        micros = {name: entry.micros for name, entry in listed.items()}
        self._counters.read(micros, time.perf_counter_ns() - began)
        return listed

    def _listed(self) -> dict[str, Listed]:
        """The counters of every node, by name."""
        with runtime_errors("cannot read its performance counters"):
            listed: dict[str, Listed] = {}
            for entry in self._session.request.profiling_info:
                micros = round(entry.real_time.total_seconds() * 1e6)
                before = listed[entry.node_name].micros if entry.node_name in listed else 0
                listed[entry.node_name] = Listed(entry.node_type, entry.exec_type, micros + before)
            return listed

    def trace(self) -> Trace:
        """Read the counters once more, and tie the executed nodes to the layers."""
        unread = len(self._counters.taken) > sum(r.count for r in self._counters.readings[-1:])
        listed = self._read() if unread else self._listed()
        loaded = self._session.loaded
        with runtime_errors("cannot describe what it runs"):
            nodes = executed(loaded.compiled.get_runtime_model(), listed)
        original = read_prepared(self._workload.model)
        ties, graph = tied(original, self._workload.table, nodes, loaded.marks)
        steps = steps_of(ties, nodes, listed, loaded.marks, f"OpenVINO {self._kind.upper()}")
        self._prefixes = Prefixes(
            workload=self._workload,
            core=self._core,
            target=self._listed_device.target,
            loaded=loaded,
            graph=graph,
            steps=ties.steps,
            nodes=nodes,
        )
        return Trace(
            steps=steps,
            step_ns=self._times(nodes, ties),
            folded=ties.folded,
            length=len(steps),
            barred=self._prefixes.barred,
        )

    def cuttable(self, counts: Sequence[int]) -> Sequence[int]:
        """The cuts, or near ones, that leave the steps before them unchanged."""
        return self._cuts().checked(counts)

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Un-profiled sessions for the first steps of the graph, for each count."""
        return self._cuts().sessions(counts)

    def _cuts(self) -> Prefixes:
        if self._prefixes is None:
            raise BackendError("the steps are not known before `trace`", where="openvino")
        return self._prefixes

    def _times(self, nodes: Sequence[RuntimeNode], ties: Ties) -> Samples:
        """Nanoseconds of each step in each inference: the sum over the nodes of the step."""
        names = [node.name for node in nodes]
        times = step_times(names, self._counters, means=self._kind != "npu")
        grouped = [times[list(step.members)].sum(axis=0) for step in ties.steps]
        return np.array(grouped, np.int64).reshape(len(grouped), times.shape[1])
