"""Exactly so many inferences, so long a warm-up, at least so many seconds: on a scripted clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Amount, Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import FakeBackend, sample_table, scripted_noise

MS = 1_000_000


@dataclass
class Told(FakeBackend):
    """Knows when its model was warm."""

    warm_ns: list[int] = field(default_factory=list)

    def warm(self, load_ns: int, inference_ns: int) -> None:
        self.warm_ns.append(self.clock.now_ns)

    @property
    def sampled_s(self) -> float:
        """Seconds from the end of the warm-up to the end."""
        return (self.clock.now_ns - self.warm_ns[0]) / 1e9


def run(
    backend: Told, amount: Amount, seconds: float = 5.0, timer: Timer = Timer.TRACE
) -> Measurement:
    work = Workload(PreparedModel(b"", Path()), sample_table(), {}, threads=1)
    return measure(
        *(backend, work, Budget(seconds), backend.clock, lambda *_: None),
        timer=timer,
        warm=backend.warm,
        amount=amount,
    )


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.AUTO, Timer.PREFIX])
@pytest.mark.parametrize("count", [1, 2, 7, 100, 1000])
def test_so_many_un_profiled_inferences_and_no_more(timer: Timer, count: int) -> None:
    noise = scripted_noise((MS, 2 * MS, MS // 2), count)
    found = run(Told(step_ns=noise), Amount(iterations=count), timer=timer)
    assert found.timings.latency_ns.size == count
    assert found.timings.latency_block.size == count
    assert found.timings.step_ns.shape[1] == found.timings.traced_ns.size >= 1


@pytest.mark.parametrize("count", [400, 1000])
def test_so_many_also_where_tracing_distorts_and_prefixes_are_timed(count: int) -> None:
    backend = Told(step_ns=(MS, MS, MS), gap_ns=0, traced_cost_ns=MS // 2)
    found = run(backend, Amount(iterations=count), timer=Timer.AUTO)
    assert found.timings.timer is Timer.PREFIX
    assert found.timings.latency_ns.size == count
    assert found.timings.prefix_ns.shape[1] >= 3


@pytest.mark.parametrize("amount", [Amount(iterations=90), Amount(seconds=4.0)])
def test_the_amount_is_kept_where_prefixes_fail(amount: Amount) -> None:
    backend = Told(step_ns=(MS, MS, MS), gap_ns=0, traced_cost_ns=MS // 2, uncuttable="cannot")
    found = run(backend, amount, timer=Timer.PREFIX)
    assert WarningKind.NO_PREFIXES in {warning.kind for warning in found.warnings}
    assert found.timings.timer is Timer.TRACE
    if amount.iterations:
        assert found.timings.latency_ns.size == 90
    assert backend.sampled_s >= amount.seconds


def test_a_number_is_not_bound_by_the_budget_nor_by_a_median_that_is_known() -> None:
    counts = [
        run(Told(), Amount(iterations=2000), seconds).timings.latency_ns.size
        for seconds in (0.05, 500.0)
    ]
    assert counts == [2000, 2000]
    assert run(Told(), Amount(), 5.0).timings.latency_ns.size < 1000


def test_blocks_of_a_number_still_alternate() -> None:
    timings = run(Told(), Amount(iterations=480)).timings
    assert len(np.unique(timings.latency_block)) >= 20
    assert set(np.unique(timings.traced_block)) <= set(np.unique(timings.latency_block))


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_so_many_inferences_warm_up(count: int) -> None:
    found = run(Told(), Amount(warmup=count))
    assert found.timings.warmup_ns.size == count
    unsteady = WarningKind.UNSTEADY_WARMUP in {warning.kind for warning in found.warnings}
    assert unsteady == (count < 4)


def test_without_a_number_it_warms_up_until_steady() -> None:
    assert run(Told(), Amount()).timings.warmup_ns.size == 10


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.AUTO, Timer.PREFIX])
@pytest.mark.parametrize("seconds", [0.5, 3.0, 30.0])
def test_sampling_goes_on_for_so_many_seconds(timer: Timer, seconds: float) -> None:
    """Steady steps, whose median is known at once; the budget may be shorter or longer."""
    long = [Told(step_ns=(MS, MS, MS)) for _ in (1.0, 100.0)]
    for backend, budget in zip(long, (1.0, 100.0), strict=True):
        run(backend, Amount(seconds=seconds), budget, timer)
    assert all(seconds <= backend.sampled_s for backend in long)
    assert long[0].sampled_s < 1.5 * max(1.0, seconds)


def test_processes_share_the_amount() -> None:
    options = Options(("m",), iterations=11, warmup=4, processes=3)
    assert [options.amount(i).iterations for i in range(3)] == [4, 4, 3]
    assert {options.amount(i).warmup for i in range(3)} == {4}
    assert replace(options, iterations=0, duration=6.0).amount(1) == Amount(0, 4, 2.0)


def test_a_longer_duration_takes_the_place_of_the_budget() -> None:
    options = Options(("m",), duration=12.0, processes=2)
    assert options.process_budget == Budget(6.0)
    assert replace(options, budget=Budget(40.0)).process_budget == Budget(20.0)
