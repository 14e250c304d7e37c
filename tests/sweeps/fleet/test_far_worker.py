"""The far side, spoken to through its pipes as ssh and Ray do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.fleets import farm
from support.fleets.sweeps import task

from onnxprof.measure.budget import Budget
from onnxprof.sweeps.fleet.near.calls import run_in
from onnxprof.sweeps.fleet.wire.frames import PROTOCOL, Decoder, Frame, encoded

DEVICE = "fake:board"
HELLO = {"protocol": PROTOCOL, "node": "board", "backends": ["farm"], "beat_s": 0.2}


class Far:
    """A worker at the end of two pipes."""

    def __init__(self, tmp_path: Path, **variables: str) -> None:
        site = farm.install(tmp_path / "site")
        given = {"PYTHONPATH": str(site), "FARM_DEVICES": DEVICE, "FARM_STEP_NS": "50000"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "onnxprof", "worker", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("wb"),
            env=os.environ | given | variables,
            bufsize=0,
        )
        self.frames = self._frames()

    def send(self, kind: str, **facts: Any) -> None:
        self.process.stdin.write(encoded(Frame(kind, facts)))

    def _frames(self) -> Iterator[Frame]:
        decoder = Decoder()
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            yield from (frame for frame in decoder.feed(data) if frame.kind != "beat")

    def until(self, *kinds: str) -> list[Frame]:
        found = []
        for frame in self.frames:
            found.append(frame)
            if frame.kind in kinds:
                return found
        raise AssertionError(f"ended before {kinds}: {[frame.kind for frame in found]}")

    def greeted(self, silence_s: float = 60.0) -> Frame:
        self.send("hello", **HELLO, silence_s=silence_s)
        return self.until("hello", "refused")[-1]

    def start(self, **given: Any) -> None:
        made = task(**given)
        self.send("task", task=made.to_json(), unwanted=[])


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    running = Far(tmp_path)
    yield running
    running.process.kill()
    running.process.wait(20)


def children(far: Far) -> list[psutil.Process]:
    return psutil.Process(far.process.pid).children(recursive=True)


def test_a_task_comes_back_as_events_and_files(far: Far) -> None:
    hello = far.greeted()
    assert hello.facts["survey"]["runtimes"][0]["devices"][0]["id"] == DEVICE
    far.start()
    frames = far.until("done")
    runs = [run_in(frame.body, "board") for frame in frames if frame.kind == "run"]
    assert [run.request.batch for run in runs] == [1, 2]
    assert all(dict(run.environment)["node"] == "board" for run in runs)
    kinds = [frame.facts["event"] for frame in frames if frame.kind == "event"]
    assert kinds.count("started") == 2
    far.start(seed=1, batches=(4,))
    assert any(frame.kind == "run" for frame in far.until("done"))
    far.process.stdin.close()
    assert far.process.wait(20) == 0


def test_it_ends_what_it_does_when_its_stdin_closes(far: Far) -> None:
    far.greeted()
    far.start(budget=Budget(60.0))
    while not any(f.facts.get("event") == "started" for f in far.until("event")):
        pass
    below = children(far)
    assert below
    far.process.stdin.close()
    assert far.process.wait(30) == 0
    _, alive = psutil.wait_procs(below, timeout=20)
    assert alive == []


def test_it_ends_when_it_hears_nothing(far: Far) -> None:
    far.greeted(silence_s=1.0)
    assert far.process.wait(30) == 0


def test_a_greeting_of_another_version_is_refused(far: Far) -> None:
    far.send("hello", **(HELLO | {"protocol": PROTOCOL + 1}), silence_s=9.0)
    frame = far.until("refused")[-1]
    assert f"speaks version {PROTOCOL}" in frame.facts["what"]
    assert far.process.wait(20) == 2


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b'{"kind": "task", "bytes": 0}\n'])
def test_what_is_no_greeting_is_refused(far: Far, data: bytes) -> None:
    far.process.stdin.write(data)
    assert "cannot be understood" in far.until("refused")[-1].facts["what"]
    assert far.process.wait(20) == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"task": {}},
        {"task": {"version": 99}},
        {"task": None},
        {"task": task().to_json() | {"options": {"models": []}}},
        {"task": task().to_json(), "model": {"sha256": "0" * 64, "files": [["../m", 1]]}},
        {"task": task().to_json(), "unwanted": 3},
    ],
)
def test_a_task_that_makes_no_sense_is_refused_and_the_next_one_runs(
    far: Far, facts: dict[str, Any]
) -> None:
    far.greeted()
    far.send("task", **facts)
    assert far.until("failed", "done")[-1].kind == "failed"
    far.start(batches=(1,))
    assert [frame.kind for frame in far.until("done")].count("run") == 1


def test_a_task_of_a_device_that_is_not_there_fails_by_name(far: Far) -> None:
    far.greeted()
    far.start(device="fake:other")
    text = str([frame.facts for frame in far.until("done")])
    assert "has no device 'fake:other' here" in text


def test_what_a_library_prints_damages_no_message(tmp_path: Path) -> None:
    far = Far(tmp_path, FARM_NOISE="1")
    try:
        far.greeted()
        far.start(batches=(1,))
        assert [frame.kind for frame in far.until("done")].count("run") == 1
    finally:
        far.process.kill()
        far.process.wait(20)
    assert "noise of a library" not in (tmp_path / "stderr").read_text()  # but in what went wrong
