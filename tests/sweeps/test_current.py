"""Which stored runs are of today's runtime and driver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.sweeps.sweeping import run_of, task

from onnxprof.errors import BackendError
from onnxprof.plugins import registry
from onnxprof.records.device import Device
from onnxprof.records.run import RUNTIME, Run
from onnxprof.store.folder import Store
from onnxprof.sweeps.planning.current import Versions
from onnxprof.testing import FakeBackend


class Runtime(FakeBackend):
    """A backend with a package that is installed everywhere, and a device with a driver."""

    driver = "570.1"

    def packages(self):
        return ("numpy",)

    def devices(self):
        return (Device("cuda:0:x", "cuda", "X", driver=self.driver),)


def stored(root: Path, runtime: str, driver: str) -> tuple[Run, Path]:
    run = run_of(task(device_id="cuda:0:x"), 1)
    environment = ((RUNTIME, runtime), ("os", "x")) if runtime else (("os", "x"),)
    run = replace(
        run, environment=environment, device=Device("cuda:0:x", "cuda", "X", driver=driver)
    )
    return run, Store(root).save(run)


@pytest.mark.parametrize(
    ("runtime", "driver", "current"),
    [
        ("here", "570.1", True),
        ("numpy 0.1", "570.1", False),
        ("here", "535.0", False),
        ("", "570.1", False),
    ],
)
def test_a_run_is_current_by_runtime_and_driver(
    runtime: str, driver: str, current: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy

    monkeypatch.setattr(registry, "backend", lambda _: Runtime())
    here = f"numpy {numpy.__version__}"
    run, path = stored(tmp_path, here if runtime == "here" else runtime, driver)
    assert Versions().are_current(run.request, path) is current


@pytest.mark.parametrize(
    ("wanted", "stored_as", "current"),
    [
        ("numpy==0.1", "numpy 0.1.0", True),
        ("numpy==0.1", "numpy 0.2", False),
        ("numpy==0.1", "", False),
    ],
)
def test_a_version_that_was_asked_for_is_current_whatever_is_installed(
    wanted: str, stored_as: str, current: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "backend", lambda _: Runtime())
    run, path = stored(tmp_path, stored_as, "570.1")
    assert Versions().are_current(replace(run.request, runtime=wanted), path) is current


def test_a_run_that_cannot_be_read_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "backend", lambda _: Runtime())
    run, path = stored(tmp_path, "numpy 1", "570.1")
    path.write_bytes(b"damaged")
    assert not Versions().are_current(run.request, path)


def test_a_backend_whose_devices_cannot_be_asked_has_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Runtime):
        def devices(self):
            raise BackendError("no")

    monkeypatch.setattr(registry, "backend", lambda _: Broken())
    run, path = stored(tmp_path, "numpy 1", "570.1")
    assert not Versions().are_current(run.request, path)
