"""The status of sweeps in their store: written, read, of the living, the dead and the foreign."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.sweeps.events import END, SCRIPT, tally

from onnxprof.processes.identity import Identity, is_alive, myself
from onnxprof.store.encoding import dumps, from_json, to_json
from onnxprof.store.folder import Store, scan
from onnxprof.sweeps.events import Planned
from onnxprof.sweeps.status import file
from onnxprof.sweeps.status.file import FOLDER, State, Status, StatusFile, age_s, state, statuses
from onnxprof.sweeps.status.pace import Pace
from onnxprof.testing import sample_run


def listed(store: Path) -> list[Path]:
    return sorted((store / FOLDER).iterdir()) if (store / FOLDER).exists() else []


def run(store: Path, *, to_the_end: bool = True) -> None:
    with StatusFile(store, 0.0) as status:
        for _, event in (*SCRIPT, END) if to_the_end else SCRIPT:
            status.hear(event)


def test_a_sweep_that_runs_is_read_as_it_stands(tmp_path: Path) -> None:
    with StatusFile(tmp_path, 0.0) as status:
        for _, event in SCRIPT:
            status.hear(event)
        assert status._pace is not None
        status._pace.close()
        [found], problems = statuses(tmp_path)
        assert problems == []
        assert state(found) is State.RUNNING
        same = replace(tally(), elapsed_s=0.0, expected_at_s=0.0)
        assert replace(found.tally, elapsed_s=0.0, expected_at_s=0.0) == same
        assert found.writer == myself()
        assert 0 <= age_s(found) < 3600


def test_every_field_comes_back() -> None:
    status = Status(myself(), "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", tally())
    assert from_json(Status, to_json(status)) == status


def test_the_end_is_marked_and_cleared_by_the_next_sweep(tmp_path: Path) -> None:
    run(tmp_path)
    [found], _ = statuses(tmp_path)
    assert state(found) is State.ENDED
    (tmp_path / FOLDER / "gone-1.json").write_bytes(dumps(to_json(dead(found))))
    with StatusFile(tmp_path):
        assert listed(tmp_path) == []


def test_a_sweep_that_never_ended_in_words_leaves_nothing(tmp_path: Path) -> None:
    run(tmp_path, to_the_end=False)
    assert listed(tmp_path) == []


def dead(status: Status) -> Status:
    writer = replace(status.writer, started="another time")
    return replace(status, writer=writer, tally=replace(status.tally, is_over=False))


def test_a_number_that_another_process_has_now_is_a_dead_sweep() -> None:
    status = Status(myself(), "", "", tally())
    assert state(status) is State.RUNNING
    assert state(dead(status)) is State.DEAD
    foreign = replace(status, writer=replace(status.writer, host="elsewhere"))
    assert state(foreign) is State.UNKNOWN


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.sweeps.events import SCRIPT
from onnxprof.sweeps.status.file import StatusFile
with StatusFile(Path(sys.argv[1]), 0.0) as status:
    for _, event in SCRIPT:
        status.hear(event)
    print("here", flush=True)
    time.sleep(600)
"""


@pytest.mark.posix
def test_a_killed_sweep_is_dead_even_before_it_is_buried(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(tests)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    wait_for_file(tmp_path)
    [found], _ = statuses(tmp_path)
    assert state(found) is State.RUNNING
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the list
    assert state(found) is State.DEAD
    process.wait()
    process.stdout.close()
    assert state(found) is State.DEAD


def wait_for_file(store: Path) -> None:
    for _ in range(600):
        if statuses(store)[0]:
            return
        threading.Event().wait(0.05)
    raise AssertionError("no status was written")


def test_no_process_has_such_a_number() -> None:
    assert is_alive(replace(myself(), pid=0)) is False
    assert is_alive(replace(myself(), pid=2**22 + 1)) is False
    assert is_alive(Identity("elsewhere", os.getpid(), "")) is None
    assert is_alive(replace(myself(), started="")) is True


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"version":2}', b"\xff", b"[" * 100_000, b"{" + b" " * (5 << 20)],
)
def test_what_is_no_status_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / FOLDER / "x-1.json"
    place.parent.mkdir()
    place.write_bytes(content)
    found, problems = statuses(tmp_path)
    assert (found, [problem.where for problem in problems]) == ([], [str(place)])
    run(tmp_path)
    assert place.exists()


@pytest.mark.posix
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "x-1.json")
    assert len(statuses(tmp_path)[1]) == 1
    run(tmp_path)


def test_it_is_no_run_and_no_run_is_lost(tmp_path: Path) -> None:
    Store(tmp_path).save(sample_run())
    run(tmp_path)
    runs, problems = scan([tmp_path])
    assert (len(runs), problems) == (1, [])


def test_a_store_that_cannot_be_written_stops_no_sweep(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    run(tmp_path)
    assert (tmp_path / FOLDER).read_text() == "in the way"


def test_two_sweeps_on_one_store_have_a_file_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = myself()
    with StatusFile(tmp_path, 0.0) as first:
        monkeypatch.setattr(file, "myself", lambda: replace(me, host="farm-2"))
        with StatusFile(tmp_path, 0.0) as second:
            for status in (first, second):
                status.hear(Planned(1, 0, 1))
                assert status._pace is not None
                status._pace.close()
            found = statuses(tmp_path)[0]
            assert {status.writer.host for status in found} == {me.host, "farm-2"}


def test_a_burst_of_changes_is_worked_off_at_once() -> None:
    works: list[int] = []
    began = threading.Event()

    def work() -> None:
        works.append(1)
        began.set()

    pace = Pace(work, 3600.0)
    pace.nudge()
    assert began.wait(60)
    for _ in range(1000):
        pace.nudge()
    assert len(works) == 1
    pace.close()
    assert len(works) == 2


def test_without_a_change_nothing_is_done() -> None:
    works: list[int] = []
    Pace(lambda: works.append(1), 0.0).close()
    assert works == []
