"""Verdicts, blocks that line up, runs that belong together; and the bars that hold."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import scripted

from onnxprof.analysis.processes import merge
from onnxprof.compare.blocks import finest_blocks
from onnxprof.compare.changes import Pair, compare
from onnxprof.compare.pairing import pair
from onnxprof.compare.quantised.counterpart import strays
from onnxprof.compare.replicates import step_replicates
from onnxprof.compare.systems import Difference
from onnxprof.compare.verdict import Caveat, Verdict
from onnxprof.errors import StoreError
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import CORES, Run
from onnxprof.records.step import Confidence, Step, Timer
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

CONV, RELU, GEMM = "/block/conv_0", "/block/relu_1", "/block/gemm_2"


def covering(*covered: tuple[str, ...]) -> Run:
    """A run whose steps cover these layers."""
    run = sample_run()
    assert run.timings
    steps = tuple(
        Step(f"s{i}", "Op", "CPU", layers, Confidence.EXACT) for i, layers in enumerate(covered)
    )
    step_ns = np.full((len(steps), 50), 1000)
    timings = dataclasses.replace(run.timings, step_ns=step_ns)
    return dataclasses.replace(run, steps=steps, timings=timings)


def only(a: Run, b: Run) -> Pair:
    return compare([([a], [b])], 0.02).pairs[0]


names = st.sampled_from([CONV, RELU, GEMM, *"abcdefgh"])
fusions = st.lists(st.lists(names, max_size=3, unique=True).map(tuple), max_size=6)


@given(st.lists(fusions, min_size=1, max_size=3))
def test_blocks_are_the_finest_partition(fused: list[list[tuple[str, ...]]]) -> None:
    runs = [covering(*steps) for steps in fused]
    blocks = finest_blocks(runs)
    layers = [name for block in blocks for name in block.layers]
    assert len(layers) == len(set(layers))
    assert set(layers) == {name for run in runs for step in run.steps for name in step.layers}
    for i, run in enumerate(runs):
        held = [number for block in blocks for number in block.steps[i]]
        assert sorted([*held, *strays(run)]) == list(range(len(run.steps)))
        for block, step in itertools.product(blocks, range(len(run.steps))):
            inside = set(run.steps[step].layers) <= set(block.layers)
            assert (step in block.steps[i]) == (inside and bool(run.steps[step].layers))
    for block in blocks:  # whatever is split off is straddled by a step
        links = [
            set(run.steps[s].layers)
            for run, numbers in zip(runs, block.steps, strict=True)
            for s in numbers
        ]
        reached = {block.layers[0]}
        for _ in block.layers:
            reached |= {name for link in links if link & reached for name in link}
        assert reached == set(block.layers)


def test_two_fusions_line_up() -> None:
    found = only(sample_run(fused=True), sample_run(fused=False))
    assert [row.layers for row in found.rows] == [(CONV, RELU), (GEMM,), ()]
    assert found.rows[0].name == CONV
    assert found.rows[2].name == "(no layer)"


def test_times_of_one_side_are_listed_as_such() -> None:
    found = only(covering((CONV,), (RELU,)), covering((CONV,), (GEMM,), ("new",), ()))
    assert {row.name: row.verdict for row in found.rows} == {
        CONV: Verdict.UNDECIDED,
        RELU: Verdict.ONLY_A,
        GEMM: Verdict.ONLY_B,
        "new": Verdict.ONLY_B,
        "(no layer)": Verdict.ONLY_B,
    }
    relu = found.rows[1]
    assert (relu.b_ns, relu.ratio) == (None, None)


def test_rows_and_overhead_add_up_to_the_latency() -> None:
    found = only(sample_run(seed=1), sample_run(seed=2))
    a, b = found.overhead_ns
    assert a + sum(row.a_ns or 0 for row in found.rows) == pytest.approx(found.latency.a_ns)
    assert b + sum(row.b_ns or 0 for row in found.rows) == pytest.approx(found.latency.b_ns)


def test_a_large_change_of_one_process_is_told_unless_the_machine_was_busy() -> None:
    a, b = sample_run(seed=1), sample_run(seed=2, scale=1.5)
    found = only(a, b)
    assert found.caveats == (Caveat.SINGLE_PROCESS,)
    assert found.latency.verdict is Verdict.SLOWER
    assert only(b, a).latency.verdict is Verdict.FASTER
    busy = dataclasses.replace(b, warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.0),))
    found = only(a, busy)
    assert {row.verdict for row in (found.latency, *found.rows)} == {Verdict.UNDECIDED}


def prefixed(run: Run, cuts: tuple[int, ...]) -> Run:
    """The run with prefixes that take 0.1 ms, and 0.4 ms more for each step."""
    assert run.timings
    rounds = 1e5 + 4e5 * np.array(cuts)[:, None] + np.zeros(24)
    timings = dataclasses.replace(
        run.timings, prefix_ns=rounds.astype(np.int64), prefix_steps=cuts, timer=Timer.PREFIX
    )
    steps = tuple(dataclasses.replace(step, position=i) for i, step in enumerate(run.steps))
    request = dataclasses.replace(run.request, timer="auto")
    return dataclasses.replace(run, request=request, steps=steps, timings=timings)


def test_prefixes_are_compared_at_the_cuts_of_both() -> None:
    run = sample_run()
    found = only(prefixed(run, (0, 1, 3)), prefixed(run, (0, 2, 3)))
    for row in found.rows:  # cut apart they differ, cut alike they do not
        assert row.ratio == pytest.approx((row.b_ns or 0) / (row.a_ns or 1))
        assert row.interval is not None
        assert row.interval[0] < 1 < row.interval[1]
        assert row.verdict is Verdict.UNDECIDED


def test_layers_under_unlike_timers_are_undecided_where_one_inflates() -> None:
    inflated = dataclasses.replace(
        sample_run(scale=2), warnings=(RunWarning(WarningKind.TIMER_INFLATION, 1.5),)
    )
    found = only(prefixed(sample_run(), (0, 1, 3)), inflated)
    assert found.latency.verdict is Verdict.SLOWER
    assert {row.verdict for row in found.rows} == {Verdict.UNDECIDED}


def test_wrong_outputs_are_told() -> None:
    wrong = Parity("reference", (OutputParity("y", passed=False),))
    found = only(sample_run(seed=1), dataclasses.replace(sample_run(seed=2), parity=wrong))
    assert Caveat.WRONG_OUTPUTS in found.caveats


def test_the_same_samples_of_many_processes_are_the_same() -> None:
    run = merge([sample_run(seed=seed) for seed in range(10)])
    found = only(run, dataclasses.replace(run, created="2026-02-02T00:00:00Z"))
    assert {row.verdict for row in (found.latency, *found.rows)} == {Verdict.SAME}
    assert not compare([([run], [run])], 0.02).regressed


def test_runs_of_one_side_count_as_processes() -> None:
    apart = compare([([sample_run(seed=s) for s in range(4)], [sample_run(seed=9)])], 0.02)
    assert apart.pairs[0].processes == (4, 1)


def test_a_run_without_times_is_an_error() -> None:
    lost = dataclasses.replace(sample_run(), timings=None, failure="killed")
    with pytest.raises(StoreError, match="killed"):
        only(sample_run(), lost)


def test_what_differs_is_told() -> None:
    run = sample_run()
    other = dataclasses.replace(
        run,
        request=dataclasses.replace(run.request, model_sha256="cd" * 32, batch=8, threads=4),
        environment=(("os", "Linux 6.1"), ("onnxprof", "0.2.0"), ("load_average", "3")),
    )
    told = {fact.what: (fact.a, fact.b) for fact in only(run, other).differences}
    assert told == {
        "model digest": ("ab" * 6, "cd" * 6),
        "batch": ("1", "8"),
        "threads": ("2", "4"),
        "python": ("3.11.7", "none"),
        "onnxprof": ("0.1.0", "0.2.0"),
    }


@pytest.mark.parametrize(
    ("theirs", "threads", "told"),
    [
        ("0-1, shared with onnxprof", 2, True),
        ("2-3; onnxprof on 0", 2, False),
        (None, 2, False),  # a run of before
        ("0, shared with onnxprof", 1, False),  # which other threads bring along
    ],
)
def test_cores_are_told_where_both_runs_have_them(
    theirs: str | None, threads: int, *, told: bool
) -> None:
    ours = dataclasses.replace(sample_run(), environment=((CORES, "2-3; onnxprof on 0"),))
    other = dataclasses.replace(
        ours,
        request=dataclasses.replace(ours.request, threads=threads),
        environment=((CORES, theirs),) if theirs else (),
    )
    found = {each.what for each in only(ours, other).differences}
    assert (CORES in found) is told


@pytest.mark.parametrize(
    ("what", "a", "b", "sentence"),
    [
        ("timer", "trace", "prefix", "timer differs: trace in A, prefix in B"),
        ("threads", "1", "2", "threads differ: 1 in A, 2 in B"),
        (
            CORES,
            "0; onnxprof on 1",
            "1, shared with onnxprof",
            "cores differ: 0 (onnxprof on 1) in A, 1 (shared with onnxprof) in B",
        ),
        (
            CORES,
            "1-3,5-7; onnxprof on 0,4",
            "0-3",
            "cores differ: 1-3,5-7 (onnxprof on 0,4) in A, 0-3 in B",
        ),
        ("kernel", "6.1; a, b", "none", "kernel differs: 6.1; a, b in A, none in B"),
    ],
)
def test_a_difference_is_one_sentence(what: str, a: str, b: str, sentence: str) -> None:
    assert Difference(what, a, b).sentence() == sentence


def test_a_difference_has_other_words_for_its_sides() -> None:
    told = Difference("inputs", "x", "y").sentence("in the old", "in the new version")
    assert told == "inputs differ: x in the old, y in the new version"


def test_replicates_are_blocks_of_processes() -> None:
    found = step_replicates(scripted.several((1000, 2000), 1, 3))
    assert found.times_ns.shape == (2, found.process.size)
    assert set(found.process) == {0, 1, 2}
    without = step_replicates(sample_run())
    assert without.times_ns.shape == (3, 1)


def test_prefixes_give_replicates_that_add_up() -> None:
    run = sample_run()
    assert run.timings
    rounds = np.array([[1.0], [5.0], [9.0]]) * 1e5 + np.arange(48) % 7
    timings = dataclasses.replace(
        run.timings,
        latency_ns=np.full(80, 900_000),
        timer=Timer.PREFIX,
        prefix_ns=rounds.astype(np.int64),
        prefix_steps=(0, 1, 3),
    )
    steps = tuple(dataclasses.replace(s, position=i) for i, s in enumerate(run.steps))
    found = step_replicates(dataclasses.replace(run, steps=steps, timings=timings))
    assert found.times_ns.shape == (3, 12)
    assert found.times_ns[0] == pytest.approx(4e5, rel=0.01)
    assert found.times_ns.sum(axis=0) == pytest.approx(8e5, rel=0.01)


def test_pairs_are_found_by_ever_less() -> None:
    fast, slow = sample_run("net", 1, "cpu:new"), sample_run("net", 1, "cpu:old")
    eight, alone = sample_run("net", 8), sample_run("other", 1)
    found = pair([fast, eight, eight], [slow, alone, eight])
    assert [(a, b) for a, b in found.pairs] == [((eight, eight), (eight,)), ((fast,), (slow,))]
    assert (found.unmatched_a, found.unmatched_b) == ((), (alone,))


def test_what_is_ambiguous_is_not_paired() -> None:
    devices = [sample_run("net", 1, f"cpu:{i}") for i in range(3)]
    found = pair([*devices[:1], sample_run("net", 8)], devices[1:])
    assert found.pairs == ()
    assert len(found.unmatched_a) == len(found.unmatched_b) == 2


def test_two_runs_are_a_pair_whatever_they_asked_for() -> None:
    a, b = sample_run("one", 1), sample_run("two", 8)
    assert pair([a], [b]).pairs == (((a,), (b,)),)


def test_no_alarm_where_nothing_changed() -> None:
    """A sample of what benchmarks/compare_bars.py counts in full."""
    assert sum(scripted.alarms(scripted.against(seed, 10)) > 0 for seed in range(12)) == 0


def test_a_slowdown_of_5_percent_in_a_layer_of_5_percent_is_found() -> None:
    found = [scripted.is_found(scripted.against(seed, 10, 0.05)) for seed in range(12)]
    assert sum(found) >= 11


def test_intervals_hold_the_truth_where_processes_differ() -> None:
    assert scripted.coverage(4, 60, 0.03) >= 0.9


def test_tables_are_walked_as_often_for_many_blocks_as_for_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walks = []
    walk = LayerTable.nodes.fget
    assert walk is not None

    def counted(table: LayerTable) -> tuple[Layer, ...]:
        walks.append(table)
        return walk(table)

    monkeypatch.setattr(LayerTable, "nodes", property(counted))
    counts = []
    for fused in (True, False):
        a, b = (sample_run(fused=fused, seed=seed) for seed in (0, 1))
        walks.clear()
        compare([((a,), (b,))], 0.02)
        counts.append(len(walks))
    assert counts[0] == counts[1]
