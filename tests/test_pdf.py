"""The PDF of a run."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from pypdf import PdfReader
from sites import long_run

from onnxprof.contracts import StoreError, UsageError
from onnxprof.publish import pdf, press
from onnxprof.reconcile import reconcile
from onnxprof.records import RunWarning, WarningKind
from onnxprof.testing import sample_run


def words(made: bytes) -> str:
    """The text of all pages, without the breaks within names."""
    pages = (page.extract_text() for page in PdfReader(io.BytesIO(made)).pages)
    return "\n".join(pages).replace("\u200b", "")


def test_a_pdf_has_the_same_bytes_every_time() -> None:
    run = sample_run()
    assert pdf.timing_pdf(run) == pdf.timing_pdf(run)
    assert pdf.timing_pdf(run) != pdf.timing_pdf(sample_run(created="2026-01-02T03:04:06Z"))


def test_what_a_pdf_is_made_of() -> None:
    run = dataclasses.replace(
        sample_run(batch=8), warnings=(RunWarning(WarningKind.WIDE_INTERVAL, 0.023),)
    )
    document = json.loads(pdf.manuscript(run, reconcile(run)).data)
    golden = Path(__file__).parent / "golden" / "pdf_sample_b8.json"
    made = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("ONNXPROF_UPDATE_GOLDEN"):
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


def test_a_pdf_shows_the_title_the_rows_and_what_they_add_up_to() -> None:
    shown = words(pdf.timing_pdf(sample_run("sample", batch=8)))
    for text in ("sample", "batch 8", "/block/conv_0", "fused into", "(overhead)", "(total)"):
        assert text in shown
    assert "1 / 1" in shown


def test_headers_repeat_and_pages_are_numbered() -> None:
    made = pdf.timing_pdf(long_run(150))
    pages = PdfReader(io.BytesIO(made)).pages
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        text = page.extract_text()
        assert "Median" in text
        assert f"{number} / {len(pages)}" in text


@pytest.mark.parametrize(
    "name",
    [
        '#panic("x") *b* _i_ $x$ `c` <l> @r \\ // [',
        '"); #read("/etc/passwd") //',
        "模型/名前/이름",
        "\u05d0\u05d1 \u202eevil \x00\x07\ud800 \uffff \U0001f600",
        "a" * 3000,
        "a/" * 800,
    ],
)
def test_names_are_data_whatever_they_say(name: str) -> None:
    assert pdf.timing_pdf(sample_run(name)).startswith(b"%PDF")


def test_a_failed_run_has_no_pdf() -> None:
    run = dataclasses.replace(sample_run(), timings=None, steps=(), failure="killed")
    with pytest.raises(StoreError, match="killed"):
        pdf.timing_pdf(run)


def test_a_date_that_is_none_does_no_harm() -> None:
    assert pdf.timing_pdf(sample_run(created="yesterday")).startswith(b"%PDF")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    return tmp_path / "pdf"


def manuscripts(n: int) -> list[press.Manuscript]:
    return [pdf.manuscript(run, reconcile(run)) for run in (sample_run(f"m{i}") for i in range(n))]


def test_what_is_in_the_cache_is_not_made_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = manuscripts(2)
    first = list(press.press(wanted))
    assert len(list(cache.iterdir())) == 2

    def fail(_: press.Manuscript) -> bytes:
        raise AssertionError("made again")

    monkeypatch.setattr(press, "compile_pdf", fail)
    assert list(press.press(wanted)) == first


def test_workers_make_the_same_bytes(cache: Path) -> None:
    wanted = manuscripts(press.WORTH_WORKERS)
    made = list(press.press(wanted))
    assert made[3] == press.compile_pdf(wanted[3])
    assert len(set(made)) == len(made)


def test_a_worker_that_dies_costs_time_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = manuscripts(press.WORTH_WORKERS)

    def dies(given: Sequence[press.Manuscript]) -> Iterator[bytes]:
        yield press.compile_pdf(given[0])
        raise BrokenProcessPool("killed")

    monkeypatch.setattr(press, "_by_workers", dies)
    assert list(press.press(wanted)) == [press.compile_pdf(m) for m in wanted]


def test_a_cache_that_cannot_be_written_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "file"))
    assert next(press.press(manuscripts(1))).startswith(b"%PDF")


def test_without_typst_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(UsageError, match="onnxprof\\[site\\]"):
        pdf.timing_pdf(sample_run())
