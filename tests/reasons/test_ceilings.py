"""Rates and bandwidths from points: what counts, which working set, what is stale."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs.ceilings import ceilings, point

from onnxprof.errors import UsageError
from onnxprof.reasons import ceilings as derived
from onnxprof.reasons.datasheet import giga, parse
from onnxprof.reasons.freshness import stale, unfit
from onnxprof.testing import sample_run

WILD = tuple(0.5 * (i % 3) for i in range(12))


def test_a_slope_is_what_one_more_copy_takes() -> None:
    found = derived.slope(point("relu", 250))
    assert (found.ns, found.low_ns, found.high_ns) == (250, 250, 250)
    assert found.is_sure


def test_what_other_programs_add_to_a_few_rounds_is_in_no_slope() -> None:
    disturbed = [0.0] * 9 + [5.0] * 3
    assert derived.slope(point("relu", 250, noise=disturbed)).ns == 250


def test_a_slope_of_scattered_rounds_is_not_sure() -> None:
    found = derived.slope(point("relu", 250, noise=WILD))
    assert found.low_ns <= found.ns <= found.high_ns
    assert not found.is_sure


def test_what_a_disturbed_point_counts_is_what_it_attained_for_certain() -> None:
    slowed = replace(point("matmul", 1_000, flops=50_000), short_ns=(12_000,) + (15_000,) * 11)
    found = derived.slope(replace(slowed, long_ns=(16_000,) * 6 + (40_000,) * 6))
    assert not found.is_sure
    assert found.ns == 250  # the shorter graph was disturbed more than the longer one
    assert found.most_ns >= 1_000
    best = derived.compute(ceilings(found.point), "float32")
    assert best is not None
    assert best.best <= 50


def test_a_point_without_times_has_no_slope() -> None:
    with pytest.raises(ValueError, match="no times"):
        derived.slope(point("relu", 1, refused="no such operator"))


def test_the_rate_is_that_of_the_best_shape() -> None:
    slow = point("conv3x3", 1_000, flops=50_000)
    fast = point("matmul", 1_000, flops=90_000)
    best = derived.compute(ceilings(slow, fast), "float32")
    assert best is not None
    assert best.best == 90
    assert best.slope.point == fast


def test_a_disturbed_shape_is_no_ceiling_while_another_one_is_sure() -> None:
    wild = point("matmul", 1_500, flops=90_000, noise=WILD)
    calm = point("conv3x3", 1_000, flops=50_000)
    best = derived.compute(ceilings(wild, calm), "float32")
    assert best is not None
    assert (best.best, best.is_sure) == (50, True)
    only = derived.compute(ceilings(wild), "float32")
    assert only is not None
    assert not only.is_sure
    assert only.best == only.low < 60


def test_a_precision_that_was_refused_has_no_rate() -> None:
    made = ceilings(
        point("matmul", 10, flops=1_000), point("matmul", 1, flops=1, precision="int8", refused="x")
    )
    assert derived.precisions(made) == ["float32", "int8"]
    assert derived.compute(made, "int8") is None


def test_each_level_has_the_best_of_its_working_sets() -> None:
    found = {level.name: level.ceiling for level in derived.levels(ceilings())}
    bests = {name: ceiling and round(ceiling.best, 1) for name, ceiling in found.items()}
    assert bests == {"L1": 8.2, "L2": 40.0, "L3": 20.0, "main": 10.0}


@pytest.mark.parametrize(
    ("working_set", "level", "best"),
    [
        (100, "L1", 40),  # no size is smaller: the best of all
        (60 << 10, "L1", 40),
        (1 << 20, "L2", 40),
        (9 << 20, "L3", 40),  # half of it may lie in L2
        (16 << 20, "L3", 20),
        (100 << 20, "main", 20),
        (128 << 20, "main", 10),
        (1 << 40, "main", 10),
    ],
)
def test_a_working_set_is_held_to_what_it_may_fit(
    working_set: int, level: str, best: float
) -> None:
    made = ceilings()
    assert derived.level_of(made, working_set) == level
    found = derived.envelope(made).at(working_set)
    assert found is not None
    assert found.best == pytest.approx(best, rel=1e-3)


@given(st.integers(0, 1 << 30), st.integers(0, 1 << 30))
def test_a_larger_working_set_never_has_more_bandwidth(one: int, other: int) -> None:
    made = ceilings()
    small, large = (derived.envelope(made).at(size) for size in sorted((one, other)))
    assert small is not None
    assert large is not None
    assert small.best >= large.best


def moving(made, size: int) -> float:
    found = derived.moving_ns(made, derived.envelope(made), size)
    assert found is not None
    return found


def test_what_a_level_holds_may_lie_in_it() -> None:
    """2 MiB of two cores at L2's 40 GB/s, 14 MiB at L3's 20, all else at 10."""
    made, mib = ceilings(), 1 << 20
    assert moving(made, 512 << 10) == pytest.approx((512 << 10) / 40, rel=1e-3)
    assert moving(made, 4 * mib) == pytest.approx(2 * mib / 40 + 2 * mib / 20, rel=1e-3)
    whole = 2 * mib / 40 + 14 * mib / 20
    assert moving(made, 16 * mib) == pytest.approx(whole, rel=1e-3)
    assert moving(made, 100 * mib) == pytest.approx(whole + 84 * mib / 10, rel=1e-3)
    unknown = ceilings(caches=())
    assert moving(unknown, 1 << 30) == pytest.approx((1 << 30) / 10, rel=1e-3)


def test_how_much_lies_in_main_memory_changes_nothing() -> None:
    """As where the largest graph's new arrays cost more than their bandwidth."""
    usual = ceilings()
    slow = point("add", (256 << 20) / 2, moved=256 << 20)
    both = ceilings(*usual.points, slow)
    assert moving(both, 1 << 30) == moving(usual, 1 << 30)


