"""Runs side by side: a partition that adds up, ratios, what is missing, batch by batch."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from support import strategies as own
from support.golden import check_golden

from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.align import align
from onnxprof.compare.over_batches import over_batches, speedup, speedup_interval
from onnxprof.compare.quantised.counterpart import strays
from onnxprof.compare.systems import labels, newest, refuse_unlike
from onnxprof.compare.table import Alignment, Cell, Fate, Row
from onnxprof.compare.verdict import Caveat, Verdict
from onnxprof.errors import StoreError, UsageError
from onnxprof.publish.comparing import alignment as shared
from onnxprof.publish.comparing import alignment_table, alignment_text
from onnxprof.publish.comparing import over_batches as alignment_batches
from onnxprof.publish.comparing.alignment import Choice, Sort
from onnxprof.publish.json import documents
from onnxprof.publish.text.safe import shortened, telling_cut
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Origin, Run
from onnxprof.records.step import Confidence, Step, Timer
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

CONV, RELU, GEMM = (layer.name for layer in sample_run().table.nodes)


def several(backend: str = "ort", scale: float = 1.0, batch: int = 1, fused: bool = True) -> Run:
    """Ten scripted processes."""
    seed = sum(map(ord, backend)) * 100 + batch
    each = [
        sample_run("net", batch, backend=backend, scale=scale, fused=fused, seed=seed + i)
        for i in range(10)
    ]
    return merge(each)


def changed(run: Run, **fields: object) -> Run:
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **fields))


def warned(run: Run, *kinds: WarningKind) -> Run:
    return dataclasses.replace(run, warnings=tuple(RunWarning(kind, 0.5) for kind in kinds))


def judged(run: Run, passed: bool) -> Run:
    return dataclasses.replace(run, parity=Parity("ort", (OutputParity("y", passed=passed),)))


def of_one_step(run: Run) -> Run:
    """As torch.compile runs it."""
    assert run.timings is not None
    whole = run.timings.step_ns.sum(axis=0, keepdims=True)
    step = Step("compiled", "Compiled", "torch", (CONV, RELU, GEMM), Confidence.EXACT)
    timings = dataclasses.replace(run.timings, step_ns=whole)
    return dataclasses.replace(run, steps=(step,), timings=timings)


def untraced(run: Run) -> Run:
    assert run.timings is not None
    none = np.zeros((0, 0), np.int64)
    timings = dataclasses.replace(run.timings, step_ns=none, traced_ns=none[0:0].reshape(-1))
    return dataclasses.replace(run, steps=(), timings=timings)


def shown(part: RenderableType, width: int = 80) -> str:
    sink = io.StringIO()
    Console(file=sink, width=width, highlight=False).print(part, markup=False)
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines()) + "\n"


def three() -> list[Run]:
    """Two fusions, one run with wrong outputs, a layer folded, a tie inferred."""
    ort, torch = several(), several("torch", 2.0, fused=False)
    openvino = judged(several("openvino", 0.5), passed=False)
    inferred = dataclasses.replace(ort.steps[0], confidence=Confidence.INFERRED)
    steps = (ort.steps[0], dataclasses.replace(ort.steps[1], layers=()), ort.steps[2])
    return [
        judged(dataclasses.replace(ort, steps=(inferred, *ort.steps[1:])), passed=True),
        torch,
        dataclasses.replace(openvino, steps=steps, folded=(GEMM,)),
    ]


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


# Which runs belong together


def test_unlike_runs_are_refused_by_name() -> None:
    run = several()
    refused = {
        "1 run to align": [run],
        "no runs to align": [],
        "batch differs: 1, 8": [run, several(batch=8)],
        "axes differ: none, height=320": [run, changed(run, dims=(("height", 320),))],
        "inputs differ: generated, abcabcabcabc": [run, changed(run, inputs_sha256="abc" * 20)],
        "out of memory": [run, dataclasses.replace(run, timings=None, failure="out of memory")],
    }
    for words, runs in refused.items():
        with pytest.raises(UsageError, match=words):
            refuse_unlike(runs)
    refuse_unlike([run, several(batch=8)], over="batch")
    refuse_unlike([run, changed(run, inputs_sha256="abc" * 20)], force=True)


def test_another_file_with_the_same_layers_passes_with_a_caveat() -> None:
    other = changed(several("torch"), model_sha256="cd" * 32)
    refuse_unlike([several(), other])
    kinds = [remark.kind for remark in align([several(), other]).remarks]
    assert kinds == [Caveat.MODELS_DIFFER]
    fewer = dataclasses.replace(
        other, table=dataclasses.replace(other.table, layers=other.table.layers[:-1])
    )
    with pytest.raises(UsageError, match=f"1 layers are in one .*, such as '{GEMM}'"):
        refuse_unlike([several(), fewer])
    refuse_unlike([several(), fewer], force=True)


def test_labels_are_as_long_as_they_must_be() -> None:
    run = several()
    one = changed(run, threads=1)
    assert labels([run, several("torch")]) == ("ort", "torch")
    assert labels([run, one, several("torch")]) == ("ort 2 threads", "ort 1 thread", "torch")
    assert labels([run, changed(run, provider="cuda")]) == ("ort cpu", "ort cuda")
    assert labels([run, run, run]) == ("ort", "ort #2", "ort #3")


@given(st.lists(own.requests, min_size=1, max_size=6))
def test_labels_tell_any_runs_apart(requests: list[object]) -> None:
    runs = [dataclasses.replace(sample_run(), request=request) for request in requests]
    found = labels(runs)
    assert len(set(found)) == len(runs) or any(" #" in r.request.backend for r in runs)


def test_the_newest_of_each_system() -> None:
    old = sample_run(created="2026-01-01T00:00:00Z")
    new = sample_run(created="2026-01-02T00:00:00Z")
    other = sample_run(backend="torch", created="2025-01-01T00:00:00Z")
    assert newest([new, other, old]) == [new, other]
    assert len(newest([new, sample_run(batch=8)])) == 2


# Batch by batch


def test_speed_up_batch_by_batch() -> None:
    runs = [several(batch=b) for b in (1, 8)] + [several("torch", 0.5, batch=b) for b in (1, 8)]
    found = over_batches([*runs, several(batch=32)])
    assert (found.systems, found.batches, found.alone) == (("ort", "torch"), (1, 8), (32,))
    for batch, points in zip(found.batches, found.points, strict=True):
        base, fast = points
        assert base is not None
        assert fast is not None
        assert base.samples_per_s == pytest.approx(batch * 1e9 / base.column.total_ns)
        faster, between = speedup(fast.cell), speedup_interval(fast.cell)
        assert faster is not None
        assert between is not None
        assert faster == pytest.approx(fast.inferences_per_s / base.inferences_per_s - 1)
        assert between[0] < faster < between[1]
        assert between[0] < 1.0 < between[1]
        assert fast.cell.verdict is Verdict.FASTER
    assert [row.layers for row in found.rows] == [(CONV, RELU), (GEMM,)]


def test_blocks_are_the_same_at_every_batch() -> None:
    runs = [several(fused=False), several("torch", fused=False)]
    runs += [several(batch=8), several("torch", batch=8, fused=False)]
    found = over_batches(runs)
    for alignment in found.alignments:
        assert [row.layers for row in alignment.rows] == [(CONV, RELU), (GEMM,)]


def test_a_system_may_lack_a_batch_but_not_the_baseline() -> None:
    runs = [
        several(),
        several("torch"),
        several("fast"),
        several(batch=8),
        several("torch", batch=8),
    ]
    found = over_batches(runs)
    assert [point is None for point in found.points[1]] == [False, False, True]
    assert found.rows[0].cells[1][2] is None
    assert over_batches(runs, baseline=2).alone == (8,)
    with pytest.raises(UsageError, match="no batch size was measured"):
        over_batches([several(), several("torch", batch=8)])
    with pytest.raises(UsageError, match="two runs of ort at batch 1"):
        over_batches([several(), several(), several("torch")])
    with pytest.raises(ValueError, match="no system 3"):
        over_batches(runs, baseline=3)


# What is printed


def test_golden_files() -> None:
    found = align(three())
    for width in (80, 140):
        check_golden(f"align_{width}.txt", shown(alignment_table.table(found, Choice()), width))
    check_golden("align.md", alignment_text.markdown(found, Choice(limit=1)))
    check_golden("align.csv", alignment_text.to_csv(found))
    runs = [several(name, scale, b) for b in (1, 8) for name, scale in (("ort", 1), ("torch", 0.5))]
    batches = over_batches(runs)
    check_golden("align_batches.txt", shown(alignment_batches.table(batches, Choice())))
    check_golden("align_batches.md", alignment_batches.markdown(batches, Choice(limit=1)))
    check_golden("align_batches.csv", alignment_batches.to_csv(batches))


def test_csv_adds_up_exactly() -> None:
    found = align(three())
    rows = list(csv.DictReader(io.StringIO(alignment_text.to_csv(found))))
    for column in found.columns:
        ns = {row["row"]: 0 for row in rows}
        for row in rows:
            ns[row["row"]] += round(float(row[f"{column.label} ms"] or 0) * 1e6)
        parts = ("block", "no layer", "interruptions", "overhead")
        assert sum(ns[part] for part in parts) == ns["total"] == column.total_ns


def test_json_has_everything() -> None:
    found = align(three())
    told = json.loads(documents.text(alignment_text.plain(found)))
    assert [column["label"] for column in told["columns"]] == ["ort", "torch", "openvino"]
    assert [column["parity"] for column in told["columns"]] == [True, None, False]
    assert told["blocks"][0]["cells"][1]["steps"] == [f"{CONV}_step", f"{RELU}_step"]
    assert told["blocks"][1]["cells"][2]["missing"] == {GEMM: "folded"}
    assert told["total"]["cells"][0]["ns"] == found.columns[0].total_ns
    batches = over_batches([several(), several("torch", 0.5)])
    plain = alignment_batches.plain_batches(batches)
    point = json.loads(documents.text(plain))["batches"][0]["points"][1]
    assert point["speedup"] == pytest.approx(1.0, abs=0.1)
    assert point["verdict"] == "faster"


def test_what_a_terminal_shows_adds_up() -> None:
    found = align(three())
    for choice in (Choice(), Choice(limit=1)):
        lines = list(alignment_table._lines(found, shared.pick(found, choice)))
        for i in range(3):
            blocks = [line.figures[i] or 0 for line in lines[:-5]]
            layers, *parts, total = (line.figures[i] for line in lines[-5:])
            assert sum(blocks) == layers
            assert len(parts) == 3
            assert layers + sum(parts) == total


@pytest.mark.parametrize("count", [2, 3, 6, 14])
@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_any_number_of_runs_fits_any_width(count: int, width: int) -> None:
    deep = "model/encoder/layers/31/attention/self/query/projection/weights/MatMul"
    runs = []
    for i in range(count):
        run = sample_run("net", backend=f"backend{i}", scale=1.0 + i)
        steps = (dataclasses.replace(run.steps[0], layers=(deep, f"{deep}/Add")), *run.steps[1:])
        runs.append(dataclasses.replace(run, steps=steps))
    text = shown(alignment_table.table(align(runs), Choice()), width)
    assert max(map(len, text.splitlines())) <= width
    table = text[text.index("───") :]
    assert "MatMul" in table or "+1" in table
    for i in range(count):
        assert f"backend{i}" in text
    if count > 1:
        assert f"{align(runs).total.cells[1].ratio:.2f}" in table


def test_order_and_choice() -> None:
    def row(name: str, *ns: int) -> Row:
        cells = [Cell(n, n / 100, n / ns[0] if i else None) for i, n in enumerate(ns)]
        return Row(found.rows[0].kind, tuple(cells), (name,), ("Op",))

    found = align([several(), several("torch")])
    rows = (row("a", 10, 11), row("b", 1, 6), row("c", 40, 20), row("d", 2, 2))
    found = dataclasses.replace(found, rows=rows)

    def order(choice: Choice) -> str:
        return "".join(row.layers[0] for row in shared.pick(found, choice).shown)

    assert order(Choice()) == "abcd"
    assert order(Choice(Sort.TIME)) == "cadb"
    assert order(Choice(Sort.RATIO)) == "badc"
    assert order(Choice(Sort.GAP)) == "cbad"
    assert order(Choice(limit=2)) == "ac"
    assert order(Choice(Sort.RATIO, limit=1)) == "b"
    assert order(Choice(min_share=0.06)) == "abc"
    picked = shared.pick(found, Choice(limit=2))
    assert shared.summed(picked.rest).cells[1].ns == 8


@pytest.mark.parametrize(
    ("layers", "longest", "text"),
    [
        (("conv1",), 20, "conv1"),
        (("conv1", "bn", "relu"), 20, "conv1 … relu"),
        (("/l1/0/conv", "/l1/0/relu"), 16, "/l1/0/… +1"),
        (("/l1/0/conv", "/l1/0/relu"), 17, "/l1/0/conv … relu"),
        (("a" * 30, "b"), 12, "aa…aaaaaa +1"),
        (("\x1b[31mred",), 40, "\\x1b[31mred"),
    ],
)
def test_names_of_blocks(layers: tuple[str, ...], longest: int, text: str) -> None:
    made = shared.layers_text(layers, longest)
    assert len(made) <= longest
    if text != "/l1/0/… +1":
        assert made == text


@pytest.mark.parametrize(
    ("operators", "longest", "text"),
    [
        (("Conv", "BatchNormalization", "Relu"), 40, "Conv+BatchNormalization+Relu"),
        (("Conv", "BatchNormalization", "Relu"), 20, "Conv+…+Relu"),
        (("Conv", "BatchNormalization"), 12, "Conv+…"),
        (("BatchNormalization",), 12, "Bat…lization"),
        (("Mul", "Mul", "Mul", "Add"), 20, "Mul×3+Add"),
        (("", "Add"), 20, "Add"),
        ((), 20, ""),
    ],
)
def test_chains_of_operators(operators: tuple[str, ...], longest: int, text: str) -> None:
    assert shared.operators_text(operators, longest) == text


@given(st.lists(own.text, min_size=1, max_size=5), st.integers(8, 60))
def test_texts_never_exceed_their_room(names: list[str], longest: int) -> None:
    assert len(shared.layers_text(names, longest)) <= longest
    assert len(shared.operators_text(names, longest)) <= longest


def test_ratios_in_print() -> None:
    told = [shared.number(ratio) for ratio in (0.0123, 0.5, 1.0, 12.34, 341.2, 1e9)]
    assert told == ["0.012", "0.50", "1.00", "12.3", "341", ">9999"]


def test_names_from_a_model_do_no_harm() -> None:
    run = several()
    evil = "<b>|@all\n\x1b[31m"
    steps = (dataclasses.replace(run.steps[0], layers=(evil,)), *run.steps[1:])
    found = align([dataclasses.replace(run, steps=steps), changed(run, backend=evil)])
    for text in (
        shown(alignment_table.table(found, Choice())),
        alignment_text.markdown(found, Choice()),
        shown(alignment_batches.table(over_batches([c.run for c in found.columns]), Choice())),
    ):
        assert "\x1b" not in text
    assert "<b>" not in alignment_text.markdown(found, Choice())
    assert "@all" not in alignment_text.markdown(found, Choice())


def test_wrong_outputs_are_marked_everywhere() -> None:
    found = align(three())
    text = shown(alignment_table.table(found, Choice()))
    assert "outputs ✗" in text
    assert "✗openvino" in text
    assert "~~" in alignment_text.markdown(found, Choice())


def test_medians_of_alignments_are_whole_nanoseconds() -> None:
    found: Alignment = align([several(), several("torch")])
    assert found.columns[0].run.timings is not None
    assert found.columns[0].total_ns == median_ns(found.columns[0].run.timings.latency_ns)
    sums = (found.layer_sum, found.no_layer, found.interruptions, found.overhead)
    share = sum(row.cells[0].share or 0 for row in sums)
    assert math.isclose(share, 1.0)


@pytest.mark.parametrize(
    "pattern", ["blocks/{}/expand/conv/Conv", "model/{}", "a-very-long-network/layer/conv_{}_Conv"]
)
def test_names_that_are_cut_stay_apart(pattern: str) -> None:
    named = [(pattern.format(i), f"{i}/BatchNormalization", "Relu") for i in range(9)]
    for longest in (20, 24, 30):
        told = shared.layer_names(named, longest)
        assert len(set(told)) == 9
        assert max(map(len, told)) <= longest


def test_a_cut_is_the_usual_one_where_that_tells_names_apart() -> None:
    names = [("short", 9), ("layers/one/conv", 9), ("layers/two/bias", 9)]
    assert telling_cut(names) is shortened
    alike = [(f"blocks/{i}/expand/conv/Conv", 14) for i in range(5)]
    assert len({telling_cut(alike)(*each) for each in alike}) == 5
