"""A runtime in many versions, as wheels in a folder, and a backend that takes what is there.

The package is `fakert`, its backend too. A version says how long each operator takes; inferences
sleep for that long, and the trace has it to the nanosecond.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_BACKEND = """
import time
from onnxprof.records.device import Availability
from onnxprof.testing import FakeBackend, FakeSession


class Sleeper(FakeSession):
    def infer(self):
        before = self.clock.now_ns
        super().infer()
        time.sleep((self.clock.now_ns - before) / 1e9)


class Fakert(FakeBackend):
    def __init__(self):
        super().__init__(name="fakert", gap_ns=0, load_ns=0)

    def begin(self):
        import fakert

    def lasts(self, provider):
        return False

    def packages(self):
        return ("fakert",)

    def lacks(self):
        import fakert
        return fakert.LACKS

    def availability(self):
        try:
            import fakert
        except Exception as error:
            detail = f"fakert cannot be imported: {error}"
            return (Availability(self.name, "cpu:fake", False, detail, "pip install fakert"),)
        return super().availability()

    def devices(self):
        try:
            import fakert
        except Exception:
            return ()
        return super().devices()

    def configured(self, setup, provider):
        import fakert
        from onnxprof.errors import BackendError
        for name, _ in setup.session:
            if name not in fakert.OPTIONS:
                raise BackendError(f"no option {name}")
        return setup

    def graph_suffix(self, provider):
        return ".txt"

    def save_graph(self, workload, path):
        import fakert
        path.write_text(fakert.__file__)

    def _session(self, workload, traced_cost_ns):
        import fakert
        nodes = workload.table.nodes
        each = [fakert.STEP_NS.get(layer.op_type, 200_000) for layer in nodes]
        steps = tuple((lambda _, ns=ns: ns) for ns in each)
        return Sleeper(self.clock, workload, steps, 0)
"""


def backend(folder: Path) -> Path:
    """Write the backend into a folder that is to be on the path; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fakert_backend.py").write_text(_BACKEND)
    facts = folder / "fakert_backend-1.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fakert-backend\nVersion: 1.0\n")
    points = "[onnxprof.backends]\nfakert = fakert_backend:Fakert\n"
    (facts / "entry_points.txt").write_text(points)
    return folder


def source(
    step_ns: Mapping[str, int], lacks: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """A version's module: what operators take in nanoseconds, what it lacks, what may be set."""
    return f"STEP_NS = {dict(step_ns)!r}\nLACKS = {tuple(lacks)!r}\nOPTIONS = {tuple(options)!r}\n"


def wheel(
    folder: Path,
    version: str,
    code: str = "STEP_NS = {}\nLACKS = ()\nOPTIONS = ()\n",
    *,
    package: str = "fakert",
    tags: str = "py3-none-any",
    requires: Sequence[str] = (),
) -> Path:
    """A wheel of one module in the folder (PyPA's binary distribution format)."""
    folder.mkdir(parents=True, exist_ok=True)
    name = package.replace("-", "_")
    facts = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files = {
        f"{name}/__init__.py": code,
        f"{facts}/METADATA": (
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{needs}"
        ),
        f"{facts}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-{version}-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
        archive.writestr(f"{facts}/RECORD", f"{record}{facts}/RECORD,,\n")
    return path


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def offline_index(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have pip look into the folder, or into a page of links, and nowhere else."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))
