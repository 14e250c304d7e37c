"""`onnxprof ceilings`: measures once, then prints what is stored, until something changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from support.runs.ceilings import KEY, ceilings
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.reasons import ceilings as command
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.ceilings import parent
from onnxprof.jobs.ceilings.parent import CeilingsPlan
from onnxprof.records.ceilings import Ceilings


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[CeilingsPlan]:
    """The plans that were measured; planning says what stored ceilings say."""
    made = ceilings()
    asked: list[CeilingsPlan] = []

    def planned(*asked_for: object) -> CeilingsPlan:
        return CeilingsPlan(
            replace(KEY, threads=asked_for[3] or 2),
            *(made.device, made.environment, made.caches, (), 45.0, "", asked_for[5]),
        )

    def measured(plan: CeilingsPlan, *_: object) -> Ceilings:
        asked.append(plan)
        return replace(made, key=plan.key, datasheet=plan.datasheet)

    monkeypatch.setattr(parent, "planned", planned)
    monkeypatch.setattr(parent, "measured", measured)
    return asked


def run(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command.ceilings)
    return CliRunner().invoke(app, ["--store", str(folder), *arguments])


def test_it_measures_once_and_says_so_beforehand(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    first = run(tmp_path)
    assert first.exit_code == 0, first.output
    assert "0 graphs, some 45 s" in first.stderr
    assert "100.0" in first.stdout
    again = run(tmp_path)
    assert "--again measures anew" in again.stderr
    assert again.stdout == first.stdout
    assert len(runs) == 1


def test_other_threads_are_other_ceilings(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, "--threads", "7")
    assert [plan.key.threads for plan in runs] == [2, 7]


def test_again_measures_anew(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, "--again")
    assert len(runs) == 2


def test_stale_ceilings_are_measured_anew_with_the_reason(
    runs: list[CeilingsPlan], tmp_path: Path
) -> None:
    from onnxprof.store.beside.ceilings import save

    save(tmp_path, replace(ceilings(), environment=(("runtime", "fakert 0.9"),)))
    result = run(tmp_path)
    assert "stale: runtime was fakert 0.9 and is fakert 1.0" in result.stderr
    assert len(runs) == 1


def test_json_and_csv(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "--format", "json").stdout)
    assert made["arithmetic"][0]["gflops"] == 100
    out = tmp_path / "points.csv"
    assert run(tmp_path, "-o", str(out)).exit_code == 0
    assert out.read_text().startswith("kind,size,precision")


def test_the_list(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    empty = run(tmp_path, "--list")
    assert "No ceilings" in empty.stderr
    run(tmp_path)
    assert "cpu:fake" in run(tmp_path, "--list").stdout
    rows = json.loads(run(tmp_path, "--list", "--format", "json").stdout)
    assert [row["float32_gflops"] for row in rows] == [100]


def test_a_datasheet_stands_beside(runs: list[CeilingsPlan], tmp_path: Path) -> None:
    run(tmp_path)
    shown = run(tmp_path, "--datasheet", "fp32=0.2 TFLOP/s")
    assert "(50 %)" in shown.stdout
    assert len(runs) == 1


@pytest.mark.parametrize(
    "arguments", [["--format", "xml"], ["--datasheet", "speed=9"], ["-o", "x.pdf"]]
)
def test_bad_use_is_an_error(
    runs: list[CeilingsPlan], tmp_path: Path, arguments: list[str]
) -> None:
    result = run(tmp_path, *arguments)
    assert isinstance(result.exception, OnnxprofError)
    assert result.exception.exit_code == 2
