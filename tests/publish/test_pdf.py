"""The PDF of a run."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import sys
import threading
import unicodedata
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from support.golden import check_golden
from support.sites import long_run, wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.errors import StoreError, UsageError
from onnxprof.publish.disk.cache import Cache
from onnxprof.publish.pdf import timings, typesetter
from onnxprof.publish.pdf.glyphs import SHOWN, legible
from onnxprof.publish.pdf.rows import BOLD, MOST, SOFT, WIDTH, PrintedRow, folded, table
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run


def words(made: bytes) -> str:
    """The text of all pages, without the breaks within names."""
    pages = (page.extract_text() for page in PdfReader(io.BytesIO(made)).pages)
    return "\n".join(pages).replace("\u200b", "")


def test_a_pdf_has_the_same_bytes_every_time() -> None:
    run = sample_run()
    assert timings.timing_pdf(run) == timings.timing_pdf(run)
    assert timings.timing_pdf(run) != timings.timing_pdf(sample_run(created="2026-01-02T03:04:06Z"))


def test_what_a_pdf_is_made_of() -> None:
    run = dataclasses.replace(
        sample_run(batch=8), warnings=(RunWarning(WarningKind.WIDE_INTERVAL, 0.023),)
    )
    document = json.loads(timings.manuscript(run, reconcile(run)).data)
    made = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    check_golden("pdf_sample_b8.json", made)


def test_a_pdf_shows_the_title_the_rows_and_what_they_add_up_to() -> None:
    shown = words(timings.timing_pdf(sample_run("sample", batch=8)))
    for text in ("sample", "batch 8", "/block/conv_0", "fused into", "(overhead)", "(total)"):
        assert text in shown
    assert "1 / 1" in shown


def test_a_run_with_wrong_outputs_says_so_at_the_top() -> None:
    shown = words(timings.timing_pdf(wrong_run())).replace("\n", " ")
    assert "count for nothing: <out> not as the reference" in shown
    assert "count for nothing" not in words(timings.timing_pdf(sample_run()))


def test_headers_repeat_and_pages_are_numbered() -> None:
    made = timings.timing_pdf(long_run(150))
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
    assert timings.timing_pdf(sample_run(name)).startswith(b"%PDF")


def test_a_failed_run_has_no_pdf() -> None:
    run = dataclasses.replace(sample_run(), timings=None, steps=(), failure="killed")
    with pytest.raises(StoreError, match="killed"):
        timings.timing_pdf(run)


def test_a_date_that_is_none_does_no_harm() -> None:
    assert timings.timing_pdf(sample_run(created="yesterday")).startswith(b"%PDF")


@pytest.fixture
def kept(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def manuscripts(n: int) -> list[typesetter.Manuscript]:
    return [
        timings.manuscript(run, reconcile(run)) for run in (sample_run(f"m{i}") for i in range(n))
    ]


def refuse(_: typesetter.Manuscript) -> bytes:
    raise AssertionError("made again")


def test_what_is_in_the_cache_is_not_made_again(
    kept: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = manuscripts(2)
    first = [typesetter.pressed(manuscript, kept) for manuscript in wanted]
    assert len(list(kept.folder.iterdir())) == 2
    monkeypatch.setattr(typesetter, "compile_pdf", refuse)
    assert [typesetter.pressed(manuscript, kept) for manuscript in wanted] == first


@pytest.mark.parametrize("damage", [b"", b"short", b"%PDF-1.7" + bytes(2000)])
def test_a_damaged_entry_is_made_again(kept: Cache, damage: bytes) -> None:
    (manuscript,) = manuscripts(1)
    good = typesetter.pressed(manuscript, kept)
    (entry,) = kept.folder.iterdir()
    entry.write_bytes(damage)
    assert typesetter.pressed(manuscript, kept) == good
    assert kept.get(entry.name) == good


def test_a_cache_that_cannot_be_written_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert typesetter.pressed(manuscripts(1)[0], Cache(tmp_path / "file" / "x")).startswith(b"%PDF")


def test_a_cache_keeps_what_was_used_last(kept: Cache) -> None:
    for i, key in enumerate(("old", "used", "new")):
        kept.put(key, bytes(1000))
        os.utime(kept.folder / key, (i, i))
    assert kept.get("old") == bytes(1000), "it counts as used now"
    kept.prune(2100)
    assert {path.name for path in kept.folder.iterdir()} == {"old", "new"}
    assert kept.get("used") is None
    kept.prune(0)
    assert list(kept.folder.iterdir()) == []
    Cache(kept.folder / "none").prune()


def test_what_fonts_can_show_is_shown_and_the_rest_is_spelled() -> None:
    """PDF/A refuses a character that no font has, so typst itself says whether the list is true."""
    import typst

    listed = "".join(chr(code) for a, b in SHOWN for code in range(a, b + 1))
    known = [char for char in listed if unicodedata.category(char) != "Cn"]
    assert len(known) > 2500
    assert legible("".join(known)) == "".join(known)
    source = b'#set text(font: "DejaVu Sans Mono")\n#for c in json(bytes(sys.inputs.data)) [#c ]'
    compiler = typst.Compiler(source, ignore_system_fonts=True)
    inputs = {"data": json.dumps(known)}
    assert compiler.compile(sys_inputs=inputs, format="pdf", pdf_standards="a-2u")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("模型", "\\u6a21\\u578b"),
        ("\u05d0", "\\u05d0"),
        ("a\u0301", "a\\u0301"),
        ("\U0001f600", "\\U0001f600"),
        ("naïve Ωμέγα Жук ≤ µ", "naïve Ωμέγα Жук ≤ µ"),
    ],
)
def test_a_name_that_the_fonts_lack_is_legible_all_the_same(name: str, shown: str) -> None:
    assert legible(name) == shown
    assert shown in words(timings.timing_pdf(sample_run(name)))


def test_letters_of_a_table_are_as_wide_as_the_template_says() -> None:
    """Columns stand in line only where every letter has the width that is counted with."""
    import typst

    source = (files("onnxprof") / "site" / "templates" / "timing.typ").read_text("utf-8")
    width = re.search(r"^#let letter = .*$", source, re.MULTILINE)
    assert width
    checked = f"""{width[0]}
