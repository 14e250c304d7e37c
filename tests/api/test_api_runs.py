"""`Runs`: a sequence, tables, files; what is missing is named."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.api.results.runs import MOST_SPELLED_OUT
from onnxprof.cli.commands.stored.runs import app as runs_app
from onnxprof.errors import UsageError
from onnxprof.publish.tables.timings import EVERY_COLUMN
from onnxprof.testing import sample_run


@pytest.fixture
def runs() -> op.Runs:
    """Two sizes, oldest first."""
    return op.Runs(sample_run(batch=b, created=f"2026-01-0{b}T00:00:00Z") for b in (1, 8))


def test_a_sequence(runs: op.Runs) -> None:
    first, second = runs
    assert len(runs) == 2
    assert runs[0] is first
    assert runs[-1] is second
    assert isinstance(runs[:1], op.Runs)
    assert list(runs[::-1]) == [second, first]
    assert (runs[1:] + runs[:1])[0] is second
    assert runs + op.Runs() == runs
    assert runs != runs[:1]
    assert runs != [first, second]
    assert len({runs, op.Runs(runs)}) == 1
    assert first in runs
    with pytest.raises(IndexError):
        runs[2]


def test_only_runs_are_runs() -> None:
    with pytest.raises(UsageError, match="str is no run"):
        op.Runs(["x"])  # type: ignore[list-item]


def test_a_sum_keeps_failures_and_ceilings(runs: op.Runs) -> None:
    failed = op.Runs(failures=[op.Failure("net", 1, "it broke")])
    assert (runs + failed).failures == failed.failures
    assert (failed + runs).failures == failed.failures
    assert not runs.failures


def test_the_table_is_that_of_the_exported_file(runs: op.Runs, tmp_path: Path) -> None:
    runs.save(tmp_path / "store")
    out = tmp_path / "out.csv"
    asked = ["export", "--store", str(tmp_path / "store"), "-o", str(out)]
    result = CliRunner().invoke(runs_app, asked, standalone_mode=False)
    assert result.exception is None, result.exception
    assert runs.to_csv().encode() == out.read_bytes()
    rows = list(csv.DictReader(io.StringIO(runs.to_csv())))
    table = runs.to_arrow()
    assert tuple(table.column_names) == EVERY_COLUMN == tuple(rows[0])
    assert table.num_rows == len(rows)
    for name in ("layer_name", "status", "step"):
        assert table.column(name).to_pylist() == [row[name] for row in rows]
    printed = [float(row["median_ms"]) if row["median_ms"] else None for row in rows]
    assert table.column("median_ms").to_pylist() == printed


def test_pandas_and_polars_have_the_same_rows(runs: op.Runs) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    table = runs.to_arrow()
    frame, other = runs.to_pandas(), runs.to_polars()
    assert list(frame.columns) == other.columns == table.column_names
    assert frame["layer_name"].tolist() == table.column("layer_name").to_pylist()
    assert other["median_ms"].to_list() == table.column("median_ms").to_pylist()
    assert frame[frame["layer_name"] == "(total)"]["batch"].tolist() == [1, 8]


@pytest.mark.parametrize(
    ("method", "package"), [("to_pandas", "pandas"), ("to_polars", "polars"), ("plot", "plotly")]
)
def test_without_a_package_the_error_says_what_to_install(
    method: str, package: str, runs: op.Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (package, f"{package}.graph_objects"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as refused:
        getattr(runs, method)()
    assert f"{method}() needs {package}" in str(refused.value)
    assert f"pip install {package}" in str(refused.value)
    assert "onnxprof[notebook]" in str(refused.value)


def test_no_runs() -> None:
    none = op.Runs()
    assert not none
    assert none.to_arrow().num_rows == 0
    assert none.to_csv().splitlines() == [",".join(EVERY_COLUMN)]
    assert str(none) == "no runs"
    assert "no runs" in none._repr_html_()
    assert none.latency_ms == ()


def test_latencies_are_those_of_the_table(runs: op.Runs) -> None:
    rows = runs.to_arrow().to_pylist()
    totals = [row["median_ms"] for row in rows if row["layer_name"] == "(total)"]
    assert list(runs.latency_ms) == totals
    failed = replace(runs[0], timings=None, failure="it broke")
    assert op.Runs([failed]).latency_ms == (None,)


def test_a_few_runs_are_spelled_out_and_many_are_listed() -> None:
    many = op.Runs(sample_run(f"net{i}") for i in range(MOST_SPELLED_OUT + 1))
    assert "ms measured" in str(many[:MOST_SPELLED_OUT])
    assert "ms measured" not in str(many)
    assert all(run.request.model_name in str(many) for run in many)
    assert "1 more" in many._repr_html_()
    assert max(map(len, str(many).splitlines())) <= 80


def test_several_backends_are_side_by_side_in_text_html_and_records() -> None:
    runs = op.Runs([sample_run(), sample_run(backend="other", scale=0.5)])
    (beside,) = runs.side_by_side()
    assert isinstance(beside, op.Alignment)
    assert beside.document() == op.align(runs, over="batch").document()
    for text in (str(runs), runs._repr_html_()):
        assert "sample: other against fake, batch by batch" in text
        assert "+100 %" in text
    assert op.Runs(runs[:1]).side_by_side() == ()
    assert op.Runs([sample_run(), sample_run(batch=8, backend="other")]).side_by_side() == ()


def test_a_notebook_says_what_sizes_come_to(runs: op.Runs) -> None:
    for text in (str(runs), runs._repr_html_()):
        assert "Best rate: batch 8 with" in text


def test_layers_that_are_shown_are_as_many_as_asked_for(runs: op.Runs) -> None:
    assert "2 more rows" in runs[:1].table(limit=1)
    assert "more row" not in runs[:1].table()


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".txt"])
def test_files_by_their_ending(ending: str, runs: op.Runs, tmp_path: Path) -> None:
    path = runs.save(tmp_path / f"out{ending}")
    assert path == tmp_path / f"out{ending}"
    readers: dict[str, Any] = {
        ".csv": lambda: path.read_bytes().decode() == runs.to_csv(),
        ".json": lambda: len(json.loads(path.read_text("utf-8"))["runs"]) == 2,
        ".parquet": lambda: pq.read_table(path).num_rows == runs.to_arrow().num_rows,
        ".txt": lambda: path.read_text("utf-8") == runs.table(),
    }
    assert readers[ending]()


def test_a_store_is_written_and_read_again(runs: op.Runs, tmp_path: Path) -> None:
    assert runs.save(str(tmp_path / "store")) == tmp_path / "store"
    again = op.load(tmp_path / "store")
    assert [run.request for run in again] == [run.request for run in runs]
    assert again.to_csv() == runs.to_csv()


def test_a_file_that_cannot_be_is_refused(runs: op.Runs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no format has files that end in '\.docx'"):
        runs.save(tmp_path / "out.docx")
    with pytest.raises(UsageError, match="cannot be written"):
        runs.save(tmp_path / "nowhere" / "out.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(op.errors.StoreError, match="a store is a folder"):
        runs.save(tmp_path / "file")


def test_the_newest_of_each_system() -> None:
    days = [sample_run(created=f"2026-01-0{day}T00:00:00Z") for day in (1, 2)]
    other = sample_run(backend="other")
    assert list(op.Runs([*days, other]).newest()) == [days[1], other]


def test_text_bears_no_mark_of_a_terminal(runs: op.Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = str(runs)
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "200"), ("TTY_COMPATIBLE", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert str(runs) == plain == repr(runs)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80


def test_a_record_prints_itself_in_a_line(runs: op.Runs) -> None:
    assert len(repr(runs[0])) < 200
    assert "sample" in repr(runs[0])