@given(st.integers(0, 1 << 30), st.integers(0, 1 << 30))
def test_more_bytes_never_take_less_time(one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert moving(ceilings(), less) <= moving(ceilings(), more)


def test_calls_and_nodes_have_their_cost() -> None:
    node = derived.node_ns(ceilings())
    assert node is not None
    assert node.best == 1_000
    assert derived.call_ns(ceilings()) == 10_000
    assert derived.small_call_ns(ceilings()) == 11_000
    assert derived.node_ns(ceilings(point("relu", 5, moved=1 << 20))) is None


def test_ceilings_are_stale_when_a_version_or_the_processor_changes() -> None:
    made = ceilings()
    here = dict(made.environment)
    assert stale(made, made.device, here.items()) == ""
    newer = here | {"runtime": "fakert 1.1"}
    assert stale(made, made.device, newer.items()) == "runtime was fakert 1.0 and is fakert 1.1"
    assert "onnxprof" in stale(made, made.device, (here | {"onnxprof": "0.2"}).items())
    assert "cpu was" in stale(made, made.device, (here | {"cpu": "Other"}).items())
    assert "driver" in stale(made, replace(made.device, driver="580.1"), here.items())


def test_a_run_of_another_runtime_is_not_bounded_by_them() -> None:
    run = replace(sample_run(), environment=(("runtime", "fakert 1.0"), ("onnxprof", "9")))
    assert unfit(ceilings(), run) == ""
    assert unfit(ceilings(), replace(run, environment=(("runtime", "fakert 2"),)))


def test_a_datasheet_is_read() -> None:
    items = ["fp32=2.1 TFLOP/s", "memory=460 GB/s", "int8=8TOP/s"]
    assert parse(items) == (
        ("float32", "2.1 TFLOP/s"),
        ("main", "460 GB/s"),
        ("int8", "8TOP/s"),
    )
    assert giga("2.1 TFLOP/s") == 2100


@pytest.mark.parametrize("item", ["fp32", "fp32=fast", "fp9=1 GFLOP/s", "=1 GB/s", "fp32=1 GB/s"])
def test_what_is_no_figure_of_a_datasheet_is_refused(item: str) -> None:
    with pytest.raises(UsageError, match="--datasheet"):
        parse([item])


def test_without_sizes_of_caches_there_is_one_level() -> None:
    made = ceilings(caches=())
    (level,) = derived.levels(made)
    assert level.name == derived.level_of(made, 10) == "memory"
    assert level.ceiling is not None
    assert level.ceiling.best == pytest.approx(10, rel=1e-3)


def test_a_few_equal_rounds_are_not_sure() -> None:
    assert not derived.slope(point("relu", 250, noise=(0.0,) * 3)).is_sure
    assert derived.slope(point("relu", 250, noise=(0.0,) * 6)).is_sure
