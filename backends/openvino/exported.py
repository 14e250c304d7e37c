"""The graph that OpenVINO executes, as the XML that its tools and Netron read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxprof.backends.openvino.runtime import ListedDevice, runtime, runtime_errors
from onnxprof.backends.openvino.session import load
from onnxprof.plugins.backend import Workload


def save(workload: Workload, core: Any, device: ListedDevice, path: Path) -> None:
    """Write the nodes that run, with their implementations. Raises BackendError.

    It is a description, as `benchmark_app -exec_graph_path` writes it: it has no weights and cannot
    be loaded to run.
    """
    compiled = load(workload, core, device.target).compiled
    weights = path.with_suffix(".bin")
    with runtime_errors("cannot write the graph that it runs"):
        runtime().serialize(compiled.get_runtime_model(), str(path), str(weights))
    weights.unlink(missing_ok=True)
