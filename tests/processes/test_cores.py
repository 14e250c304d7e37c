"""Cores that are measured, and those that onnxprof keeps to meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.jobs.parent import run_isolated
from onnxprof.machine.kernel import usable_cores
from onnxprof.processes import cores, fork_server
from onnxprof.processes.confined import Limits
from onnxprof.processes.cores import Split, listed, measuring, on, parsed, split
from onnxprof.records.run import CORES

USABLE = cores.usable()
affinities = pytest.mark.skipif(not USABLE, reason="this system has no affinities")
several = pytest.mark.skipif(len(USABLE) < 2, reason="one core is all there is")


def machine(root: Path, siblings: Sequence[str], speeds: Mapping[int, int] | None = None) -> Path:
    for cpu, text in enumerate(siblings):
        folder = root / "sys/devices/system/cpu" / f"cpu{cpu}"
        (folder / "topology").mkdir(parents=True)
        (folder / "topology" / "core_cpus_list").write_text(f"{text}\n")
        if speeds:
            (folder / "cpu_capacity").write_text(f"{speeds[cpu]}\n")
    return root


PLAIN = ["0", "1", "2", "3"]
#: Two threads a core, numbered as Intel's and as some of AMD's are.
FAR, NEAR = ["0,4", "1,5", "2,6", "3,7"] * 2, ["0-1"] * 2 + ["2-3"] * 2 + ["4-5"] * 2


@pytest.mark.parametrize(
    ("siblings", "usable", "threads", "expected"),
    [
        (PLAIN, {0, 1, 2, 3}, 1, "1-3; onnxprof on 0"),
        (PLAIN, {0, 1, 2, 3}, 3, "1-3; onnxprof on 0"),
        (PLAIN, {0, 1, 2, 3}, 4, "0-3, shared with onnxprof"),
        (PLAIN, {0, 1, 2, 3}, 9, "0-3, shared with onnxprof"),
        (PLAIN, {2, 3}, 1, "3; onnxprof on 2"),  # taskset, or a control group
        (PLAIN, {3}, 1, "3, shared with onnxprof"),
        (FAR, range(8), 3, "1-3,5-7; onnxprof on 0,4"),
        (FAR, range(8), 4, "0-3,5-7; onnxprof on 4"),  # a whole core would be missed
        (FAR, range(8), 7, "0-3,5-7; onnxprof on 4"),
        (FAR, range(8), 8, "0-7, shared with onnxprof"),
        (NEAR, range(6), 2, "2-5; onnxprof on 0-1"),
        (NEAR, range(6), 3, "0,2-5; onnxprof on 1"),
        (NEAR, {0, 1}, 1, "0; onnxprof on 1"),  # the other thread is better than nothing
        (NEAR, {0, 2, 3}, 2, "0,2; onnxprof on 3"),
    ],
)
def test_onnxprof_keeps_to_what_a_measurement_can_do_without(
    siblings: list[str], usable: set[int], threads: int, expected: str, tmp_path: Path
) -> None:
    assert str(split(frozenset(usable), threads, machine(tmp_path, siblings))) == expected


def test_the_slowest_core_is_for_onnxprof(tmp_path: Path) -> None:
    root = machine(tmp_path, PLAIN, {0: 1024, 1: 1024, 2: 400, 3: 400})
    assert str(split(frozenset({0, 1, 2, 3}), 2, root)) == "0-1,3; onnxprof on 2"


def test_without_a_topology_each_processor_is_a_core(tmp_path: Path) -> None:
    assert str(split(frozenset({0, 1}), 1, tmp_path)) == "1; onnxprof on 0"


@pytest.mark.parametrize("text", ["0", "0-3", "0-3,8", "1,3,5-6"])
def test_lists_are_those_of_the_kernel(text: str) -> None:
    assert listed(parsed(text)) == text


def test_a_list_that_nobody_can_read_is_empty() -> None:
    assert parsed("0-,x") == parsed("") == frozenset()


def own() -> set[int]:
    return os.sched_getaffinity(0)


@pytest.mark.posix
@several
def test_all_threads_keep_off_and_come_back() -> None:
    seen, go, before = dict[str, set[int]](), threading.Event(), usable_cores()

    def look() -> None:
        go.wait()
        seen["old"] = own()

    old = threading.Thread(target=look)
    old.start()
    with measuring(1) as found:
        new = threading.Thread(target=lambda: seen.update(new=own()))
        new.start()
        new.join()
        go.set()
        old.join()
        assert seen["old"] == seen["new"] == own() == found.ours
        assert found.measured | found.ours == USABLE
        assert not found.measured & found.ours
        assert usable_cores() == before
        assert cores.usable() == USABLE
    assert own() == USABLE


@pytest.mark.posix
@several
def test_so_does_the_server_of_processes() -> None:
    fork_server.start(("onnxprof.jobs.preload",))
    server = fork_server.number()
    if not server:
        pytest.skip("no server here")
    with measuring(1) as found:
        assert os.sched_getaffinity(server) == found.ours
    assert os.sched_getaffinity(server) == USABLE


@pytest.mark.posix
@affinities
def test_where_all_cores_are_measured_nothing_is_moved() -> None:
    with measuring(len(USABLE)) as found:
        assert found == Split(USABLE)
        assert own() == USABLE


@pytest.mark.posix
@several
def test_measurements_may_overlap() -> None:
    with measuring(1) as first:
        with measuring(1) as second:
            assert second == first
        assert own() == first.ours
        with measuring(len(USABLE)) as all_of_them:
            assert all_of_them == Split(USABLE)
            assert own() == first.ours
    assert own() == USABLE


@pytest.mark.posix
@several
def test_an_error_brings_it_back() -> None:
    with pytest.raises(KeyError), measuring(1):
        raise KeyError
    assert own() == USABLE


@pytest.mark.posix
@several
def test_cores_that_are_settled_are_left_alone() -> None:
    last = frozenset({max(USABLE)})
    with measuring(1, last) as found:
        assert found.measured == last
        assert own() == USABLE - last


@affinities
def test_cores_that_are_taken_from_us_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with measuring(1) as found:
        assert found == Split(USABLE)
    called: list[int] = []
    on(USABLE, called.append, 1)
    assert called == [1]


@pytest.fixture
def facts(tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    path = models.save(models.linear(), tmp_path)
    asked = job(path).asking(threads=1, parity=False, verify=False, telemetry=False)
    return dict(run_isolated(asked, Limits(120), lambda *_: None).environment)


@affinities
def test_a_run_says_on_which_cores_it_was_measured(facts: dict[str, str]) -> None:
    assert facts[CORES] == str(split(USABLE, 1))


#: In a process with one core, by whatever took the others away.
_CONFINED = """
import os
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
from onnxprof.processes.cores import measuring
with measuring(1) as found:
    print(found, os.sched_getaffinity(0) == found.measured)
"""


@affinities
def test_one_core_is_shared(repository: Path) -> None:
    command = [sys.executable, "-c", _CONFINED]
    told = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"{max(USABLE)}, shared with onnxprof True"
