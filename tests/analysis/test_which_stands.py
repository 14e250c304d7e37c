"""Which of several measurements stands for the others, wherever one has to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.pages.repeated import wrong
from support.runs.scenarios import scenario_run
from typer.testing import CliRunner

from onnxprof.analysis.standing import newest
from onnxprof.cli.commands.stored.runs import app
from onnxprof.compare.systems import newest as newest_of_each
from onnxprof.publish.pages.catalogue import catalogue, standing_entry
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.folder import Store
from onnxprof.store.select import select
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run

OLD, LATER, LAST = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def failed(created: str, batch: int = 1) -> Run:
    """A run of the same request that ended without times."""
    run = sample_run("net", batch, created=created)
    return dataclasses.replace(run, timings=None, steps=(), failure="killed")


def good(created: str, batch: int = 1) -> Run:
    """A run with times."""
    return sample_run("net", batch, created=created)


def test_a_failed_run_stands_only_where_no_other_succeeded() -> None:
    assert newest([good(OLD), failed(LATER)]).created == OLD
    assert newest([failed(LATER), good(OLD)]).created == OLD
    assert newest([failed(LATER), failed(OLD)]).created == LATER
    assert newest([good(OLD), good(LAST), failed(LATER)]).created == LAST


def test_a_run_with_wrong_outputs_stands_only_where_none_is_right() -> None:
    newer = dataclasses.replace(wrong(1, model="net"), created=LATER)
    assert newest([good(OLD), newer]).created == OLD
    assert newest([newer, good(OLD)]).created == OLD
    assert newest([failed(LAST), newer]).created == LATER
    assert newest([newer]) is newer
    warned = dataclasses.replace(newer, warnings=(RunWarning(WarningKind.PARITY_FAILED),))
    assert newest([summarise(good(OLD)), summarise(warned)]).created == OLD


def test_a_run_without_a_latency_stands_between_wrong_and_failed_ones() -> None:
    timings = good(LATER).timings
    assert timings is not None
    empty = timings.latency_ns[:0]
    bare = dataclasses.replace(
        good(LATER), timings=dataclasses.replace(timings, latency_ns=empty, latency_block=empty)
    )
    assert newest([dataclasses.replace(wrong(1), created=OLD), bare]).created == OLD
    assert newest([bare, failed(LAST)]) is bare


def test_a_page_shows_the_right_run_and_keeps_the_wrong_one_among_the_others() -> None:
    (page,) = catalogue([good(OLD), dataclasses.replace(wrong(1, model="net"), created=LATER)])
    assert page.entries[0].run.created == OLD
    assert [run.created for run in page.entries[0].older] == [LATER]


def test_one_rule_for_runs_and_for_their_places_on_a_page() -> None:
    others = {"b": good(LAST), "c": dataclasses.replace(wrong(1, model="net"), created="2027")}
    runs = [
        good(OLD),
        *(
            dataclasses.replace(run, request=dataclasses.replace(run.request, timer=timer))
            for timer, run in others.items()
        ),
    ]
    (page,) = catalogue(runs)
    assert len(page.entries) == 3
    stands = standing_entry(page.entries)
    assert stands is not None
    assert stands.run is newest(runs) is runs[1]
    assert standing_entry(()) is None


def test_of_runs_of_one_moment_the_last_stands() -> None:
    first, second = good(OLD), good(OLD)
    assert newest([first, second]) is second


@pytest.mark.parametrize("make", [lambda run: run, summarise])
def test_of_each_system_a_good_run_stands(make: object) -> None:
    runs = [make(run) for run in (good(OLD), failed(LATER), failed(LAST, 8))]  # type: ignore[operator]
    assert [run.created for run in newest_of_each(runs)] == [OLD, LAST]


def test_a_page_shows_the_good_run_and_the_facts_of_its_model() -> None:
    new = failed(LATER)
    new = dataclasses.replace(new, model=dataclasses.replace(new.model, parameters=0))
    (page,) = catalogue([good(OLD), new])
    assert page.entries[0].run.created == OLD
    assert page.facts.parameters == 108


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a good run, and one of the same request that failed later."""
    store = Store(tmp_path / "runs")
    for run in (good(OLD), failed(LATER)):
        store.save(run)
    return store.root


def test_an_id_that_is_to_be_shown_is_that_of_the_good_run(root: Path) -> None:
    said: list[str] = []
    name = summary_id(root)
    [shown] = select(name, [root], shown=True, say=said.append)
    assert shown.created == OLD
    assert "the newest good one is" in said[0]
    [meant] = select(name, [root], say=said.append)
    assert meant.created == LATER, "what is removed or tagged is the newest, as it says"
    assert "the newest is" in said[1]


def summary_id(root: Path) -> str:
    """The id that both runs have."""
    from onnxprof.store.encoding import request_digest

    del root
    return request_digest(good(OLD).request)[:7]


@pytest.mark.parametrize("what", [[], [summary_id(Path())]])
def test_show_and_export_take_the_good_run(root: Path, what: list[str]) -> None:
    shown = CliRunner().invoke(app, ["show", *what, "--store", str(root)])
    assert shown.exit_code == 0
    assert "failed: killed" not in shown.stdout
    assert "the newest good one" in shown.stderr
    lines = [line.strip() for line in shown.stdout.splitlines()]
    place = lines.index("Repeat it:")
    assert lines[place + 1] == "pip install onnxprof==0.1.0"
    assert lines[place + 2] == "onnxprof zoo materialise net"
    made = CliRunner().invoke(app, ["export", *what, "--store", str(root)])
    assert "(total)" in made.stdout


def test_a_spreadsheet_is_exported_by_name(root: Path) -> None:
    made = CliRunner().invoke(app, ["export", "--store", str(root), "--format", "spreadsheet"])
    assert made.stdout.startswith("\ufeffmodel,device,")


def test_scenarios_that_failed_stand_behind_those_that_did_not() -> None:
    quick = scenario_run()
    broken = dataclasses.replace(quick, answer=None, failure="killed", created="2099")
    assert newest([quick, broken]) is quick