#set text(font: "DejaVu Sans Mono", size: 6.4pt)
#context for weight in (400, 700) {{
  for each in json(bytes(sys.inputs.data)) {{
    let wide = measure(text(weight: weight, each)).width
    assert(calc.abs(wide - each.clusters().len() * letter) < 0.001pt, message: each)
  }}
}}"""
    letters = [chr(code) for code in range(0x21, 0x7F)]
    given = [*letters, "×", "−", "µ", "…", "1,489.25", "a  b", "fifl", "0.000", "Ω", "Ж"]
    compiler = typst.Compiler(checked.encode(), ignore_system_fonts=True)
    assert compiler.compile(format="pdf", sys_inputs={"data": json.dumps(given)})


def rows_of(count: int, **fields: object) -> list[PrintedRow]:
    """Rows with a number and a name each."""
    bare = PrintedRow("", "", "Conv", "1×8×8", ("1,489.25", "7", "0.123"), "12.3")
    return [
        dataclasses.replace(bare, place=str(i), name=f"/block/conv_{i}", **fields)
        for i in range(1, count + 1)
    ]


def text_lines(made: dict[str, Any]) -> list[str]:
    """What is printed of a table, a line each."""
    texts = ("".join(text for _, text in block["runs"]) for block in made["blocks"])
    return "".join(texts).split("\n")[:-1]


def test_numbers_of_a_column_stand_on_their_decimal_points() -> None:
    more = dataclasses.replace(rows_of(1)[0], times=("5", "41.5", "−12.75"), share="3.05")
    made = table([*rows_of(1), more], [], "µs")
    first, second = text_lines(made)
    assert first.index("1,489") + 4 == second.index("  5") + 2, "a number without a point, too"
    assert first.index(".123") == second.index(".75")
    assert first.index(".3") == second.rindex(".05")
    head = made["head"]
    assert " ".join(head.split()) == "# Layer Operator Output Median, µs p5, µs p95, µs Share, %"
    assert head.index("Layer") == first.index("/block")
    assert head.index("Operator") == first.index("Conv")
    assert head.index("Output") == first.index("1×8")
    assert head.index("Share, %") + 8 == max(len(first), len(second), len(head))


def test_rows_that_have_one_time_have_one_heading_for_it() -> None:
    head = table([dataclasses.replace(rows_of(1)[0], times=("5", "", ""))], [], "µs", "Time")[
        "head"
    ]
    assert " ".join(head.split()) == "# Layer Operator Output Time, µs Share, %"


def test_a_block_ends_with_a_row_and_has_its_rules_and_bars() -> None:
    made = table(rows_of(20, bar=0.5), rows_of(3, is_total=True), "ms")["blocks"]
    assert [block["lines"] for block in made] == [5, 5, 5, 5, 3]
    assert all(block["rules"] == list(range(block["lines"])) for block in made)
    assert all(block["bars"] == [(i, 0.5) for i in range(block["lines"])] for block in made[:4])
    assert {style for style, _ in made[-1]["runs"]} == {SOFT, BOLD}


def test_long_texts_take_lines_and_none_is_wider_than_the_columns() -> None:
    long = PrintedRow("1", "/scope" * 40, "Skip" * 9, "1×" * 40, ("1.5", "1", "2"), "3.10")
    fused = dataclasses.replace(long, times=("", "", ""), share="", fate="fused into " + "x" * 99)
    endless = dataclasses.replace(long, name="a" * 3000)
    made = table([long, fused, endless], [], "ms")
    lines = text_lines(made)
    assert max(map(len, lines)) <= WIDTH
    assert max(block["lines"] for block in made["blocks"]) <= MOST
    assert sum(len(block["rules"]) for block in made["blocks"]) == 3
    assert sum(line.count("scope") for line in lines) == 80
    assert "".join(lines).count("a") == 3000
    assert sum(line.count("1.5") for line in lines) == 2, "a fused row has no times"


@given(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=200))
def test_folding_loses_nothing(text: str) -> None:
    lines = folded(text, 12)
    assert "".join(lines) == text
    assert all(len(line) <= 12 for line in lines)


@pytest.mark.parametrize("count", [0, 1, 400])
def test_tables_of_any_length_are_whole(count: int) -> None:
    assert len(text_lines(table(rows_of(count), [], "ms"))) == count


def test_what_is_copied_from_the_page_keeps_its_rows() -> None:
    shown = words(timings.timing_pdf(sample_run(batch=8)))
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1 /block/conv_0 Conv 8×4×8×8 6,611 6,533 6,795 46.1" in rows
    assert "2 /block/relu_1 Relu 8×4×8×8 fused into /block/conv_0_step" in rows


def test_one_compiler_sets_all_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    import typst

    made = []
    plain = typst.Compiler

    def spy(*given: object, **named: object) -> object:
        made.append(given)
        return plain(*given, **named)

    monkeypatch.setattr(typst, "Compiler", spy)
    monkeypatch.setattr(typesetter, "_KEPT", threading.local())
    monkeypatch.setattr(typesetter, "_MOST_DATA", 0)
    first, second = (typesetter.compile_pdf(manuscript) for manuscript in manuscripts(2))
    assert first != second
    assert len(made) == 1


def test_the_mark_of_a_doubtful_rank_is_explained_before_the_table() -> None:
    run = sample_run(batch=8)
    assert run.timings is not None
    scattered = run.timings.step_ns[:, :4].copy()
    scattered[0] *= [1, 3, 5, 9]
    few = dataclasses.replace(run.timings, step_ns=scattered, traced_ns=run.timings.traced_ns[:4])
    shown = words(timings.timing_pdf(dataclasses.replace(run, timings=few)))
    assert shown.index("? behind a name") < shown.index("Operator")
    assert "? behind a name" not in words(timings.timing_pdf(run))


def test_without_typst_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(UsageError, match="onnxprof\\[site\\]"):
        timings.timing_pdf(sample_run())
