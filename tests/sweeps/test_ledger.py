"""The desk's accounts: each job of a plan ends in one way, whatever happens."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.runs.sweeping import FakePlace, Heard, known, ledger, run_of, task

from onnxprof.errors import StoreError
from onnxprof.store.folder import Store, load_all
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.events import (
    AlreadyStored,
    Ended,
    Failed,
    Finished,
    JobName,
    Planned,
    Skipped,
    Started,
    as_json,
)
from onnxprof.sweeps.places import Desk, PlaceLostError
from onnxprof.sweeps.planning.remembered import request_of
from onnxprof.sweeps.planning.standing import standing
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task

TASKS = [task(f"zoo:{name}", (1, 2)) for name in "abcd"]
JOBS = [(made.model, batch) for made in TASKS for batch in (1, 2)]
fates = st.sampled_from(["good", "failed", "absent", "skipped", "interrupt", "full", "lost"])


class Fated(FakePlace):
    """Ends each job as the script says."""

    def run(self, made: Task, desk: Desk) -> None:
        for batch in made.options.batches:
            name = made.job(batch)
            if not desk.is_wanted(request_of(made, known(made), batch)):
                desk.hear(AlreadyStored(name))
                continue
            desk.hear(Started(name))
            self.end(name, made, batch, desk)

    def end(self, name: JobName, made: Task, batch: int, desk: Desk) -> None:
        match self.script(made, batch):
            case "interrupt":
                raise KeyboardInterrupt
            case "full":
                raise StoreError("No space left")
            case "lost":
                raise PlaceLostError("gone")
            case "absent":
                desk.hear(Failed(name, "there is no such file"))
            case "skipped":
                desk.hear(Skipped(name, "it will not fit", "memory"))
            case fate:
                desk.take(name, run_of(made, batch, "no" * (fate == "failed")), 1.0)


class Memory:
    def known(self, made: Task) -> Any:
        return known(made)


def once(root: Path, script: dict[tuple[str, int], str]) -> tuple[Ended, Heard]:
    desk, heard = ledger(root)
    found = standing(TASKS, desk.store, Memory(), Policy())
    planned = Planned(found.jobs, found.done, found.left)
    place = Fated(lambda made, batch: script[made.model, batch])
    with suppress(KeyboardInterrupt, StoreError):
        conduct(found.rest(), [place], desk, planned)
    ended = heard.events[-1]
    assert isinstance(ended, Ended)
    return ended, heard


@given(st.lists(st.lists(fates, min_size=len(JOBS), max_size=len(JOBS)), max_size=4))
def test_all_jobs_are_accounted_for_and_stored_once_through_any_trouble(
    rounds: list[list[str]],
) -> None:
    with TemporaryDirectory() as place:
        root = Path(place)
        for fates in [*rounds, ["good"] * len(JOBS)]:
            before = standing(TASKS, Store(root), Memory(), Policy())
            ended, heard = once(root, dict(zip(JOBS, fates, strict=True)))
            told = [*heard.of(Finished), *heard.of(Failed), *heard.of(Skipped)]
            already = len(heard.of(AlreadyStored))
            assert before.done + len(told) + already + ended.left == len(JOBS)
            assert len({event.job.key for event in told}) == len(told)
        runs, problems = load_all([root])
        assert problems == []
        requests = [run.request for run in runs]
        assert len(set(requests)) == len(requests) == len(JOBS)


def test_events_are_json(tmp_path: Path) -> None:
    _, heard = once(tmp_path, dict.fromkeys(JOBS, "good"))
    made = [as_json(event, "2026-01-02T03:04:05Z") for event in heard.events]
    assert [each["event"] for each in made[:3]] == ["planned", "started", "finished"]
    assert made[2]["job"]["model"] == "a"
    assert all(each["version"] == 1 for each in made)
