"""Processes that start with imports done: what they take over, and what is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from onnxprof.processes import fork_server
from onnxprof.processes.confined import Limits, confined

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")
RUNTIMES = {"onnxruntime", "torch", "openvino", "tensorrt", "tensorflow"}


@pytest.fixture(autouse=True)
def server() -> None:
    fork_server.start(("onnxprof.jobs.preload",))


def parent() -> int:
    return os.getppid()


def variable() -> str:
    return os.environ.get("ONNXPROF_ANY", "")


def folder() -> str:
    return os.getcwd()


def says() -> None:
    os.write(2, b"a word on stderr\n")


def _send(channel: Connection, work: Callable[[], object]) -> None:
    channel.send((work(), os.environ.get("ONNXPROF_ANY"), "onnxprof.jobs.child" in sys.modules))


def _asked(work: Callable[[], object], *, fresh: bool = False) -> tuple[object, ...]:
    context = fork_server.context(fresh=fresh)
    receiver, sender = context.Pipe(duplex=False)
    process = fork_server.process(context, _send, (sender, work))
    process.start()
    sender.close()
    answer: tuple[object, ...] = receiver.recv()
    process.join()
    receiver.close()
    return answer


def test_one_server_starts_all_processes_but_those_that_are_to_be_fresh() -> None:
    fork_server.start(("onnxprof.jobs.preload",))
    first, second = _asked(parent), _asked(parent)
    assert first[0] == second[0] != os.getpid()
    assert confined(parent, Limits(60), "asking") == first[0]
    assert _asked(parent, fresh=True)[0] == os.getpid()


def test_imports_are_done_before_a_process_starts() -> None:
    assert _asked(parent)[2] is True


@pytest.mark.parametrize("value", ["one", "another"])
def test_it_has_the_environment_of_now(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_ANY", value)
    assert confined(variable, Limits(60), "asking") == value
    assert _asked(variable)[:2] == (value, value)
    monkeypatch.delenv("ONNXPROF_ANY")
    assert confined(variable, Limits(60), "asking") == ""


def test_it_has_the_folder_and_the_streams_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert confined(folder, Limits(60), "asking") == str(tmp_path)
    confined(says, Limits(60), "speaking")
    assert capfd.readouterr().err == "a word on stderr\n"


def test_the_server_imports_no_runtime_and_starts_no_thread() -> None:
    code = (
        "import sys, threading, onnxprof.jobs.preload, onnxprof.backends.ort.traced\n"
        "print(threading.active_count(), *sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    threads, *modules = told.stdout.split()
    assert threads == "1"
    assert not (RUNTIMES | {"scipy", "pyarrow"}) & set(modules)
