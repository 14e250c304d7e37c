"""Which runs are superfluous, and what removing them leaves."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Filters, Store, scan
from onnxprof.store.summary import Summary
from onnxprof.store.upkeep import removal
from onnxprof.testing import sample_run


def summary(day: int, *, model: str = "net", failed: bool = False, tagged: bool = False) -> Summary:
    return Summary(
        sample_run(model).request,
        "Fake CPU",
        f"2026-01-{day:02}T00:00:00Z",
        failure="it broke" if failed else "",
        file=f"{model}-{day}-{failed}",
        tags=("v1",) * tagged,
    )


def days(runs: list[Summary]) -> list[int]:
    return [int(run.created[8:10]) for run in runs]


def test_the_newest_of_each_request_stay() -> None:
    runs = [summary(day, model=model) for model in ("a", "b") for day in (1, 2, 3)]
    gone, kept = removal.superfluous(runs, 2)
    assert [(run.request.model_name, run.created[9:10]) for run in gone] == [("a", "1"), ("b", "1")]
    assert kept == []


def test_failed_runs_that_a_good_one_followed_go_first() -> None:
    runs = [summary(day, failed=day in (2, 3, 5)) for day in (1, 2, 3, 4, 5)]
    assert days(removal.superfluous(runs, 4)[0]) == [2]
    assert days(removal.superfluous(runs, 3)[0]) == [2, 3]
    assert days(removal.superfluous(runs, 2)[0]) == [1, 2, 3]
    assert days(removal.superfluous(runs, 1)[0]) == [1, 2, 3, 4]


def test_of_runs_that_all_failed_the_newest_stays() -> None:
    runs = [summary(day, failed=True) for day in (3, 1, 2)]
    assert days(removal.superfluous(runs, 1)[0]) == [1, 2]


def test_tagged_runs_stay_and_are_counted_among_the_newest() -> None:
    runs = [summary(day, tagged=day in (1, 3)) for day in (1, 2, 3)]
    gone, kept = removal.superfluous(runs, 1)
    assert (days(gone), days(kept)) == ([2], [1])


def test_a_tag_that_is_asked_for_keeps_no_run() -> None:
    runs = [summary(day, tagged=True) for day in (1, 2)]
    runs += [dataclasses.replace(summary(3), tags=("v1", "other"))]
    runs += [summary(4, tagged=True)]
    gone, kept = removal.superfluous(runs, 1, Filters(tag=("v*",)))
    assert (days(gone), days(kept)) == ([1, 2], [3])


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.booleans(), st.sampled_from("ab")),
        unique=True,
        max_size=20,
    ),
    st.integers(1, 5),
)
def test_each_request_keeps_so_many_and_its_newest_good_run(
    facts: list[tuple[int, bool, str]], keep: int
) -> None:
    runs = [summary(day, model=model, failed=failed) for day, failed, model in facts]
    gone = {run.file for run in removal.superfluous(runs, keep)[0]}
    for model in "ab":
        theirs = [run for run in runs if run.request.model_name == model]
        left = [run for run in theirs if run.file not in gone]
        assert len(left) == min(keep, len(theirs))
        good = [run for run in theirs if not run.failure]
        newest = max(theirs, key=lambda run: (run.created, run.file), default=None)
        if good and newest is not None and not newest.failure:
            assert newest in left
    again = [run for run in runs if run.file not in gone]
    assert removal.superfluous(again, keep) == ([], [])


def test_the_order_of_dims_is_no_other_request() -> None:
    dims = (("n", 1), ("m", 2))
    runs = [
        dataclasses.replace(
            summary(day), request=dataclasses.replace(summary(day).request, dims=theirs)
        )
        for day, theirs in ((1, dims), (2, dims[::-1]))
    ]
    assert len({request_digest(run.request) for run in runs}) == 1
    assert days(removal.superfluous(runs, 1)[0]) == [1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 2):
        store.save(sample_run("net", batch))
    return store.root


def test_removing_takes_the_files_alone(root: Path) -> None:
    beside = next(Store(root).paths()).with_name("notes.txt")
    beside.write_text("mine")
    assert removal.remove(scan([root])[0]) == (2, [])
    assert list(Store(root).paths()) == []
    assert beside.read_text() == "mine"
    assert Store(root).save(sample_run("net")).exists()


@pytest.mark.posix
def test_a_link_is_removed_and_not_what_it_leads_to(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "link.parquet").symlink_to(next(Store(root).paths()))
    assert removal.remove(scan([other])[0]) == (1, [])
    assert len(scan([root])[0]) == 2


def test_what_cannot_be_removed_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    runs = scan([root])[0]
    runs[0].path.unlink()
    assert removal.remove(runs[:1]) == (1, [])
    monkeypatch.setattr(os, "unlink", refused)
    gone, problems = removal.remove(runs)
    assert gone == 0
    assert "cannot be removed: Permission denied" in str(problems[0])
