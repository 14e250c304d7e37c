"""A network is checked in a process of its own, whose end is a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxprof.checks.zoo import Checked, check_apart

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def checked(memory_bytes: int = 0, seconds: float = 120.0) -> Checked:
    return check_apart(
        "lenet",
        (1, 2),
        {},
        keep=False,
        activations=True,
        memory_bytes=memory_bytes,
        seconds=seconds,
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    return tmp_path


def test_a_good_network_has_no_fault_and_leaves_nothing(folder: Path) -> None:
    found = checked()
    assert found.faults == ()
    assert [batch for batch, _ in found.batch_ms] == [1, 2]
    assert found.activations > 5
    assert found.memory_bytes > 0
    assert not [path for path in folder.rglob("*.onnx*") if path.is_file()]


def test_what_takes_too_long_is_a_fault() -> None:
    (fault,) = checked(seconds=0.001).faults
    assert "stopped after 0.001 s, while checking lenet" in fault
    assert "--timeout" in fault


def test_what_takes_too_much_memory_is_a_fault() -> None:
    (fault,) = checked(memory_bytes=1 << 20).faults
    assert "memory" in fault
