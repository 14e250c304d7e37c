"""Scenarios on disk: they come back whole, ids find them, a damaged file is named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.runs.scenarios import asked, scenario_run

from onnxprof.errors import StoreError, UsageError
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.records.scenarios.run import Probe
from onnxprof.records.step import USUAL, Setup
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.beside.scenarios import asked_id, load, newest, save, stored
from onnxprof.store.encoding import dumps
from onnxprof.store.folder import scan


@pytest.mark.parametrize("scenario", Scenario)
def test_they_come_back_whole(scenario: Scenario, tmp_path: Path) -> None:
    made = scenario_run(
        scenario,
        warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.5),),
        probes=(Probe(40.0, True, 3, 200), Probe(60.0, False, 30, 200)),
    )
    path = save(tmp_path, made)
    assert load(path) == made
    assert path.relative_to(tmp_path).parts[:4] == ("scenarios", "sample", "cpu-fake", "fake")


def test_a_failed_one_is_kept_with_its_reason(tmp_path: Path) -> None:
    made = scenario_run(answer=None, floor=None, failure="was ended by SIGSEGV")
    path = save(tmp_path, made)
    assert path.name.endswith("-failed.json")
    assert load(path) == made
    assert made.figure is None


def test_they_are_no_runs(tmp_path: Path) -> None:
    save(tmp_path, scenario_run())
    assert scan([tmp_path]) == ([], [])


def test_an_id_means_the_newest_of_what_was_asked(tmp_path: Path) -> None:
    older = scenario_run()
    newer = replace(older, created="2026-01-03T00:00:00Z")
    other = scenario_run(Scenario.OFFLINE, created="2026-01-04T00:00:00Z")
    paths = [save(tmp_path, each) for each in (newer, older, other)]
    assert newest([tmp_path], asked_id(older.asked)[:5]) == (paths[0], newer)
    assert newest([tmp_path], "") == (paths[2], other)
    assert newest([], str(paths[1])) == (paths[1], older)
    with pytest.raises(UsageError, match="no stored scenario has the id 'zzz'"):
        newest([tmp_path], "zzz")
    with pytest.raises(UsageError, match="no scenario is stored here"):
        newest([tmp_path / "empty"], "")


def test_an_id_is_of_what_was_asked_alone() -> None:
    assert asked_id(asked()) == asked_id(scenario_run(created="x", loadgen="7").asked)
    assert len({asked_id(asked(s)) for s in Scenario}) == len(Scenario)
    assert asked_id(asked(rate=3.0)) != asked_id(asked())
    assert asked_id(asked(setup=Setup("basic"))) != asked_id(asked())
    assert asked_id(asked(runtime="onnxruntime==1.22.1")) != asked_id(asked())


def test_a_record_from_before_settings_and_versions_keeps_its_id(tmp_path: Path) -> None:
    path = save(tmp_path, scenario_run())
    record = json.loads(path.read_text("utf-8"))
    del record["asked"]["setup"], record["asked"]["runtime"]
    path.write_text(json.dumps(record))
    found = load(path)
    assert found.asked.setup == USUAL
    digest = hashlib.sha256(dumps(record["asked"])).hexdigest()
    assert digest.startswith(asked_id(found.asked))


@pytest.mark.parametrize(
    "damage", ["cut", "schema", "negative", "infinite", "scenario", "latency", "batches"]
)
def test_a_damaged_file_is_named_and_not_believed(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path, scenario_run())
    facts = json.loads(path.read_text())
    answer = facts["answer"]
    changes = {
        "schema": {"schema": 99},
        "negative": {"answer": answer | {"percentile_ns": -1}},
        "infinite": {"answer": answer | {"completed_rate": "inf"}},
        "scenario": {"asked": facts["asked"] | {"scenario": "both-streams"}},
        "latency": {"floor": answer | {"latency_ns": [["min", -5]]}},
        "batches": {"batches": [[1, -2]]},
    }
    text = path.read_text()[:-20] if damage == "cut" else json.dumps(facts | changes[damage])
    path.write_text(text)
    with pytest.raises(StoreError, match=path.name):
        load(path)
    good, bad = stored([tmp_path])
    assert (good, len(bad)) == ([], 1)
