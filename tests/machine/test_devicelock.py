"""Two processes on one device: the second waits, and says for whom."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.folders import LOCKS
from onnxprof.machine.cpu import cpu_device
from onnxprof.processes.device_lock import Holder, folder, held

pytest.importorskip("fcntl", reason="flock(2) is there on Unix alone")

HOLD = """
import sys
from onnxprof.processes.device_lock import held
sys.argv = ["/opt/bin/onnxprof", "profile", "a model.onnx"]
with held("cpu:fake", print):
    print("holding", flush=True)
    sys.stdin.readline()
"""
WAIT = """
from onnxprof.processes.device_lock import held
with held("cpu:fake", lambda text: print(text, flush=True)):
    print("holding", flush=True)
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks for this test alone."""
    monkeypatch.setenv(LOCKS, str(tmp_path / "locks"))
    return tmp_path / "locks"


@contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline().strip()
    assert text, process.stderr and process.stderr.read()
    return text


def no_word(text: str) -> None:
    pytest.fail(text)


def test_the_second_waits_and_says_for_whom() -> None:
    with holder() as first, started(WAIT) as second:
        told = line(second)
        assert told.startswith(f"waiting for cpu:fake, in use by process {first.pid} ")
        assert "(onnxprof profile 'a model.onnx') since 20" in told
        assert second.poll() is None
        first.communicate("\n")
        assert line(second) == "holding"
        assert second.wait(30) == 0


@contextmanager
def holder() -> Iterator[subprocess.Popen[str]]:
    with started(HOLD) as process:
        assert line(process) == "holding"
        yield process


def test_who_will_not_wait_is_told_at_once() -> None:
    with holder() as first, pytest.raises(BackendError) as caught, held("cpu:fake", no_word, 0.0):
        pass
    assert f"cpu:fake is in use by process {first.pid}" in str(caught.value)


def test_who_waits_for_a_while_gives_up_then() -> None:
    told: list[str] = []
    began = time.monotonic()
    with holder(), pytest.raises(BackendError), held("cpu:fake", told.append, 0.5):
        pass
    assert time.monotonic() - began >= 0.5
    assert len(told) == 1


def test_another_device_is_free() -> None:
    with holder(), held("cuda:0:fake", no_word, 0.0):
        pass


@pytest.mark.posix
def test_a_crash_frees_the_device(locks: Path) -> None:
    with holder() as first:
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        (stale,) = locks.glob("*.holder")
        assert json.loads(stale.read_bytes())["pid"] == first.pid
        with held("cpu:fake", no_word, 0.0):
            assert json.loads(stale.read_bytes())["pid"] == os.getpid()
    assert stale.read_bytes() == b""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[1, 2]",
        b'{"pid": "x", "command": "", "since": ""}',
        b"[" * 4096,
        b'{"pid": 1e999, "command": "", "since": ""}',
    ],
)
def test_nonsense_in_the_file_is_harmless(locks: Path, content: bytes) -> None:
    with holder():
        (note,) = locks.glob("*.holder")
        note.write_bytes(content)
        with (
            pytest.raises(BackendError, match="in use by another onnxprof process"),
            held("cpu:fake", no_word, 0.0),
        ):
            pass


def test_a_hostile_id_stays_in_the_folder(locks: Path) -> None:
    with held("../../cpu:/etc/x", no_word):
        names = {path.name for path in locks.iterdir()}
    assert names == {"cpu-etc-x.lock", "cpu-etc-x.holder"}


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["file", "link"])
def test_where_there_can_be_no_lock_it_goes_on_and_says_so(locks: Path, kind: str) -> None:
    if kind == "file":
        locks.write_text("no folder")
    else:
        locks.mkdir()
        (locks / "cpu-fake.lock").symlink_to(locks.parent / "elsewhere")
    told: list[str] = []
    with held("cpu:fake", told.append):
        pass
    assert len(told) == 1
    assert told[0].startswith("cpu:fake is not locked (")
    assert not (locks.parent / "elsewhere").exists()


@pytest.mark.posix
def test_no_link_is_followed_to_say_who_holds_it(locks: Path) -> None:
    locks.mkdir()
    (locks / "cpu-fake.holder").symlink_to(locks.parent / "elsewhere")
    with held("cpu:fake", no_word):
        pass
    assert not (locks.parent / "elsewhere").exists()


def test_where_locks_would_be_mere_files_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # Such a file would outlive a process that is killed, and block the next.
    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "not implemented here")

    monkeypatch.setattr("fcntl.flock", missing)
    told: list[str] = []
    with held("cpu:fake", told.append), held("cpu:fake", told.append):
        pass
    assert told == ["cpu:fake is not locked (not implemented here): let nothing else run on it"] * 2


def test_it_may_be_held_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="broke"), held("cpu:fake", no_word):
        raise ValueError("broke")
    with held("cpu:fake", no_word, 0.0):
        pass


def test_the_usual_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOCKS)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert folder().name == "onnxprof"


def test_a_holder_in_words() -> None:
    assert str(Holder()) == "another onnxprof process"
    assert str(Holder(7, "onnxprof profile x", "noon")) == (
        "process 7 (onnxprof profile x) since noon"
    )


def command(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onnxprof", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model, and a runtime to measure it on."""
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    return models.save(models.lenet(), tmp_path)


QUICK = ("--batch", 1, "--budget", 0.05, "--threads", 1, "--no-parity")


def test_profile_waits_for_the_device_and_then_measures(model: Path) -> None:
    with held(cpu_device().id, no_word):
        process = command("profile", model, *QUICK, folder=model.parent)
        assert process.stderr is not None
        told = process.stderr.readline()
        assert told.startswith(f"onnxprof: waiting for {cpu_device().id}, in use by process ")
        assert f"process {os.getpid()} (" in told
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "1 run stored" in rest


def test_profile_without_waiting_is_an_error_in_one_line(model: Path) -> None:
    with held(cpu_device().id, no_word):
        process = command("profile", model, *QUICK, "--no-wait", folder=model.parent)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert f"{cpu_device().id} is in use by process {os.getpid()}" in err
    assert not (model.parent / "runs").exists()


def test_an_interrupt_ends_the_waiting(model: Path) -> None:
    with held(cpu_device().id, no_word):
        process = command("profile", model, *QUICK, folder=model.parent)
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; 0 of 1 done" in err


def test_comparing_two_models_takes_the_lock_once(model: Path, locks: Path) -> None:
    arguments = ("--processes", 2, "--budget", 0.1, "--threads", 1)
    process = command("compare", model, model, *arguments, folder=model.parent)
    _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 1), err
    assert "waiting" not in err
    assert [note.read_bytes() for note in locks.glob("*.holder")] == [b""]
