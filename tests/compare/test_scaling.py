"""One system over sizes: lines through times, rates, saturation."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.golden import check_golden

from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.statistics.lines import fit
from onnxprof.cli.output import plain_text
from onnxprof.compare.scaling import families, scaling
from onnxprof.compare.table import RowKind
from onnxprof.compare.verdict import Verdict
from onnxprof.errors import UsageError
from onnxprof.publish.json import documents
from onnxprof.publish.scaling import data
from onnxprof.publish.scaling import tables as text
from onnxprof.publish.text import numbers
from onnxprof.records.run import Run
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

MS = 1_000_000


def at(size: int, steps_ms: list[float], gap_ms: float = 0.0, axis: str = "batch") -> Run:
    """A run of three processes whose three steps take exactly so long."""
    return merge([_process(size, steps_ms, gap_ms, axis) for _ in range(3)])


def _process(size: int, steps_ms: list[float], gap_ms: float, axis: str) -> Run:
    made = sample_run("net", size if axis == "batch" else 1, backend="ort")
    ns = np.array([round(ms * MS) for ms in steps_ms], np.int64)
    whole = int(ns.sum()) + round(gap_ms * MS)
    blocks, inside = 4, 5
    count = blocks * inside
    block = np.repeat(np.arange(blocks, dtype=np.int32), inside)
    timings = Timings(
        load_ns=1,
        first_ns=whole,
        warmup_ns=np.full(3, whole),
        latency_ns=np.full(count, whole),
        latency_block=block,
        traced_ns=np.full(count, whole),
        step_ns=np.repeat(ns[:, None], count, axis=1),
        traced_block=block,
    )
    dims = () if axis == "batch" else ((axis, size),)
    request = dataclasses.replace(made.request, dims=dims)
    return dataclasses.replace(made, request=request, timings=timings, warnings=(), telemetry=None)


def line_of(size: int) -> list[float]:
    """A fixed 2 ms and 1 ms an item, over three steps."""
    return [0.5 + 0.6 * size, 1.0 + 0.3 * size, 0.3 + 0.1 * size]


def straight(sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32), axis: str = "batch") -> list[Run]:
    return [at(size, line_of(size), 0.2, axis) for size in sizes]


def test_a_fixed_cost_and_a_cost_an_item_come_back() -> None:
    found = scaling(straight())
    assert found.line.fixed_ns == pytest.approx(2.0 * MS, rel=1e-3)
    assert found.line.item_ns == pytest.approx(1.0 * MS, rel=1e-3)
    low, high = found.line.fixed_interval
    assert low < 2.0 * MS < high
    assert found.line.misfit < 1e-3
    assert found.line.half_size == pytest.approx(2.0, rel=1e-3)
    conv, gemm = (row for row in found.rows if row.kind is RowKind.BLOCK)
    assert len(conv.layers) == 2
    assert conv.line.fixed_ns == pytest.approx(0.5 * MS, rel=1e-2)
    assert gemm.line.item_ns == pytest.approx(0.3 * MS, rel=1e-2)
    assert [p.size for p in found.points] == [1, 2, 4, 8, 16, 32]
    assert found.points[3].rate == pytest.approx(8 / 0.010)


def test_rows_add_up_to_the_latency_at_each_size_and_in_their_lines() -> None:
    runs = [at(s, [0.2 * s**1.3, 0.5 + s**0.5, 0.1], 0.3 - 0.01 * s) for s in (1, 3, 9, 20)]
    found = scaling(runs)
    for place, run in enumerate(runs):
        assert sum(row.times_ns[place] for row in found.rows) == reconcile(run).total_ns
    assert sum(row.line.fixed_ns for row in found.rows) == pytest.approx(found.line.fixed_ns)
    assert sum(row.line.item_ns for row in found.rows) == pytest.approx(found.line.item_ns)


def test_what_stands_in_print_adds_up_to_the_last_digit() -> None:
    found = scaling([at(s, [0.2371 * s, 0.5313 + s / 3, 0.1777], 0.3) for s in (1, 3, 9)])
    rows = [cells for cells, _ in text.layer_cells(found, 1, 80)]
    names = [cells[0] for cells in rows]
    assert names[-1] == "(median)"
    assert names[1] == "(1 more)"
    for column in (2, 3):
        figures = dict(zip(names, (cells[column].replace(",", "") for cells in rows), strict=True))
        total = round(float(figures.pop("(median)")), 6)
        figures.pop("(layers)")
        assert round(sum(map(float, figures.values())), 6) == total


def test_saturation_and_the_best_size() -> None:
    found = scaling([at(s, [0.9 * max(s, 8), 0.1 * s, 0.0001]) for s in (1, 4, 8, 16, 32)])
    assert found.best.size in (8, 16, 32)
    assert found.saturated == 8
    assert set(found.alike) | {found.best.size} == {8, 16, 32}
    assert found.points[1].verdict is Verdict.FASTER, "an item takes less time than alone"
    assert found.points[3].verdict is Verdict.SAME or found.points[3].verdict is Verdict.UNDECIDED
    assert not found.is_straight
    assert "no straight line" in " ".join(text.sentences_of(found))


def test_a_network_that_does_not_saturate_says_so() -> None:
    found = scaling([at(s, [10.0, 0.001 * s, 0.001]) for s in (1, 2, 4)])
    assert found.saturated == 4
    assert "No saturation up to 4" in " ".join(text.sentences_of(found))


def test_the_best_size_within_a_limit_counts_the_interval() -> None:
    found = scaling(straight())
    within = found.within(10 * MS)
    assert within is not None
    assert within.size == 8
    wide = dataclasses.replace(found.points[3], interval_ns=(9 * MS, 11 * MS))
    points = (*found.points[:3], wide, *found.points[4:])
    less = dataclasses.replace(found, points=points).within(10 * MS)
    assert less is not None
    assert less.size == 4
    assert found.within(MS) is None
    assert "no measured size" in " ".join(text.sentences_of(found, MS))
    assert "By the line 14 would fit" in " ".join(text.sentences_of(found, 16 * MS + MS // 2))


def test_other_axes_than_the_batch() -> None:
    runs = straight((16, 64, 128), axis="sequence")
    found = scaling(runs, "sequence")
    assert found.axis == "sequence"
    assert found.line.item_ns == pytest.approx(1.0 * MS, rel=1e-3)
    assert "sequence/s" in plain_text(text.table(found))


def test_two_sizes_give_a_line_that_nothing_tests() -> None:
    found = scaling(straight((1, 8)))
    assert found.line.fixed_ns == pytest.approx(2 * MS, rel=1e-3)
    assert np.isfinite(found.line.fixed_interval).all()
    assert "do not test it" in " ".join(text.sentences_of(found))


def test_a_cost_of_nothing_has_no_sign() -> None:
    assert [numbers.duration(ns) for ns in (-0.3, -0.0, 0.5, -0.6)] == ["0 ns"] * 3 + ["-1 ns"]


def test_less_than_nothing_is_no_fixed_part() -> None:
    bent = scaling([at(1, [0.5, 0.3, 0.2]), at(2, [2.0, 1.0, 1.0])])
    assert bent.line.fixed_ns < 0
    assert "Latency: no fixed part (the line gives" in plain_text(text.table(bent))


def test_gains_that_nobody_may_judge_say_why() -> None:
    busy = RunWarning(WarningKind.BUSY_MACHINE)
    alone = [
        dataclasses.replace(_process(size, line_of(size), 0.2, "batch"), warnings=(busy,))
        for size in (1, 8)
    ]
    found = scaling(alone)
    assert found.points[1].verdict is Verdict.UNDECIDED
    assert "not judged where one process ran" in " ".join(text.sentences_of(found))
    assert "not judged" not in " ".join(text.sentences_of(scaling(straight())))


def test_one_size_twice_and_one_size_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="two runs have batch 2"):
        scaling(straight((1, 2, 2)))
    with pytest.raises(UsageError, match="two are needed"):
        scaling(straight((1,)))


def test_families_keep_systems_models_and_other_sizes_apart() -> None:
    runs = straight((1, 2)) + straight((4, 8), axis="sequence")
    others = [
        dataclasses.replace(run, request=dataclasses.replace(run.request, threads=7))
        for run in straight((1, 4, 8))
    ]
    assert [len(group) for group in families([*runs, *others])] == [2, 3]
    assert [len(group) for group in families([*runs, *others], "sequence")] == [2]
    assert families(runs[:1]) == []
    assert families(runs, "nothing") == []


def test_steps_that_another_size_fuses_share_a_row() -> None:
    one = at(1, [1.0, 2.0, 0.1])
    two = at(2, [1.5, 3.0, 0.1])
    whole = dataclasses.replace(two.steps[0], layers=(*two.steps[0].layers, *two.steps[1].layers))
    assert two.timings is not None
    ns = two.timings.step_ns
    timings = dataclasses.replace(two.timings, step_ns=np.vstack([ns[:2].sum(axis=0), ns[2:]]))
    fused = dataclasses.replace(two, steps=(whole, two.steps[2]), timings=timings)
    blocks = [row for row in scaling([one, fused]).rows if row.kind is RowKind.BLOCK]
    assert [len(row.layers) for row in blocks] == [3]
    assert blocks[0].times_ns == pytest.approx((3 * MS, 4.5 * MS), rel=1e-3)


def test_a_run_without_step_times_has_a_line_and_no_rows() -> None:
    runs = straight((1, 2, 4))
    assert runs[1].timings is not None
    none = np.zeros((0, 0), np.int64)
    timings = dataclasses.replace(runs[1].timings, step_ns=none, traced_ns=none[0:0].reshape(-1))
    runs[1] = dataclasses.replace(runs[1], steps=(), timings=timings)
    found = scaling(runs)
    assert found.rows == ()
    assert "layers" not in plain_text(text.table(found))


def test_json_has_no_number_that_is_none() -> None:
    runs = [at(s, [0.5 + s, 0.0, 0.0]) for s in (1, 2, 4)]
    document = json.loads(documents.text(data.plain([scaling(runs)], 3 * MS)))
    assert document[0]["within_limit"] == 2
    assert document[0]["rows"][0]["line"]["item_ns"] == pytest.approx(MS, rel=1e-3)


def test_the_text_for_80_columns_and_the_csv() -> None:
    found = scaling(straight())
    check_golden("scaling.txt", plain_text(text.table(found, 20, 12 * MS)))
    check_golden("scaling.md", text.markdown(found))
    check_golden("scaling.csv", data.to_csv([found]))


@given(
    st.lists(st.integers(1, 512), min_size=2, max_size=6, unique=True),
    st.floats(0, 1e7),
    st.floats(1, 1e6),
)
def test_any_line_is_found(sizes: list[int], fixed: float, item: float) -> None:
    size = np.array(sizes, np.float64)
    times = (fixed + item * size)[None]
    [line] = fit(size, times, np.full(times.shape, 0.01), 1 / times[0] ** 2)
    assert line.at(sizes[0]) == pytest.approx(times[0, 0], rel=1e-6)
    assert line.item_interval[0] <= item * (1 + 1e-6)
    assert line.item_interval[1] >= item * (1 - 1e-6)


def test_intervals_cover_the_truth() -> None:
    """95 % of intervals from noisy times hold the true cost, give or take what 400 trials may."""
    rng = np.random.default_rng(7)
    size = np.array([1, 2, 4, 8, 16, 32], np.float64)
    truth = 3e6 + 1e6 * size
    noisy = truth * (1 + rng.normal(0, 0.03, (400, size.size)))
    lines = fit(size, noisy, np.full(noisy.shape, 0.03), 1 / truth**2)
    held = np.mean([line.fixed_interval[0] <= 3e6 <= line.fixed_interval[1] for line in lines])
    assert 0.92 < held <= 1.0
    assert max(line.fixed_interval[1] - line.fixed_interval[0] for line in lines) < 2.5e6


def test_a_line_needs_two_sizes() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        fit(np.array([2.0, 2.0]), np.ones((1, 2)), np.ones((1, 2)), np.ones(2))
