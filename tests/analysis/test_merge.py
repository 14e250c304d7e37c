"""Several processes as one run, and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.analysis.intervals import inflation_ratios, sample_process
from onnxprof.analysis.processes import merge, parts
from onnxprof.errors import BackendError
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store import parquet
from onnxprof.testing import sample_run


def process(seed: int, cuts: tuple[int, ...] = (), warnings: tuple[RunWarning, ...] = ()) -> Run:
    run = sample_run(seed=seed)
    assert run.timings
    rng = np.random.default_rng(seed)
    timings = dataclasses.replace(
        run.timings,
        traced_block=np.repeat(np.arange(5, dtype=np.int32), 10),
        timer=Timer.PREFIX if cuts else Timer.TRACE,
        prefix_steps=cuts,
        prefix_ns=rng.integers(1, 9**9, (len(cuts), (4 + seed % 3) * bool(cuts))),
    )
    return dataclasses.replace(run, timings=timings, warnings=warnings)


def times(run: Run) -> Timings:
    assert run.timings
    return run.timings


def test_samples_stand_end_to_end() -> None:
    runs = [process(seed) for seed in range(3)]
    merged = merge(runs)
    timings = times(merged)
    assert merged.request.processes == 3
    assert timings.latency_ns.size == 240
    assert timings.step_ns.shape == (3, 150)
    assert timings.block_process == (0,) * 8 + (1,) * 8 + (2,) * 8
    assert np.unique(timings.latency_block).tolist() == list(range(24))
    assert set(timings.traced_block) == {*range(5), *range(8, 13), *range(16, 21)}
    assert sample_process(timings).tolist() == [0] * 80 + [1] * 80 + [2] * 80
    assert timings.round_process == ()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.sampled_from([(), (0, 1, 3)]))
def test_taking_apart_undoes_merging(seeds: list[int], cuts: tuple[int, ...]) -> None:
    runs = [process(seed, cuts) for seed in seeds]
    for found, run in zip(parts(merge(runs)), runs, strict=True):
        ours, theirs = times(found), times(run)
        for name in ("latency_ns", "latency_block", "traced_ns", "traced_block", "step_ns"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
        assert np.array_equal(ours.prefix_ns, theirs.prefix_ns)
        assert ours.block_process == ()


def test_a_merged_run_survives_the_store(tmp_path) -> None:
    merged = merge([process(seed, (0, 2, 3)) for seed in range(2)])
    (tmp_path / "run.parquet").write_bytes(parquet.to_bytes(merged))
    found = times(parquet.read_run(tmp_path / "run.parquet"))
    assert found.block_process == times(merged).block_process
    assert found.round_process == (0,) * 4 + (1,) * 5
    assert np.array_equal(found.prefix_ns, times(merged).prefix_ns)


def test_prefixes_that_all_processes_timed_stay() -> None:
    a, b = process(0, (0, 1, 3)), process(1, (0, 2, 3))
    merged = times(merge([a, b]))
    assert merged.prefix_steps == (0, 3)
    assert np.array_equal(merged.prefix_ns[:, :4], times(a).prefix_ns[[0, 2]])


def test_other_steps_are_refused() -> None:
    odd = sample_run(fused=False)
    with pytest.raises(BackendError, match="process 2 executed other steps"):
        merge([process(0), odd])
    with pytest.raises(ValueError, match="times"):
        merge([])
    with pytest.raises(ValueError, match="times"):
        merge([dataclasses.replace(process(0), timings=None)])


def test_a_process_without_prefixes_takes_them_from_all() -> None:
    why = RunWarning(WarningKind.NO_PREFIXES, subject="out of memory")
    first = process(0, (0, 3))
    after = times(first).latency_block + np.int32(5)  # its five traced blocks come before
    first = dataclasses.replace(
        first, timings=dataclasses.replace(times(first), latency_block=after)
    )
    merged = merge([first, process(1, warnings=(why,))])
    assert merged.timer == "trace"
    assert times(merged).prefix_steps == times(merged).round_process == ()
    assert why in merged.warnings
    assert inflation_ratios(times(merged)).size == 5  # rounds are no neighbours of traced blocks


def test_fewer_prefixes_in_a_later_process_are_told() -> None:
    told = {w.kind: w for w in merge([process(0, (0, 1, 2, 3)), process(1, (0, 2, 3))]).warnings}
    warning = told[WarningKind.FEWER_PREFIXES]
    assert (warning.value, warning.bound) == (3, 4)
    alike = merge([process(0, (0, 1, 3)), process(1, (0, 1, 3))])
    assert WarningKind.FEWER_PREFIXES not in {w.kind for w in alike.warnings}


def test_one_process_is_itself() -> None:
    run = process(0)
    assert merge([run]) is run
    assert parts(run) == [run]


def test_warnings_are_told_once_and_derived_anew() -> None:
    few = RunWarning(WarningKind.FEW_SAMPLES, 15)
    busy = [RunWarning(WarningKind.BUSY_MACHINE, cores) for cores in (0.5, 1.5, 1.0)]
    merged = merge([process(i, warnings=(few, warning)) for i, warning in enumerate(busy)])
    told = {warning.kind: warning.value for warning in merged.warnings}
    assert told[WarningKind.BUSY_MACHINE] == 1.5
    assert WarningKind.FEW_SAMPLES not in told


def test_processes_that_differ_widen_the_interval() -> None:
    runs = [process(0), process(1)]
    slow = dataclasses.replace(times(runs[1]), latency_ns=times(runs[1]).latency_ns * 2)
    merged = merge([runs[0], dataclasses.replace(runs[1], timings=slow)])
    assert {w.kind: w.value for w in merged.warnings}[WarningKind.WIDE_INTERVAL] > 1
