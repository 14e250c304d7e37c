"""A backend for fleets: devices by an environment variable, inferences that sleep.

Its name is `farm`. `FARM_DEVICES` holds its devices' ids, `FARM_VERSION` its runtime's version,
`FARM_STEP_NS` how long each layer takes; a machine without `FARM_DEVICES` has no runtime.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

_MODULE = """
import os, time
from onnxprof.records.device import Availability, Device
from onnxprof.testing import FakeBackend, FakeSession


class Sleeper(FakeSession):
    def infer(self):
        before = self.clock.now_ns
        super().infer()
        time.sleep((self.clock.now_ns - before) / 1e9)


class Farm(FakeBackend):
    def __init__(self):
        super().__init__(name="farm", gap_ns=0, load_ns=0)

    def _ids(self):
        return [text for text in os.environ.get("FARM_DEVICES", "").split(",") if text]

    def availability(self):
        if not self._ids():
            return (Availability(self.name, "fake", False, "no farm here", "set FARM_DEVICES"),)
        return tuple(Availability(self.name, id, True, "1.0") for id in self._ids())

    def devices(self):
        return tuple(Device(id, id.partition(":")[0], "Fake " + id) for id in self._ids())

    def packages(self):
        return ("farm-runtime",)

    def _session(self, workload, traced_cost_ns):
        if os.environ.get("FARM_NOISE"):
            print("noise of a library", flush=True)
            os.write(1, b"more noise\\n")
        each = int(os.environ.get("FARM_STEP_NS", "200000"))
        nodes = workload.table.nodes
        return Sleeper(self.clock, workload, tuple((lambda _: each) for _ in nodes), 0)
"""


def install(folder: Path, version: str = "1.0") -> Path:
    """Put the backend into a folder that is to be on a process's PYTHONPATH; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "farm_backend.py").write_text(textwrap.dedent(_MODULE))
    _distribution(folder, "farm", "1.0", "[onnxprof.backends]\nfarm = farm_backend:Farm\n")
    _distribution(folder, "farm_runtime", version, "")
    return folder


def _distribution(folder: Path, name: str, version: str, points: str) -> None:
    facts = folder / f"{name}-{version}.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if points:
        (facts / "entry_points.txt").write_text(points)
