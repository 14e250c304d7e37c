"""Runs side by side: a partition that adds up, ratios, what is missing."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import strategies as own
from support.compare.aligned import (
    CONV,
    GEMM,
    RELU,
    changed,
    of_one_step,
    several,
    shown,
    three,
    untraced,
    warned,
)

from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.align import align
from onnxprof.compare.quantised.counterpart import strays
from onnxprof.compare.table import Alignment, Cell, Fate
from onnxprof.compare.verdict import Caveat, Verdict
from onnxprof.errors import StoreError
from onnxprof.publish.comparing import alignment_table, alignment_text
from onnxprof.publish.comparing.alignment import Choice
from onnxprof.publish.json import documents
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.run import Origin, Run
from onnxprof.records.step import Confidence, Step, Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import sample_run

# The partition and the sums


@given(st.lists(own.runs(failures=False, least=1), min_size=1, max_size=3))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_columns_add_up_whatever_the_runs(runs: list[Run]) -> None:
    runs = [r for r in runs if r.timings is not None and r.timings.block_process == ()]
    runs = [r for r in runs if r.timings.timer is not Timer.PREFIX and not r.timings.round_process]
    assume(runs)
    found = align(runs)
    for i, column in enumerate(found.columns):
        cells = [row.cells[i] for row in found.rows]
        numbers = sorted(number for cell in cells for number in cell.steps)
        if not column.whole:
            inside = set(range(len(runs[i].steps))) - set(strays(runs[i]))
            assert numbers == sorted(inside)
        if found.overhead.cells[i].ns is None:
            assert not any(cell.ns for cell in cells)
            continue
        layers = sum(cell.ns or 0 for cell in cells)
        assert column.whole or layers == found.layer_sum.cells[i].ns
        sums = (found.layer_sum, found.no_layer, found.interruptions, found.overhead)
        parts = (row.cells[i].ns or 0 for row in sums)
        assert sum(parts) == found.total.cells[i].ns == column.total_ns


names = st.sampled_from([CONV, RELU, GEMM, *"abcdefgh"])


fusions = st.lists(st.lists(names, max_size=3, unique=True).map(tuple), min_size=2, max_size=6)


def covering(covered: Sequence[tuple[str, ...]], backend: str) -> Run:
    """A run of these steps; its table has all names."""
    run = sample_run(backend=backend)
    assert run.timings is not None
    more = [Layer(name, LayerKind.NODE, "Op", "Op") for name in "abcdefgh"]
    table = dataclasses.replace(run.table, layers=(*run.table.layers, *more))
    steps = tuple(
        Step(f"s{i}", "Op", "CPU", layers, Confidence.EXACT) for i, layers in enumerate(covered)
    )
    step_ns = np.arange(len(steps))[:, None] * 1000 + np.full((len(steps), 50), 1000)
    timings = dataclasses.replace(run.timings, step_ns=step_ns)
    return dataclasses.replace(run, table=table, steps=steps, timings=timings)


@given(st.lists(fusions, min_size=2, max_size=3))
def test_rows_are_the_finest_blocks_in_any_order_of_runs(
    fused: list[list[tuple[str, ...]]],
) -> None:
    runs = [covering(steps, f"b{i}") for i, steps in enumerate(fused)]
    found = align(runs)
    covered = [name for row in found.rows for name in row.layers]
    assert len(covered) == len(set(covered))
    assert set(covered) == {name for run in runs for step in run.steps for name in step.layers}
    for row, (run, i) in itertools.product(found.rows, zip(runs, range(9), strict=False)):
        for number, step in enumerate(run.steps):
            within = bool(step.layers) and set(step.layers) <= set(row.layers)
            straddles = set(step.layers) & set(row.layers) and not within
            assert not straddles
            assert (number in row.cells[i].steps) == within
    for row in found.rows:  # none could be split
        links = [set(run.steps[n].layers) for run, c in zip(runs, row.cells) for n in c.steps]  # noqa: B905
        reached = {row.layers[0]}
        for _ in row.layers:
            reached |= {name for link in links if link & reached for name in link}
        assert reached == set(row.layers)
    turned = align(runs[::-1], baseline=len(runs) - 1)
    assert [row.layers for row in turned.rows] == [row.layers for row in found.rows]
    assert [r.cells[::-1] for r in turned.rows] == [r.cells for r in found.rows]


def test_two_fusions_line_up_and_times_are_those_of_the_run() -> None:
    runs = [several(), several("torch", fused=False)]
    found = align(runs)
    assert [row.layers for row in found.rows] == [(CONV, RELU), (GEMM,)]
    assert [row.operators for row in found.rows] == [("Conv", "Relu"), ("Gemm",)]
    assert [cell.steps for cell in found.rows[0].cells] == [(0,), (0, 1)]
    for i, run in enumerate(runs):
        sums = reconcile(run)
        assert found.total.cells[i].ns == sums.total_ns
        assert found.overhead.cells[i].ns == sums.overhead_ns
        assert found.no_layer.cells[i].ns == sums.unattributed_ns


# Ratios


def test_ratios_are_of_the_times_shown_and_intervals_hold_the_truth() -> None:
    found = align([several(), several("torch", 2.0), several("fast", 0.5), several("twin")])
    for row in (*found.rows, found.layer_sum, found.total):
        first = row.cells[0]
        assert first.ratio is first.interval is first.verdict is None
        for cell, truth, verdict in zip(
            row.cells[1:], (2, 0.5, 1), (Verdict.SLOWER, Verdict.FASTER, None), strict=True
        ):
            assert first.ns
            assert cell.ns
            assert cell.interval is not None
            assert cell.ratio == cell.ns / first.ns
            assert cell.interval[0] < cell.ratio < cell.interval[1]
            assert cell.ratio == pytest.approx(truth, rel=0.03)
            assert verdict is None or cell.verdict is verdict
    for cell, truth in zip(found.total.cells[1:], (2, 0.5, 1), strict=True):
        assert cell.interval is not None
        assert cell.interval[0] < truth < cell.interval[1]
    for row in (found.no_layer, found.overhead):
        assert all(cell.ratio is None for cell in row.cells)


def test_a_spread_beyond_all_numbers_gives_no_interval() -> None:
    wild = several("torch")
    assert wild.timings is not None
    latency = wild.timings.latency_ns.copy()
    latency[::2] = 1
    latency[1::2] = 10**18
    processes = np.array(wild.timings.block_process)[wild.timings.latency_block]
    latency[processes % 2 == 0] = 1
    timings = dataclasses.replace(wild.timings, latency_ns=latency)
    found = align([several(), dataclasses.replace(wild, timings=timings)])
    assert json.loads(documents.text(alignment_text.plain(found)))


def test_the_threshold_is_what_matters() -> None:
    runs = [several(), several("torch", 2.0)]
    assert align(runs, threshold=5.0).total.cells[1].verdict is Verdict.SAME
    assert align(runs, threshold=1.0).total.cells[1].verdict is Verdict.UNDECIDED


def test_another_baseline() -> None:
    runs = [several(), several("torch", 2.0)]
    found = align(runs, baseline=1)
    assert found.total.cells[0].verdict is Verdict.FASTER
    assert found.total.cells[1].ratio is None
    with pytest.raises(ValueError, match="no column 2"):
        align(runs, baseline=2)


def test_one_process_on_a_busy_machine_proves_nothing() -> None:
    lone = warned(sample_run("net", scale=5.0, backend="torch"), WarningKind.BUSY_MACHINE)
    found = align([several(), lone])
    assert found.total.cells[1].verdict is Verdict.UNDECIDED
    assert [remark.kind for remark in found.remarks] == [Caveat.NOT_DECIDED]
    quiet = align([several(), sample_run("net", scale=5.0, backend="torch")])
    assert quiet.total.cells[1].verdict is Verdict.SLOWER
    assert [remark.kind for remark in quiet.remarks] == [Caveat.SINGLE_PROCESS]


def test_a_timer_that_inflates_says_nothing_against_another_runtimes() -> None:
    slow = warned(several("torch", 3.0), WarningKind.TIMER_INFLATION)
    found = align([several(), slow])
    assert {row.cells[1].verdict for row in found.rows} == {Verdict.UNDECIDED}
    assert found.total.cells[1].verdict is Verdict.SLOWER
    same = align([several(), warned(several("ort", 3.0), WarningKind.TIMER_INFLATION)])
    assert {row.cells[1].verdict for row in same.rows} == {Verdict.SLOWER}


# What is missing


def test_a_layer_that_one_run_folded_says_so() -> None:
    found = align(three())
    gemm = found.rows[1]
    assert gemm.layers == (GEMM,)
    assert gemm.cells[2] == Cell(missing=((GEMM, Fate.FOLDED),))
    assert gemm.cells[0].missing == ()
    assert found.no_layer.cells[2].ns  # its step is time of no layer
    assert "folded" in shown(alignment_table.table(found, Choice()))


def test_layers_that_no_run_timed_are_listed_with_each_runs_reason() -> None:
    run = several()
    gone = dataclasses.replace(run, steps=(run.steps[0], *[run.steps[2]] * 2))
    other = dataclasses.replace(changed(gone, backend="torch"), folded=(GEMM,))
    found = align([gone, other])
    assert [(layer.name, layer.operator) for layer in found.unplaced] == [(GEMM, "Gemm")]
    assert found.unplaced[0].fates == (Fate.NOT_EXECUTED, Fate.FOLDED)
    assert "Layers in no row" in shown(alignment_table.table(found, Choice()))


def test_a_run_of_one_step_is_in_the_sums_and_bounds_no_block() -> None:
    compiled = of_one_step(changed(several("torch"), provider="compile"))
    found = align([several(), compiled])
    assert [row.layers for row in found.rows] == [(CONV, RELU), (GEMM,)]
    column = found.columns[1]
    assert column.whole
    assert found.rows[0].cells[1].ns is None
    assert found.rows[0].cells[1].missing == ((CONV, Fate.UNTOLD), (RELU, Fate.UNTOLD))
    assert found.layer_sum.cells[1].ns
    assert found.layer_sum.cells[1].ratio
    assert [remark.kind for remark in found.remarks] == [Caveat.ONE_STEP]


def test_averages_of_another_program_have_ratios_without_intervals() -> None:
    run = several("tensorrt", 2.0)
    run = dataclasses.replace(run, origin=Origin("trtexec", "IProfiler", averaged=True))
    found = align([several(), run])
    cell = found.rows[0].cells[1]
    assert cell.ratio == pytest.approx(2.0, rel=0.05)
    assert (cell.interval, cell.verdict) == (None, Verdict.UNDECIDED)
    assert found.total.cells[1].verdict is Verdict.SLOWER
    assert [remark.kind for remark in found.remarks] == [Caveat.AVERAGED]
    assert "imported from trtexec" in shown(alignment_table.table(found, Choice()))


def test_runs_of_one_step_alone_are_a_block() -> None:
    runs = [of_one_step(several()), of_one_step(several("torch"))]
    assert [row.layers for row in align(runs).rows] == [(CONV, RELU, GEMM)]


def test_a_run_that_was_not_traced_has_a_median_alone() -> None:
    found = align([several(), untraced(several("torch", 2.0))])
    assert found.total.cells[1].verdict is Verdict.SLOWER
    assert found.overhead.cells[1].ns is None
    assert found.layer_sum.cells[1].ns is None
    assert [remark.kind for remark in found.remarks] == [Caveat.NO_STEP_TIMES]
    assert shown(alignment_table.table(found, Choice()))


def test_steps_of_unknown_layers_are_aligned_all_the_same() -> None:
    ghost = Step("ghost", "Op", "CPU", ("nowhere",), Confidence.EXACT)
    run = several()
    odd = dataclasses.replace(run, steps=(run.steps[0], ghost, run.steps[2]))
    found = align([odd, several("torch")])
    row = found.rows[-1]
    assert (row.layers, row.operators) == (("nowhere",), ("",))
    assert row.cells[1].missing == (("nowhere", Fate.ABSENT),)


def test_one_huge_step_is_told_of() -> None:
    chain = tuple("abcdefgh")
    runs = [covering([(*chain, CONV), (RELU,)], "myelin"), covering([(n,) for n in chain], "ort")]
    assert Caveat.COARSE in {remark.kind for remark in align(runs).remarks}


def test_runs_without_times_are_refused() -> None:
    failed = dataclasses.replace(several(), timings=None, failure="out of memory")
    with pytest.raises(StoreError, match="out of memory"):
        align([several(), failed])


def test_medians_of_alignments_are_whole_nanoseconds() -> None:
    found: Alignment = align([several(), several("torch")])
    assert found.columns[0].run.timings is not None
    assert found.columns[0].total_ns == median_ns(found.columns[0].run.timings.latency_ns)
    sums = (found.layer_sum, found.no_layer, found.interruptions, found.overhead)
    share = sum(row.cells[0].share or 0 for row in sums)
    assert math.isclose(share, 1.0)
