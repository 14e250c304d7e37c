"""Tasks on places: their order, lost places, what ends a sweep, a deadline by a scripted clock."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.runs.sweeping import FakePlace, ledger, planned, run_of, task

from onnxprof.errors import StoreError
from onnxprof.store.folder import Store, load_all
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.events import Ended, Failed, Noted, Planned
from onnxprof.sweeps.places import PlaceLostError
from onnxprof.sweeps.runner import Deadline, run
from onnxprof.sweeps.tasks import Task

TASKS = [task(f"zoo:{name}", (1, 8)) for name in ("a", "b", "c")]
ALL = [(made.model, batch) for made in TASKS for batch in (1, 8)]


def test_one_place_runs_all_in_order_and_each_is_stored(tmp_path: Path) -> None:
    desk, heard = ledger(tmp_path)
    place = FakePlace()
    ended = conduct(TASKS, [place], desk, planned(TASKS))
    assert place.ran == ALL
    assert ended == Ended(6, 0, 0, 0)
    assert isinstance(heard.events[0], Planned)
    assert heard.events[-1] == ended
    runs, problems = load_all([tmp_path])
    assert (len(runs), problems) == (6, [])
    assert all((tmp_path / event.run).is_file() for event in heard.of(type(heard.events[2])))


def test_several_places_share_the_tasks_and_none_runs_twice(tmp_path: Path) -> None:
    desk, _ = ledger(tmp_path)
    together = threading.Barrier(3, timeout=60)

    def meet(made: Task, batch: int):
        if batch == 1:
            together.wait()
        return run_of(made, batch)

    places = [FakePlace(meet, "x", width=2), FakePlace(meet, "y")]
    ended = conduct(TASKS, places, desk, planned(TASKS))
    assert ended == Ended(6, 0, 0, 0)
    assert sorted(places[0].ran + places[1].ran) == ALL


def test_a_task_goes_where_it_fits_and_what_fits_nowhere_is_left(tmp_path: Path) -> None:
    desk, _ = ledger(tmp_path)
    places = [FakePlace(fitting=lambda made, end=end: made.model.endswith(end)) for end in "ab"]
    ended = conduct(TASKS, places, desk, planned(TASKS))
    assert places[0].ran == ALL[:2]
    assert places[1].ran == ALL[2:4]
    assert ended == Ended(4, 0, 0, 2)


def test_a_task_of_a_lost_place_goes_on_elsewhere_and_repeats_nothing(tmp_path: Path) -> None:
    desk, heard = ledger(tmp_path)
    begun = threading.Event()

    def cut_off(made: Task, batch: int):
        begun.set()
        if batch == 8:
            raise PlaceLostError("node x is gone", remedy="Switch it on")
        return run_of(made, batch)

    def patient(made: Task, batch: int):
        begun.wait(60)
        return run_of(made, batch)

    lost, other = FakePlace(cut_off, "x"), FakePlace(patient, "y")
    ended = conduct(TASKS, [lost, other], desk, planned(TASKS))
    assert ended == Ended(6, 0, 0, 0)
    assert len(lost.ran) == 2
    assert sorted([*lost.ran[:1], *other.ran]) == ALL
    assert [event.text for event in heard.of(Noted)] == ["node x is gone. Switch it on"]


def test_where_every_place_is_lost_the_rest_is_left(tmp_path: Path) -> None:
    def gone(made: Task, batch: int):
        raise PlaceLostError("gone")

    desk, _ = ledger(tmp_path)
    ended = conduct(TASKS, [FakePlace(gone)], desk, planned(TASKS))
    assert ended == Ended(0, 0, 0, 6)


def test_a_failing_job_keeps_no_other_from_running(tmp_path: Path) -> None:
    def script(made: Task, batch: int):
        if made.model == "zoo:a":
            return "there is no such file"
        return run_of(made, batch, "it crashed" if batch == 1 else "")

    desk, heard = ledger(tmp_path)
    ended = conduct(TASKS, [FakePlace(script)], desk, planned(TASKS))
    assert ended == Ended(2, 4, 0, 0)
    assert [bool(event.run) for event in heard.of(Failed)] == [False, False, True, True]
    assert len(load_all([tmp_path])[0]) == 4


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("the disk is full")])
def test_an_interrupt_and_a_full_disk_end_all_and_say_what_is_left(
    error: BaseException, width: int, tmp_path: Path
) -> None:
    def script(made: Task, batch: int):
        if made.model == "zoo:b":
            raise error
        return run_of(made, batch)

    desk, heard = ledger(tmp_path)
    place = FakePlace(script, width=width)
    with pytest.raises(type(error)):
        conduct(TASKS, [place], desk, planned(TASKS))
    ended = heard.events[-1]
    assert isinstance(ended, Ended)
    assert ended.finished == len(load_all([tmp_path])[0])
    assert ended.left == 6 - ended.finished >= 2
    assert place.stopped == (width > 1)


def test_a_store_that_cannot_be_written_is_noticed_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    desk, heard = ledger(tmp_path / "file" / "runs")
    place = FakePlace()
    with pytest.raises(StoreError):
        conduct(TASKS, [place], desk, planned(TASKS))
    assert place.ran == []
    assert heard.events == []


class Wall:
    """A monotonic clock that moves as far as the jobs say."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def timed(wall: Wall, seconds: dict[str, float], begin: float, tmp_path: Path) -> list[str]:
    def script(made: Task, batch: int):
        wall.now += seconds[made.model_name]
        return run_of(made, batch)

    desk, _ = ledger(tmp_path)
    place = FakePlace(script)
    deadline = Deadline(begin, lambda made: seconds[made.model_name])
    tasks = [task(f"zoo:{name}") for name in seconds]
    run(tasks, [place], desk, deadline, wall)
    return [model.removeprefix("zoo:") for model, _ in place.ran]


def test_what_would_end_too_late_is_not_begun_and_a_shorter_one_is(tmp_path: Path) -> None:
    wall = Wall()
    assert timed(wall, {"a": 30.0, "b": 40.0, "c": 25.0, "d": 1.0}, 60.0, tmp_path) == [
        *("a", "c", "d")
    ]
    assert wall.now <= 1060.0


def test_a_job_that_takes_all_the_time_is_the_last(tmp_path: Path) -> None:
    wall = Wall()
    seconds = {"a": 10.0, "b": 10.0}
    desk, _ = ledger(tmp_path)

    def jumping(made: Task, batch: int):
        wall.now += 1e6
        return run_of(made, batch)

    place = FakePlace(jumping)
    tasks = [task(f"zoo:{name}") for name in seconds]
    run(tasks, [place], desk, Deadline(60.0, lambda _: 10.0), wall)
    assert [model for model, _ in place.ran] == ["zoo:a"]


def test_two_sweeps_on_one_store_repeat_nothing(tmp_path: Path) -> None:
    both = [ledger(tmp_path)[0] for _ in range(2)]
    turns = [FakePlace(), FakePlace()]

    def script(made: Task, batch: int):
        if made.model == "zoo:a" and batch == 1:  # the other one does all in the meantime
            conduct(TASKS, [turns[1]], both[1], planned(TASKS))
        return run_of(made, batch)

    turns[0].script = script
    conduct(TASKS, [turns[0]], both[0], planned(TASKS))
    assert turns[0].ran == ALL[:1]
    assert sorted(turns[1].ran) == ALL
    again = [path for path in Store(tmp_path).paths() if "-2" in path.stem.rpartition("Z")[2]]
    assert len(list(Store(tmp_path).paths())) == 7
    assert len(again) <= 1
