"""Rows that add up."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from support import strategies

from onnxprof.analysis.reconcile import Doubt, Reconciliation, Status, milliseconds, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.errors import StoreError
from onnxprof.publish.text.sentences import doubt_text
from onnxprof.records.layer import Layer, LayerKind, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.testing import sample_run

CONV, RELU, GEMM = "/block/conv_0", "/block/relu_1", "/block/gemm_2"


def with_steps(*covered: tuple[str, ...], run: Run | None = None, traced: int = 3) -> Run:
    """A run whose step number i takes 10**i ms, in every inference."""
    run = run or sample_run()
    assert run.timings
    steps = tuple(
        Step(f"s{i}", f"Op{i}", "CPU", layers, Confidence.EXACT) for i, layers in enumerate(covered)
    )
    step_ns = np.repeat(10 ** np.arange(6, 6 + len(steps)), traced).reshape(len(steps), traced)
    timings = dataclasses.replace(run.timings, step_ns=step_ns.astype(np.int64))
    return dataclasses.replace(run, steps=steps, timings=timings)


def told(run: Run) -> dict[str, tuple[str, int | None, str]]:
    return {
        row.name: (row.status.value, row.median_ns, row.step.name if row.step else "")
        for row in reconcile(run).rows
    }


def column(sums: Reconciliation) -> int:
    return sum(row.median_ns or 0 for row in sums.rows[:-1])


@given(strategies.runs(failures=False, least=1))
def test_rows_add_up_and_every_step_is_there_once(run: Run) -> None:
    sums = reconcile(run)
    assert column(sums) == sums.total_ns == sums.rows[-1].median_ns
    closing = ["(interruptions)", "(overhead)", "(total)"]
    assert [row.name for row in sums.rows[-3:]] == closing
    assert tuple(row.layer for row in sums.rows if row.layer) == run.table.layers
    here = Counter(
        name
        for row in sums.rows
        if row.status in (Status.TIMED, Status.UNATTRIBUTED) and row.step
        for name in ([row.step.name] if row.step in run.steps else row.step.name.split(" + "))
    )
    if not any(" + " in step.name for step in run.steps):
        assert here == Counter(step.name for step in run.steps)


def test_a_fused_step_stands_on_its_first_layer_in_table_order() -> None:
    rows = told(with_steps((RELU, CONV), (GEMM,), ()))
    assert rows[CONV] == ("timed", 10**6, "s0")
    assert rows[RELU] == ("fused", None, "s0")
    assert rows[GEMM] == ("timed", 10**7, "s1")
    assert rows["s2"] == ("unattributed", 10**8, "s2")
    assert rows["x"] == ("input", None, "")


def test_a_layer_that_two_steps_claim_belongs_to_the_first() -> None:
    rows = told(with_steps((CONV, RELU), (RELU, GEMM)))
    assert rows[RELU] == ("fused", None, "s0")
    assert rows[GEMM] == ("timed", 10**7, "s1")


def test_steps_of_one_layer_are_added_up_inference_by_inference() -> None:
    run = with_steps((CONV,), (CONV,), (RELU, GEMM))
    assert run.timings
    run.timings.step_ns[:2] = [[1, 2, 9], [9, 1, 0]]
    sums = reconcile(run)
    row = next(row for row in sums.rows if row.name == CONV)
    assert row.step is not None
    assert row.step.name == "s0 + s1"
    assert row.median_ns == int(divided(run).whole_ns[:2].sum())
    assert row.doubt == Doubt(3, pytest.approx(row.p95_ns / row.p5_ns, rel=0.2))
    assert sums.unattributed_ns == 0
    assert column(sums) == sums.total_ns


def test_a_step_of_layers_that_are_not_in_the_table_belongs_to_none() -> None:
    run = with_steps((CONV,), ("elsewhere",), ("elsewhere", GEMM), ("x",))
    rows = told(run)
    assert rows["s1"][0] == rows["s3"][0] == "unattributed"
    assert rows[GEMM] == ("timed", 10**8, "s2")
    assert reconcile(run).unattributed_ns == 10**7 + 10**9


def test_layers_of_a_subgraph_are_rows_like_any_other() -> None:
    run = sample_run()
    inner = Layer("if/then", LayerKind.NODE, "Relu", "Relu", parent=RELU)
    table = dataclasses.replace(run.table, layers=(*run.table.layers, inner))
    run = with_steps((CONV,), (RELU,), ("if/then",), run=dataclasses.replace(run, table=table))
    assert told(run)["if/then"] == ("timed", 10**8, "s2")
    outer = with_steps((CONV,), ("if/then", RELU), run=run)
    assert told(outer)[RELU] == ("timed", 10**7, "s1")
    assert told(outer)["if/then"] == ("fused", None, "s1")


def test_what_became_of_layers_without_a_step() -> None:
    run = sample_run()
    constant = Layer("c", LayerKind.NODE, "Constant", "Constant")
    own = dataclasses.replace(constant, name="d", domain="my.ops")
    table = dataclasses.replace(run.table, layers=(*run.table.layers, constant, own))
    run = dataclasses.replace(with_steps((CONV,), run=run), table=table, folded=(RELU, CONV))
    rows = told(run)
    assert rows["c"][0] == "constant"
    assert rows["d"][0] == rows[GEMM][0] == "not executed"
    assert rows[RELU][0] == "folded"
    assert rows[CONV][0] == "timed"  # it ran all the same


def test_a_repeated_layer_name_is_timed_once() -> None:
    run = sample_run()
    twin = Layer(CONV, LayerKind.NODE, "Conv", "Conv", outputs=(Tensor("z"),))
    table = dataclasses.replace(run.table, layers=(*run.table.layers, twin))
    sums = reconcile(with_steps((CONV,), run=dataclasses.replace(run, table=table)))
    assert [row.status.value for row in sums.rows if row.name == CONV] == ["timed", "not executed"]
    assert column(sums) == sums.total_ns


def test_steps_without_samples_have_no_time() -> None:
    sums = reconcile(with_steps((CONV,), (), traced=0))
    assert [row.median_ns for row in sums.rows if row.step] == [None, None]
    assert sums.overhead_ns == sums.total_ns


def test_runs_without_times_or_with_contradicting_ones_are_refused() -> None:
    run = sample_run()
    assert run.timings
    none = np.zeros(0, np.int64)
    failed = dataclasses.replace(run, timings=None, failure="out of memory")
    with pytest.raises(StoreError, match="out of memory"):
        reconcile(failed)
    empty = dataclasses.replace(run.timings, latency_ns=none)
    with pytest.raises(StoreError, match="no un-profiled samples"):
        reconcile(dataclasses.replace(run, timings=empty))
    with pytest.raises(StoreError, match=r"2 steps have times of shape \[3, 50\]"):
        reconcile(dataclasses.replace(run, steps=run.steps[:2]))


def test_figures_beside_the_rows() -> None:
    sums = reconcile(sample_run())
    assert sums.overhead_ns == sums.total_ns - sums.layer_sum_ns > 0
    assert sums.inflation == pytest.approx(sums.traced_ns / sums.total_ns)
    assert 0 < sums.half_width < 0.02


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0.000000"), (1, "0.000001"), (-45_910, "-0.045910"), (10**15 + 1, "1000000000.000001")],
)
def test_milliseconds_are_exact(ns: int, text: str) -> None:
    assert milliseconds(ns) == text


def test_a_layer_that_a_refuted_step_may_have_computed_is_not_called_unexecuted() -> None:
    """Whose work a refuted step did is not known, so no layer without a step is ruled out."""
    run = sample_run()
    lost = dataclasses.replace(
        run.steps[0], layers=(), verdict="refuted: it does not read x (conv1)"
    )
    untied = {row.name for row in reconcile(run).rows if row.status is Status.NOT_EXECUTED}
    found = reconcile(dataclasses.replace(run, steps=(lost, *run.steps[1:])))
    unknown = {row.name for row in found.rows if row.status is Status.UNKNOWN}
    assert unknown == untied | set(run.steps[0].layers)
    assert Status.NOT_EXECUTED not in {row.status for row in found.rows}
    assert (
        sum(r.median_ns or 0 for r in found.rows if r.status is not Status.TOTAL) == found.total_ns
    )


def test_a_row_of_no_time_says_that_the_timer_cannot_tell_it_from_none() -> None:
    """A step that ran took some time: 0 is what the clock shows of it."""
    run = with_steps((CONV,), (RELU,), (GEMM,))
    assert run.timings
    step_ns = np.array(run.timings.step_ns)
    step_ns[1] = 0
    silent = dataclasses.replace(run, timings=dataclasses.replace(run.timings, step_ns=step_ns))
    rows = {row.name: row for row in reconcile(silent).rows}
    assert rows[RELU].median_ns == 0
    assert doubt_text(rows[RELU].doubt or Doubt(0, 1)) == "3 samples, too short to be told from 0"
    assert rows[CONV].doubt is None
