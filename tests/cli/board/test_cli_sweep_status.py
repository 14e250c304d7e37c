"""`onnxprof sweep status`, on a store that sweeps have written to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.sweeps.events import END, SCRIPT, tally

from onnxprof.cli.commands.sweeping.status import status
from onnxprof.processes.identity import myself
from onnxprof.store.encoding import dumps, to_json
from onnxprof.sweeps.status.file import FOLDER, Status


def write(store: Path, name: str, **changes: object) -> None:
    moment = (datetime.now(UTC) - timedelta(seconds=125)).isoformat(timespec="seconds")
    found = Status(myself(), "2026-01-01T00:00:00Z", moment.replace("+00:00", "Z"), tally())
    (store / FOLDER).mkdir(exist_ok=True)
    (store / FOLDER / f"{name}.json").write_bytes(dumps(to_json(replace(found, **changes))))


@pytest.mark.parametrize(
    ("changes", "said", "code"),
    [
        ({}, "runs (process ", 0),
        ({"tally": tally((*SCRIPT, END))}, "is over (process ", 0),
        ({"writer": replace(myself(), started="before")}, "is dead: process ", 1),
        ({"writer": replace(myself(), host="farm-2")}, "runs elsewhere (process ", 0),
    ],
)
def test_each_state_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    said: str,
    code: int,
) -> None:
    write(tmp_path, "a", **changes)
    assert status(tmp_path) == code
    text = capsys.readouterr().out
    assert said in text.replace("\n", " ")
    assert "37 of 120 jobs" in text
    assert ("left" in text) == (said.startswith("runs"))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_json_has_every_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", writer=replace(myself(), started="before"))
    (tmp_path / FOLDER / "c.json").write_text("{}")
    assert status(tmp_path, as_json=True) == 1
    said = capsys.readouterr()
    listed = json.loads(said.out)["sweeps"]
    assert sorted(each["state"] for each in listed) == ["dead", "running"]
    assert listed[0]["tally"]["finished"] == 3
    assert listed[0]["left"] == 83
    assert listed[0]["left_s"] > 0
    assert "c.json" in said.err


def test_no_sweep_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tmp_path / "no") == 0
    assert "No sweep is known" in capsys.readouterr().err
    assert status(tmp_path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["sweeps"] == []
