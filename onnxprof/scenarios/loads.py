"""The runs that make up a scenario: short ones on the way, the one that counts, and a floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import RULES_SAMPLES, Asked, Scenario
from onnxprof.records.scenarios.run import Probe
from onnxprof.scenarios.orders import Done, Order, System
from onnxprof.scenarios.search import Bounds, Found, highest
from onnxprof.scenarios.serving import Serving
from onnxprof.scenarios.systems import NullSystem

#: A short run is this part of the whole, within these seconds.
_PART, _LEAST_S, _MOST_S = 1 / 30, 1.0, 20.0
#: Samples of a short offline run for each session and sample of a batch.
_TURNS = 4
#: More samples than the short run lets expect, so that the least duration is met.
_MORE = 1.15
#: A search begins at this part of the throughput with all samples at hand; at a tenth of it hardly
#: any query waits for another, and above it no rate is sustained.
_FIRST, _LEAST, _MOST = 0.7, 0.1, 1.02
_DOWN = 0.25
#: Queries of a short run at a low and at any other rate, and of a whole one: with 662, one in a
#: hundred may be late with 99 % confidence.
_FEWEST_QUERIES, _FEW_QUERIES, _ENOUGH_QUERIES = 50, 200, 662
#: A short run at a low rate may take so many times as long, for its queries.
_PATIENCE = 4
#: Of the null system: expected rates, seconds, queries, and the least rate of a server.
_FLOOR_RATES = {Scenario.SINGLE_STREAM: 200_000.0, Scenario.MULTI_STREAM: 50_000.0}
_FLOOR_S, _FLOOR_RATE = 1.0, 500.0
#: A server run with more unanswered queries than arrive in so long will not recover.
_HOPELESS_LATENCIES, _HOPELESS_S = 20, 2.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How closely a rate is searched for."""

    precision: float
    """By how much two neighbouring rates differ in the end; of whole runs twice that."""
    tries: int
    """The most short runs."""
    whole_step: float
    """How much lower the next whole run is where one does not hold."""
    whole_tries: int
    """The most whole runs."""


_QUICK, _THOROUGH = Effort(0.1, 8, 0.85, 4), Effort(0.02, 14, 0.93, 5)

