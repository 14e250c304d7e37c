"""± stands where there is an interval, a range elsewhere; grades have words, dots and colours."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from support.pages.graded import THREE, graded_run, with_latencies
from support.sites import failed_run, wrong_run

from onnxprof.analysis.grades import Grade
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.warnings import median_warnings
from onnxprof.compare.align import align
from onnxprof.compare.changes import compare
from onnxprof.compare.over_batches import over_batches
from onnxprof.compare.scaling import scaling
from onnxprof.publish.comparing import alignment_table, alignment_text, changes
from onnxprof.publish.comparing import over_batches as batches_text
from onnxprof.publish.comparing.alignment import Choice
from onnxprof.publish.json import documents
from onnxprof.publish.pdf import timings as timings_pdf
from onnxprof.publish.scaling import tables as scaling_text
from onnxprof.publish.tables import runs as run_list
from onnxprof.publish.tables.run_summary import summary
from onnxprof.publish.text import grades
from onnxprof.publish.text.warnings import folded_text, warning_texts
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run

MS = 1_000_000
#: A margin of a legend, which is no spread of samples.
MARGIN = re.compile(r"within\s+±[\d.]+\s+%|not\s+±")


def shown(*parts, width: int = 80) -> str:
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False)
    for part in parts:
        console.print(part)
    return sink.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("interval", "samples", "text"),
    [
        ((751, 776), 3, "range 751–776, 3 samples"),
        ((751, 776), 5, "range 751–776, 5 samples"),
        ((763.1, 763.4), 3, "range 763.1–763.4, 3 samples"),
        ((760, 766), 2, "range 760–766, 2 samples"),
        ((763, 763), 1, "1 sample"),
        ((759, 767), 6, "±0.5 %, 6 samples"),
        ((763, 763), 1200, "±0.0 %, 1200 samples"),
    ],
)
def test_what_is_said_of_a_spread(interval: tuple[float, float], samples: int, text: str) -> None:
    low, high = (round(end * MS) for end in interval)
    assert grades.spread_text(763 * MS, (low, high), samples) == text


def test_a_range_is_in_the_unit_of_its_median() -> None:
    assert grades.spread_cell(1.2e9, (1_190_000_000, 1_230_000_000), 3) == "1.19–1.23"
    assert grades.spread_cell(1.2e9, (1_190_000_000, 1_230_000_000), 3, MS) == "1190–1230"
    assert grades.spread_cell(0, (0, 0), 3) == "0–0"
    assert grades.spread_cell(0, (0, 0), 9) == ""


def test_every_grade_has_a_dot_a_word_and_a_meaning() -> None:
    for table in (grades.SYMBOLS, grades.STYLES, grades.MEANINGS):
        assert set(table) == set(Grade)
        assert len(set(table.values())) == len(Grade)
    assert [grades.word(grade) for grade in Grade] == ["● solid", "◐ rough", "○ noise"]
    assert grades.word(None) == grades.grade_html(None) == ""
    hidden, told = (grades.grade_html(Grade.ROUGH, shown=shown) for shown in (False, True))
    assert hidden == '<span class="grade rough"><span>rough</span></span>'
    assert told == '<span class="grade rough">rough</span>'
    assert max(map(len, shown(grades.legend_text()).splitlines())) <= 80


def few(model: str = "net", scale: float = 1.0, **options) -> Run:
    """Three samples, with the warnings that a run of an earlier version has."""
    kinds = (WarningKind.FEW_SAMPLES, WarningKind.WIDE_INTERVAL)
    return graded_run(model, [scale * ms for ms in THREE], *kinds, **options)


def batches(make) -> list[Run]:
    return [make(batch=b, scale=float(b), backend=n) for b in (1, 2) for n in ("one", "two")]


def every_text(make) -> dict[str, str]:
    """What each renderer prints of a run, and of several."""
    run, other = make(), make(scale=2.0)
    pairs = over_batches(batches(make))
    lines = scaling([r for r in batches(make) if r.request.backend == "one"])
    compared = compare([([run], [other])], 0.02)
    aligned = align([run, other])
    document = json.loads(timings_pdf.manuscript(run, reconcile(run)).data)
    return {
        "runs list": shown(run_list.list_table([summarise(run)])),
        "runs show": shown(summary(run)),
        "compare": shown(changes.table(compared)),
        "compare, Markdown": changes.markdown(compared),
        "align": shown(alignment_table.table(aligned, Choice())),
        "align, Markdown": alignment_text.markdown(aligned, Choice()),
        "over batches": shown(batches_text.table(pairs, Choice(), 120), width=120),
        "over batches, Markdown": batches_text.markdown(pairs, Choice()),
        "scaling": shown(scaling_text.table(lines)),
        "scaling, Markdown": scaling_text.markdown(lines),
        "PDF": json.dumps(document, ensure_ascii=False),
    }


def plain(model: str = "net", scale: float = 1.0, batch: int = 1, backend: str = "fake") -> Run:
    return sample_run(model, batch, backend=backend, scale=scale)


def test_three_samples_have_a_range_and_no_plus_minus_anywhere() -> None:
    texts = every_text(few)
    for name, text in texts.items():
        assert "±" not in MARGIN.sub("", text), name
        assert re.search(r"751(\.0)?–776", text), name


def test_many_samples_have_their_interval_everywhere() -> None:
    without = {"compare", "compare, Markdown"}  # whose columns are intervals of ratios
    for name, text in every_text(plain).items():
        assert name in without or "±" in MARGIN.sub("", text), name
        assert "–776" not in text


def test_verdicts_of_three_samples_are_not_told() -> None:
    a, b = few(), few(scale=3.0)
    [pair] = compare([([a], [b])], 0.02).pairs
    text = shown(changes.table(compare([([a], [b])], 0.02)))
    assert "no 95 % interval" in text
    assert "A, B: fewer than six samples" in flat(text)
    assert {row.interval for row in (pair.latency, *pair.rows)} == {None}
    document = json.loads(documents.text(changes.plain(compare([([a], [b])], 0.02))))
    assert document["pairs"][0]["a"][0]["samples"] == 3
    assert document["pairs"][0]["a"][0]["grade"] == "rough"


def test_gains_of_three_samples_are_not_judged() -> None:
    found = scaling([few(batch=b, scale=float(b)) for b in (1, 2)])
    assert [point.gain_interval for point in found.points] == [None, None]
    told = " ".join(scaling_text.sentences_of(found))
    assert "fewer than six samples have no interval" in told
    assert "kept busy" not in told


def test_a_list_of_runs_wears_grades_in_eighty_columns() -> None:
    noisy = with_latencies(sample_run("c"), [100, 130, 80, 115, 99, 123, 70.5])
    runs = [sample_run("a"), few("b"), noisy, wrong_run(), failed_run()]
    records = run_list.list_records([summarise(run) for run in runs])
    assert [record["grade"] for record in records] == ["solid", "rough", "noise", None, None]
    head, *_ = run_list.list_csv([summarise(run) for run in runs]).splitlines()
    assert head.endswith(",grade,options")
    text = shown(run_list.list_table([summarise(run) for run in runs]))
    for part in ("● solid ±0.", "◐ rough 751–776", "○ noise ±", "not ±"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
    alone = shown(run_list.list_table([summarise(sample_run("a"))]))
    assert "2026-01-02 03:04" in alone, "where no range needs the room"


def test_the_grade_stands_before_the_sentence_and_wrong_outputs_have_none() -> None:
    assert shown(summary(few())).splitlines()[1].startswith("◐ rough: 763.0 ms measured (range")
    assert shown(summary(sample_run())).splitlines()[1].startswith("● solid: ")
    assert "solid" not in shown(summary(wrong_run()))


def test_many_warnings_fold_where_asked_but_never_wrong_outputs() -> None:
    kinds = (WarningKind.DRIFT, WarningKind.BUSY_MACHINE, WarningKind.PARITY_FAILED)
    run = with_latencies(sample_run(), [1.0] * 9, *kinds)
    folded, spelled = (shown(summary(run, folded=fold)) for fold in (True, False))
    assert "! 3 warnings: drift, busy machine, parity failed; `onnxprof runs show" in folded
    assert "this answer is wrong" in flat(folded)
    assert "kept" not in folded
    assert "kept" in spelled
    assert "warnings:" not in spelled
    two = with_latencies(sample_run(), [1.0] * 9, *kinds[:2])
    assert shown(summary(two, folded=True)) == shown(summary(two))


def test_warnings_are_counted_by_kind() -> None:
    twice = [RunWarning(WarningKind.FALLBACK_PROVIDER, 0.1, name) for name in "ab"]
    drift = RunWarning(WarningKind.DRIFT, 0.1)
    assert folded_text([*twice, drift]) == "3 warnings: fallback provider (2), drift"
    assert folded_text([drift]) == "1 warning: drift"


def test_a_warning_of_an_early_run_does_not_call_its_range_an_interval() -> None:
    told = warning_texts(few())
    assert "too few samples for a 95 % interval" in told[1]
    many = with_latencies(sample_run(), [1.0] * 9, WarningKind.WIDE_INTERVAL)
    assert "±1.6 %" in warning_texts(many)[0]


def test_new_runs_do_not_store_a_range_as_the_width_of_an_interval() -> None:
    def width(run: Run) -> float:
        assert run.timings is not None
        found = {warning.kind: warning.value for warning in median_warnings(run.timings)}
        return found[WarningKind.WIDE_INTERVAL]

    assert width(few()) == 0
    assert width(with_latencies(sample_run(), [100, 120] * 8)) > 0.05
