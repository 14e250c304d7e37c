"""Which runs a scenario is made of, by what the earlier ones of them show."""

from __future__ import annotations

import pytest
from support.runs.scenarios import Counted, answer, asked

from onnxprof.records.scenarios.asked import RULES_SAMPLES, Scenario
from onnxprof.scenarios import loads
from onnxprof.scenarios.orders import Done, Loaded, Order, System
from onnxprof.scenarios.serving import Serving
from onnxprof.scenarios.systems import NullSystem

SECOND = 10**9


class Script:
    """Answers for the runs of a scenario, by rules; and what was ordered."""

    def __init__(self, limit: float, service_ns: int = SECOND // 100) -> None:
        self.limit = limit
        self.service_ns = service_ns
        self.orders: list[Order] = []

    def __call__(self, system: System, order: Order, doing: str) -> Done:
        self.orders.append(order)
        held = order.rate <= self.limit
        if order.scenario is Scenario.OFFLINE:
            made = answer(order.scenario, completed_rate=100.0)
        else:
            made = answer(order.scenario, valid=held, latency_met=held, scheduled_rate=order.rate)
        return Done(made, ((1, 1),), loaded=Loaded(1, {1: self.service_ns}))


def test_the_rate_that_a_whole_run_confirms_is_the_result() -> None:
    script = Script(61.0)
    found = loads.outcome(asked(), NullSystem(), script)
    assert script.orders[0].scenario is Scenario.OFFLINE  # how much there is to be had
    assert found.done.answer.valid
    assert 61 / 1.021 < found.done.answer.scheduled_rate <= 61
    assert script.orders[-1].duration_s == 600
    assert [order.duration_s for order in script.orders].count(600) == 1
    assert len(found.probes) == len(script.orders) - 2


def test_where_whole_runs_do_not_hold_the_next_lower_rates_are_tried() -> None:
    class Growing(Script):
        """Short runs hold more than whole ones."""

        def __call__(self, system: System, order: Order, doing: str) -> Done:
            self.limit = 55.0 if order.duration_s == 600 else 61.0
            return super().__call__(system, order, doing)

    script = Growing(0.0)
    found = loads.outcome(asked(), NullSystem(), script)
    assert found.done.answer.valid
    assert 55 / 1.15 < found.done.answer.scheduled_rate <= 55
    assert 1 < [order.duration_s for order in script.orders].count(600) <= 5


def test_a_latency_that_nothing_meets_is_told_by_a_short_run_at_a_low_rate() -> None:
    script = Script(0.0)
    found = loads.outcome(asked(), NullSystem(), script)
    assert not found.done.answer.valid
    assert script.orders[-1].rate == pytest.approx(10.0)
    assert all(order.duration_s < 600 for order in script.orders)


def test_where_one_inference_is_longer_than_the_latency_no_rate_is_searched_for() -> None:
    script = Script(1000.0, service_ns=SECOND)
    found = loads.outcome(asked(), NullSystem(), script)
    assert found.probes == ()
    assert len(script.orders) == 2


def test_a_rate_that_is_given_is_run_as_it_is() -> None:
    script = Script(30.0)
    loads.outcome(asked(rate=50.0), NullSystem(), script)
    assert [(order.rate, order.duration_s) for order in script.orders] == [(50.0, 600.0)]


def test_offline_makes_as_many_samples_as_the_duration_needs() -> None:
    script = Script(0.0)
    loads.outcome(asked(Scenario.OFFLINE), NullSystem(), script)
    probe, whole = script.orders
    assert probe.duration_s == 20
    assert whole.duration_s == 600
    assert whole.rate == pytest.approx(115.0)
    assert whole.min_queries == RULES_SAMPLES


@pytest.mark.parametrize("scenario", Scenario)
def test_the_floor_is_the_same_load_on_nothing(scenario: Scenario) -> None:
    script = Script(10**6)
    done = script(NullSystem(), Order(scenario, 1.0, 100.0), "")
    loads.floor(asked(scenario), done.answer, script)
    order = script.orders[-1]
    assert order.scenario is scenario
    assert order.target_latency_ns == asked(scenario).target_latency_ns
    assert order.duration_s <= 1


def test_nobody_waits_for_a_batch_of_the_floor() -> None:
    wanted = asked(max_batch=4, max_wait_ns=2_000_000)
    assert loads.serving(wanted, Counted("x")).max_wait_ns == 2_000_000
    assert loads.serving(wanted, NullSystem()) == Serving(1, 4, 0, queued=True)


@pytest.mark.parametrize(
    ("scenario", "sessions", "queued"),
    [
        (Scenario.SINGLE_STREAM, 1, False),
        (Scenario.MULTI_STREAM, 1, False),
        (Scenario.MULTI_STREAM, 2, True),
        (Scenario.SERVER, 1, True),
        (Scenario.OFFLINE, 1, True),
    ],
)
def test_what_goes_through_the_queue(scenario: Scenario, sessions: int, queued: bool) -> None:
    assert loads.serving(asked(scenario, sessions=sessions), NullSystem()).queued is queued