Make = Callable[[System, Order, str], Done]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The run that counts, and what was found on the way."""

    done: Done
    probes: tuple[Probe, ...] = ()


def serving(asked: Asked, system: System) -> Serving:
    """How samples come together; nobody waits for a system that does nothing."""
    direct = asked.scenario is Scenario.SINGLE_STREAM or (
        asked.scenario is Scenario.MULTI_STREAM and asked.sessions == 1
    )
    wait_ns = 0 if isinstance(system, NullSystem) else asked.max_wait_ns
    return Serving(asked.sessions, asked.max_batch, wait_ns, queued=not direct)


def outcome(asked: Asked, system: System, make: Make) -> Outcome:
    """Make all runs of a scenario but the floor. Raises OnnxprofError."""
    if asked.scenario is Scenario.OFFLINE:
        return _offline(asked, system, make)
    if asked.scenario is Scenario.SERVER:
        return _server(asked, system, make)
    order = Order(asked.scenario, asked.duration_s)
    return Outcome(make(system, order, "measuring"))


def floor(asked: Asked, answer: Answer, make: Make) -> Answer:
    """What LoadGen says of a system that does nothing, under the load of an answer."""
    scenario = asked.scenario
    if scenario is Scenario.OFFLINE:
        order = Order(scenario, 0.0, rate=1.0, min_queries=RULES_SAMPLES)
    elif scenario is Scenario.SERVER:
        rate = max(_FLOOR_RATE, answer.scheduled_rate)
        order = _at(asked, rate, _FLOOR_S, _ENOUGH_QUERIES)
    else:
        order = Order(scenario, _FLOOR_S, rate=_FLOOR_RATES[scenario])
    return make(NullSystem(), order, "measuring LoadGen's floor").answer


def _short_s(asked: Asked) -> float:
    return min(_MOST_S, max(_LEAST_S, asked.duration_s * _PART))


def _unloaded(asked: Asked, system: System, make: Make) -> Done:
    """A short run with all samples at hand, for the throughput."""
    fewest = _TURNS * asked.sessions * asked.max_batch
    order = Order(Scenario.OFFLINE, _short_s(asked), min_queries=fewest)
    return make(system, order, "finding the throughput")


def _offline(asked: Asked, system: System, make: Make) -> Outcome:
    rate = _unloaded(asked, system, make).answer.completed_rate * _MORE
    order = Order(asked.scenario, asked.duration_s, rate, min_queries=asked.samples)
    done = make(system, order, "measuring")
    if done.answer.min_duration_met:
        return Outcome(done)
    # It became faster: once more, with as many samples as this shows to be needed.
    order = replace(order, rate=_MORE * done.answer.completed_rate)
    return Outcome(make(system, order, "measuring again, with more samples"))


def _server(asked: Asked, system: System, make: Make) -> Outcome:
    if asked.rate:
        order = _at(asked, asked.rate, asked.duration_s, _ENOUGH_QUERIES)
        return Outcome(make(system, order, "measuring"))

    free = _unloaded(asked, system, make)
    least = free.answer.completed_rate * _LEAST
    if min(free.loaded.batch_ns.values()) > asked.target_latency_ns:
        return Outcome(_lowest(asked, system, make, least))
    effort = _QUICK if asked.is_quick else _THOROUGH

    def tried(rate: float) -> Probe:
        order = _at(asked, rate, _short_s(asked), _few(asked, rate))
        return _probe(rate, make(system, order, f"trying {rate:.4g} queries/s").answer)

    capacity = free.answer.completed_rate
    bounds = Bounds(
        capacity * _FIRST, least, capacity * _MOST, _DOWN, effort.precision, effort.tries
    )
    found = highest(tried, bounds)
    if not found.rate:
        lowest = min(probe.rate for probe in found.probes)
        return Outcome(_lowest(asked, system, make, lowest), found.probes)
    return _confirmed(asked, system, make, found, effort)


def _confirmed(asked: Asked, system: System, make: Make, short: Found, effort: Effort) -> Outcome:
    """Whole runs at the rate that short ones found, or at the highest below it that is valid.

    Short ones may not see a queue that grows slowly.
    """
    whole: dict[float, Done] = {}

    def tried(rate: float) -> Probe:
        order = _at(asked, rate, asked.duration_s, _ENOUGH_QUERIES)
        whole[rate] = make(system, order, f"measuring at {rate:.4g} queries/s")
        answer = whole[rate].answer
        return replace(_probe(rate, answer), held=answer.valid)

    first, precision = short.rate, 2 * effort.precision
    bounds = Bounds(first, 0.0, first, effort.whole_step, precision, effort.whole_tries)
    found = highest(tried, bounds)
    best = found.rate or min(whole)
    others = tuple(probe for probe in found.probes if probe.rate != best)
    return Outcome(whole[best], (*short.probes, *others))


def _lowest(asked: Asked, system: System, make: Make, rate: float) -> Done:
    """Where no rate holds: a short run that shows what the latency is nearly without load."""
    order = _at(asked, rate, _short_s(asked), _few(asked, rate))
    return make(system, order, f"measuring at {rate:.4g} queries/s")


def _few(asked: Asked, rate: float) -> int:
    """Queries of a short run."""
    most = round(_PATIENCE * _short_s(asked) * rate)
    fewest = _FEWEST_QUERIES if asked.is_quick else _FEW_QUERIES // 2
    return min(_FEW_QUERIES, max(fewest, most))


def _at(asked: Asked, rate: float, duration_s: float, queries: int) -> Order:
    """A server run at a rate."""
    latency_s = asked.target_latency_ns / 1e9
    outstanding = rate * (_HOPELESS_LATENCIES * latency_s + _HOPELESS_S)
    return Order(
        Scenario.SERVER,
        duration_s,
        rate,
        asked.target_latency_ns,
        min_queries=queries,
        most_outstanding=max(100, round(outstanding)),
    )


def _probe(rate: float, answer: Answer) -> Probe:
    held = answer.latency_met and answer.min_queries_met
    return Probe(rate, held, answer.percentile_ns, answer.queries)
