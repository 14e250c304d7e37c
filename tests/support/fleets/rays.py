"""A Ray cluster of fake nodes on the loopback address, bounded, that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from onnxprof.sweeps.fleet.cluster.nodes import RESOURCE

#: Bytes of each node's store of objects: the least that Ray takes.
_OBJECTS = 80 * 2**20
_OURS = ("raylet", "gcs_server", "ray::", "log_monitor", "onnxprof worker")


@dataclass(slots=True)
class Rays:
    """A cluster that runs, and its nodes by name."""

    cluster: Any
    folder: Path
    site: Path
    client_port: int
    nodes: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where a driver on this machine connects."""
        return str(self.cluster.address)

    @property
    def client(self) -> str:
        """Where one from elsewhere does."""
        return f"ray://127.0.0.1:{self.client_port}"

    def add(self, name: str, *devices: str, **variables: str) -> None:
        """A machine that announces these devices."""
        given = {
            "PYTHONPATH": str(self.site),
            "ONNXPROF_CACHE": str(self.folder / f"{name}-cache"),
            "ONNXPROF_LOCKS": str(self.folder / f"{name}-locks"),
            "FARM_DEVICES": ",".join(devices),
            "FARM_STEP_NS": "50000",
        }
        self.nodes[name] = self.cluster.add_node(
            num_cpus=1,
            resources={RESOURCE + device: 1 for device in devices},
            node_name=name,
            env_vars=given | variables,
            **_bounds(),
        )

    def lose(self, name: str) -> None:
        """Kill a machine."""
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)


def _bounds() -> Mapping[str, Any]:
    return {"object_store_memory": _OBJECTS, "node_ip_address": "127.0.0.1"}


@contextmanager
def rays(folder: Path, site: Path, client_port: int) -> Iterator[Rays]:
    """A head that does no work; what it started is gone afterwards."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs onnxprof[fleet]")
    before = {process.pid for process in _processes()}
    head = {
        "num_cpus": 0,
        "include_dashboard": False,
        "node_name": "head",
        "ray_client_server_port": client_port,
        **_bounds(),
    }
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Rays(cluster, folder, site, client_port)
    finally:
        cluster.shutdown()
        left = [process for process in _processes() if process.pid not in before]
        _, alive = psutil.wait_procs(left, timeout=20)
        names = [process.pid for process in alive]
        for process in alive:
            process.kill()
        assert names == [], "Ray left processes behind"


def _processes() -> list[psutil.Process]:
    """Processes below this one that are Ray's or a worker."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            text = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if any(name in text for name in _OURS):
            found.append(process)
    return found
