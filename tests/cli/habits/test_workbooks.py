"""Workbooks: typed cells, hostile names as texts, and what is refused instead of disguised."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.habits.commands import Done, called
from support.networks import models
from support.sites import HOSTILE

from onnxprof.cli import books
from onnxprof.cli.books import check_book
from onnxprof.errors import UsageError
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.workbook import book
from onnxprof.publish.workbook.book import Sheet, sheet_of_csv, workbook
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("xlsxwriter", reason="needs onnxprof[xlsx]")
Call = Callable[..., Done]
FORMULAS = ("=1+1", "+1", "-1+2", "@SUM(A1)", '=cmd|"/C calc"!A0', "http://x.example", "007", "1e5")


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    return lambda *words: called(capsysbinary, *words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = Store(tmp_path / "runs")
    warned = (RunWarning(WarningKind.FEW_SAMPLES, 3.0),)
    for batch in (1, 2):
        store.save(dataclasses.replace(sample_run("net", batch, backend="ort"), warnings=warned))
        store.save(sample_run("net", batch, backend="torch", scale=1.5))
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(data: bytes | Path):
    return openpyxl.load_workbook(io.BytesIO(data) if isinstance(data, bytes) else data)


def test_names_are_texts_and_figures_numbers() -> None:
    text = csv_text(("name", "ms", "share"), [(name, "1.500000", "0.25") for name in FORMULAS])
    sheet = opened(workbook([sheet_of_csv("times", text)]))["times"]
    assert [cell.value for cell in sheet[1]] == ["name", "ms", "share"]
    for name, row in zip(FORMULAS, sheet.iter_rows(min_row=2), strict=True):
        assert [cell.value for cell in row] == [name, 1.5, 0.25]
        assert [cell.data_type for cell in row] == ["s", "n", "n"]
        assert all(cell.hyperlink is None for cell in row)


@pytest.mark.parametrize("name", [HOSTILE, *FORMULAS])
def test_no_name_breaks_a_book_or_becomes_a_formula(name: str) -> None:
    data = workbook([Sheet(name, ("layer", name), [[name, 1.0], [name * 500, None]])])
    [sheet] = opened(data).worksheets
    assert 0 < len(sheet.title) <= 31
    assert {cell.data_type for row in sheet for cell in row} <= {"s", "n"}
    for part in zipfile.ZipFile(io.BytesIO(data)).namelist():
        assert b"<f>" not in zipfile.ZipFile(io.BytesIO(data)).read(part), part


def test_sheets_have_names_of_their_own() -> None:
    wanted = ("net", "NET", "x" * 40, "x" * 41, "", "[a]*", "History")
    named = [Sheet(name, ("a",), []) for name in wanted]
    names = opened(workbook(named)).sheetnames
    assert len({name.casefold() for name in names}) == len(named)
    assert names[:2] == ["net", "NET (2)"]
    assert max(map(len, names)) <= 31


def test_limits_of_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a" * 40_000
    [sheet] = opened(workbook([Sheet("s", ("a",), [[long]])])).worksheets
    assert len(sheet["A2"].value) == 32_767
    monkeypatch.setattr(book, "_MOST_ROWS", 2)
    with pytest.raises(UsageError, match="2 rows at most, these are 3"):
        workbook([Sheet("s", ("a",), [["1"], ["2"]])])


@pytest.mark.parametrize(
    ("words", "sheets", "first"),
    [
        ("inspect lenet.onnx --batch 1,2", ["lenet batch 1", "lenet batch 2"], "layer_name"),
        ("inspect lenet.onnx --layout classic", ["lenet batch 1"], "layer_name"),
        ("inspect lenet.onnx --cost", ["lenet batch 1"], "layer_name"),
        ("runs show --backend ort --batch 1", ["run", "layers", "warnings"], "fact"),
        ("align --batch 1", ["blocks", "runs"], "row"),
        ("align --over batch", ["batches"], "model"),
        ("align --over batch --backend ort", ["scaling"], "model"),
    ],
)
def test_commands_write_them(
    words: str, sheets: list[str], first: str, folder: Path, call: Call
) -> None:
    done = call(*words.split(), "-o", "out.xlsx")
    assert (done.code, done.out) == (0, ""), done.err
    made = opened(folder / "out.xlsx")
    assert made.sheetnames == sheets
    assert made.worksheets[0]["A1"].value == first
    assert call(*words.split(), "--format", "xlsx", "-o", "again").code == 0
    assert zipfile.is_zipfile(folder / "again")


def test_compare_writes_one_and_keeps_its_exit_code(folder: Path, call: Call) -> None:
    place = next((folder / "runs" / "net").iterdir())
    done = call("compare", place / "ort", place / "torch", "-o", "out.xlsx")
    assert done.code == 1, done.err
    made = opened(folder / "out.xlsx")
    assert made.sheetnames == ["verdicts", "runs", "caveats"]
    rows = list(made["verdicts"].iter_rows(values_only=True))
    assert rows[0][:4] == ("model", "batch", "layer", "layers")
    assert {row[1] for row in rows[1:]} == {1, 2}
    assert [row[0] for row in made["runs"].iter_rows(min_row=2, values_only=True)] == [*"ABAB"]


def test_a_book_has_the_figures_of_the_csv(folder: Path, call: Call) -> None:
    words = ("runs", "show", "--backend", "ort", "--batch", "1")
    call(*words, "-o", "out.xlsx")
    call(*words, "-o", "out.csv")
    heads, *lines = [line.split(",") for line in (folder / "out.csv").read_text().splitlines()]
    place = heads.index("median_ms")
    sheet = opened(folder / "out.xlsx")["layers"]
    times = [row[place] for row in sheet.iter_rows(min_row=2, values_only=True)]
    total = [time for time in times if time is not None][-1]
    assert len(times) == len(lines)
    assert sum(time or 0.0 for time in times) - total == pytest.approx(total)


@pytest.mark.parametrize(
    "words",
    [
        "runs export",
        "runs list --format csv",
        "scaling --model net",
        "advise runs",
        "inspect lenet.onnx --alive",
        "runs show --format csv",
        "inspect lenet.onnx --format md",
    ],
)
def test_others_say_what_is_allowed(words: str, folder: Path, call: Call) -> None:
    done = call(*words.split(), "-o", "out.xlsx")
    assert done.code == 2
    assert "csv (.csv)" in done.err or "No such option" in done.err, done.err
    assert not (folder / "out.xlsx").exists()


@pytest.mark.parametrize("ending", [".xls", ".ods", ".parquet", ".html", ".pdf", ".gz"])
def test_no_form_is_written_under_the_name_of_another(
    ending: str, folder: Path, call: Call
) -> None:
    done = call("inspect", "lenet.onnx", "--format", "csv", "-o", f"out{ending}")
    assert done.code == 2
    assert f"--format csv and the ending {ending} do not go together" in done.err
    assert list(folder.glob("out*")) == []


def test_a_missing_package_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch, folder: Path, call: Call
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = call("compare", "runs", "nothing", "-o", "out.xlsx")
    assert done.code == 2
    assert 'pip install "onnxprof[xlsx]"' in done.err


def test_a_book_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(books.sys, "stdout", Terminal())
    with pytest.raises(UsageError, match="not for a terminal"):
        check_book("xlsx", None)
    assert check_book("xlsx", "out.xlsx") == "xlsx"
    assert check_book("csv", None) == "csv"
