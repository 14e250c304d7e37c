"""A session of OpenVINO whose performance counters are read: steps, their times, cuts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxprof.backends.openvino.counters import Counters, step_times
from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.steps import Listed, executed, halves_of, steps_of, tied
from onnxprof.backends.openvino.prefix import Prefixes
from onnxprof.backends.openvino.runtime import ListedDevice, runtime_errors
from onnxprof.backends.openvino.session import BoundSession
from onnxprof.errors import BackendError
from onnxprof.model.graph.read import read_prepared
from onnxprof.plugins.backend import Session, Trace, Workload
from onnxprof.provenance.ties import Ties
from onnxprof.records.timings import Samples


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
        device, halves = f"OpenVINO {self._kind.upper()}", halves_of(self._workload.table)
        steps = steps_of(ties, nodes, listed, loaded.marks, device, halves)
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
