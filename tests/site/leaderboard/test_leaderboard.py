"""The leaderboard as records: what a cell shows, what it says instead, what is compared."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest
from support.boards import GPU, asked, bert, board_runs
from support.pages.graded import graded_run
from support.sites import failed_run, wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.align import align
from onnxprof.compare.settings import ANY_THREADS
from onnxprof.compare.verdict import Verdict
from onnxprof.publish.leaderboard.board import Board, Cell, Choice, Row, board
from onnxprof.publish.leaderboard.data import script
from onnxprof.publish.leaderboard.index import Line
from onnxprof.publish.leaderboard.versus import versus
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.render import markup
from onnxprof.publish.reasons.macs import Macs
from onnxprof.records.run import Run
from onnxprof.records.step import Granularity
from onnxprof.records.warning import WarningKind
from onnxprof.testing import sample_run


def made(runs: list[Run]) -> Board:
    return board(catalogue(runs))


def rows(runs: list[Run]) -> dict[str, Row]:
    found = made(runs)
    return {row.model.slug: row for row in found.rows(found.default)}


def said(cell: Cell) -> str:
    """What a cell says in words; empty where it has a figure."""
    if cell.other:
        return cell.apart
    return "" if cell.record else "not measured"


def latency(run: Run) -> int:
    return reconcile(run).total_ns


def test_the_default_is_what_most_runs_have() -> None:
    found = made(board_runs())
    assert found.default == Choice(1, 2, False)
    assert found.default.words == "batch 1, 2 threads"
    assert found.batches == [1, 8]
    assert found.threads == [2, 16]
    assert found.columns[0] == ("<b>CPU</b> & 'co'", "fake")


def test_nothing_of_other_sizes_threads_or_batches_is_a_figure() -> None:
    found = rows(
        [
            bert(128, 10.0),
            bert(128, 5.0, backend="other"),
            bert(16, 1.0, backend="third"),
            asked(sample_run("many", 1, scale=0.1), threads=16),
            sample_run("many", 1, backend="other"),
            sample_run("many", 8, backend="third"),
        ]
    )
    assert found["bert"].sizes == "seq=128"
    assert [said(cell) for cell in found["bert"].cells] == ["", "", "only seq=16"]
    assert [said(cell) for cell in found["many"].cells] == ["only 16 threads", "", "only batch 8"]
    for row in found.values():
        shown = [cell.record for cell in row.cells if cell.record]
        assert len({(record.batch, record.settings) for record in shown}) == 1


def test_what_differs_in_several_ways_says_all_of_them() -> None:
    other = asked(bert(16, 1.0, threads=16, backend="other"), batch=8)
    written = asked(bert(128, 1.0, backend="third"), granularity=Granularity.WRITTEN)
    found = rows([bert(128, 1.0), bert(128, 1.0, backend="zeta"), other, written])["bert"]
    assert [said(c) for c in found.cells] == [
        "",
        "only batch 8, seq=16, 16 threads",
        "only as written",
        "",
    ]


def test_the_nearest_of_several_others_is_named() -> None:
    far = asked(sample_run("m", 8, backend="other"), threads=16)
    near = asked(sample_run("m", 1, backend="other"), threads=16)
    found = rows([sample_run("m", 1), sample_run("n", 1), far, near])["m"]
    assert said(found.cells[1]) == "only 16 threads"


@pytest.mark.parametrize(
    ("batches", "words", "linked"),
    [
        ((1,), "only batch 1", 1),
        ((1, 2, 4), "up to batch 4", 4),
        ((16, 32), "from batch 16", 16),
        ((1, 2, 32), "only batches 1, 2, 32", 1),
    ],
)
def test_a_cell_does_not_call_one_of_several_batches_the_only_one(
    batches: tuple[int, ...], words: str, linked: int
) -> None:
    runs = [sample_run(model, 8) for model in ("m", *(f"n{i}" for i in range(6)))]
    runs += [sample_run("m", batch, backend="other") for batch in batches]
    runs += [asked(failed_run("m", 64), backend="other")]
    cell = rows(runs)["m"].cells[1]
    assert cell.other
    assert (said(cell), cell.other.batch) == (words, linked)


def test_a_failed_run_elsewhere_is_no_run() -> None:
    found = rows([sample_run("m", 1), asked(failed_run("m", 8), backend="other")])["m"]
    assert said(found.cells[1]) == "not measured"


def test_the_best_wins_and_wrong_outputs_do_not() -> None:
    cheat = asked(wrong_run("m"), backend="cheat")
    runs = [sample_run("m", 1), sample_run("m", 1, backend="other", scale=0.5), cheat]
    cheated, slow, quick = rows(runs)["m"].cells
    assert (cheated.share, cheated.wins) == (None, False)
    assert quick.wins
    assert slow.share == pytest.approx(latency(runs[1]) / latency(runs[0]))


def test_nothing_is_bold_where_a_comparison_is_undecided() -> None:
    def winners(*runs: Run) -> list[bool]:
        return [cell.wins for cell in rows(list(runs))["m"].cells]

    first = sample_run("m", 1)
    assert winners(first, sample_run("m", 1, backend="other", scale=0.5)) == [False, True]
    assert winners(first, sample_run("m", 1, backend="other", scale=0.99)) == [False, False]
    few = graded_run("m", [0.5 * ms for ms in (2.1, 2.2, 2.3)], backend="other")
    assert winners(first, few) == [False, False], "three samples have no interval"
    busy = graded_run("m", [1.1] * 40, WarningKind.BUSY_MACHINE, backend="other")
    assert winners(first, busy) == [False, False]


@pytest.mark.parametrize("scale", [0.85, 0.9, 0.92, 0.93, 0.94, 0.95, 0.97, 1.0])
def test_a_bold_cell_is_faster_by_compare(scale: float) -> None:
    a, b = sample_run("m", 1), sample_run("m", 1, backend="other", scale=scale)
    judged = align([a, b]).total.cells[1].verdict
    bold = rows([a, b])["m"].cells[1].wins
    assert not bold or judged is Verdict.FASTER
    assert bold or scale > 0.85


def test_one_figure_has_nothing_to_win_against() -> None:
    (cell,) = rows([sample_run("m", 1)])["m"].cells
    assert (cell.share, cell.wins) == (None, False)


def test_a_gpu_stands_beside_any_number_of_threads() -> None:
    gpu = asked(sample_run("m", 1, GPU), threads=64)
    found = made([sample_run("m", 1), gpu])
    assert found.threads == [2]
    assert [said(cell) for cell in found.rows(found.default)[0].cells] == ["", ""]
    alone = made([gpu])
    assert alone.default == Choice(1, ANY_THREADS, False)
    assert said(alone.rows(alone.default)[0].cells[0]) == ""


def test_another_program_has_a_column_of_its_own() -> None:
    found = made([sample_run("m", 1), asked(sample_run("m", 1, scale=0.1), timer="imported")])
    assert [runtime for _, runtime in found.columns] == ["fake", "fake · imported"]


def test_a_ratio_has_its_direction_and_number_of_models() -> None:
    runs = [sample_run(m, 1, backend=b, scale=s) for m in "mn" for b, s in (("a", 1.0), ("b", 2.0))]
    runs += [sample_run("m", 1, backend="c", scale=4.0)]
    found = made(runs)
    ratios = versus(found.rows(found.default), found.columns, {})
    assert [row[i] for i, row in enumerate(ratios)] == [None] * 3
    of_m, of_n = latency(runs[1]) / latency(runs[0]), latency(runs[3]) / latency(runs[2])
    a_over_b, b_over_a, a_over_c = ratios[0][1], ratios[1][0], ratios[0][2]
    assert a_over_b
    assert b_over_a
    assert a_over_c
    assert a_over_b.mean == pytest.approx(math.sqrt(of_m * of_n))
    assert a_over_b.mean * b_over_a.mean == pytest.approx(1)
    assert (a_over_b.models, a_over_b.tint, b_over_a.tint) == (2, "up2", "down2")
    assert (a_over_c.models, a_over_c.tint) == (1, "few"), "a mean of one has no colour"


def test_ratios_leave_out_what_is_unlike_or_wrong() -> None:
    runs = [sample_run("m", 1), asked(wrong_run("m"), backend="other")]
    runs += [sample_run("n", 1), asked(sample_run("n", 1, backend="other"), threads=16)]
    found = made(runs)
    ratio = versus(found.rows(found.default), found.columns, {})[0][1]
    assert ratio
    assert (ratio.models, ratio.tint) == (0, "few")


def test_the_file_has_every_run_that_stands_for_a_cell_and_ends_no_script() -> None:
    found = made(board_runs())
    text = script(found)
    assert not re.search("[<>&\u2028]", text)
    data = json.loads(text.removeprefix("onnxprof.board(").removesuffix(");\n"))
    assert sum(len(runs) for _, runs in data["models"]) == sum(map(len, found.records))
    assert [data["works"][usual][1] for usual, _ in data["models"]].count("seq=128") == 1


def test_macs_are_those_of_the_sizes_that_the_row_has() -> None:
    runs = [asked(sample_run("net", batch), dims=(("seq", 16),)) for batch in (8, 2)]
    runs += [asked(sample_run("net", 1), dims=(("seq", 32),))]
    (model,) = catalogue(runs)
    work = ((("seq", 16),), "", "")
    entries = tuple(
        dataclasses.replace(e, macs=Macs(100 * e.batch, "", f"batch {e.batch}"))
        for e in model.entries
    )
    row = Row(dataclasses.replace(model, entries=entries), work, ())
    assert Line(row, None, markup("")).macs == Macs(200, "", "batch 2")
    assert Line(Row(model, work, ()), None, markup("")).macs is None


def test_a_site_without_times_still_has_a_board() -> None:
    found = made([failed_run("gone", 4)])
    assert found.default.batch == 4
    assert found.rows(found.default)[0].cells[0].record is not None
