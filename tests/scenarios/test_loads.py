"""Real runs of LoadGen, each in a process of its own: settings, floors, crashes, limits."""

from __future__ import annotations

import os
from multiprocessing import Pipe
from pathlib import Path

import pytest
from support.runs.scenarios import Counted, Failing

from onnxprof.errors import BackendError
from onnxprof.processes.confined import Limits
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.scenarios import isolated
from onnxprof.scenarios.child import refuse_too_many
from onnxprof.scenarios.isolated import Watch
from onnxprof.scenarios.orders import Done, Order, System, Work
from onnxprof.scenarios.serving import Serving
from onnxprof.scenarios.systems import NullSystem

pytest.importorskip("mlperf_loadgen", reason="needs onnxprof[loadgen]")

SHORT_S = 0.2
SECOND = 10**9
ORDERS = {
    Scenario.SINGLE_STREAM: Order(Scenario.SINGLE_STREAM, SHORT_S, rate=50_000.0),
    Scenario.MULTI_STREAM: Order(Scenario.MULTI_STREAM, SHORT_S, rate=20_000.0),
    Scenario.SERVER: Order(Scenario.SERVER, SHORT_S, 1000.0, 10 * SECOND, min_queries=150),
    Scenario.OFFLINE: Order(Scenario.OFFLINE, 0.0, 1.0, min_queries=500),
}


def run(
    order: Order, system: System | None = None, serving: Serving | None = None, seconds: float = 60
) -> Done:
    queued = order.scenario in (Scenario.SERVER, Scenario.OFFLINE)
    work = Work(order, serving or Serving(queued=queued), system or NullSystem())
    watch = Watch(order.duration_s, "measuring", lambda *_: None)
    return isolated.run(work, Limits(seconds), watch)


@pytest.mark.parametrize("scenario", Scenario)
def test_the_rules_are_read_and_the_order_is_in_effect(scenario: Scenario) -> None:
    done = run(ORDERS[scenario])
    settings = dict(done.answer.settings)
    assert int(settings["qsl_rng_seed"]) > 0
    assert int(settings["schedule_rng_seed"]) > 0
    assert settings["min_duration_ms"] == str(round(ORDERS[scenario].duration_s * 1000))
    percentile = {Scenario.SINGLE_STREAM: "0.9"}.get(scenario, "0.99")
    assert settings["target_latency_percentile"] == percentile
    samples = {Scenario.MULTI_STREAM: "8", Scenario.OFFLINE: "500"}.get(scenario, "1")
    assert settings["samples_per_query"] == samples


@pytest.mark.parametrize("scenario", Scenario)
def test_every_sample_is_answered_once(scenario: Scenario) -> None:
    done = run(ORDERS[scenario])
    assert sum(size * count for size, count in done.batches) == done.answer.samples
    assert done.answer.at("min") > 0
    assert done.answer.at("min") <= done.answer.percentile_ns <= done.answer.at("max")


def test_a_system_that_does_nothing_shows_the_floor_and_nothing_else(tmp_path: Path) -> None:
    """The same work comes to it: what differs is the call of a session that returns at once."""
    seen = tmp_path / "seen"
    done = run(ORDERS[Scenario.MULTI_STREAM], Counted(str(seen)), Serving(queued=False))
    lines = seen.read_text().splitlines()
    assert sum(line.startswith("opened") for line in lines) == 1
    # all but the warm-up, which ends before the first query
    assert lines[-done.answer.samples :] == ["1"] * done.answer.samples


def test_sessions_are_opened_in_the_threads_that_infer(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    run(ORDERS[Scenario.SERVER], Counted(str(seen)), Serving(sessions=3))
    opened = [line for line in seen.read_text().splitlines() if line.startswith("opened")]
    assert len(set(opened)) == len(opened) == 3


def test_samples_at_hand_share_inferences() -> None:
    done = run(ORDERS[Scenario.OFFLINE], serving=Serving(max_batch=8))
    assert dict(done.batches) == {8: 62, 4: 1}


def test_a_configuration_in_the_current_folder_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.config").write_text("*.*.min_query_count = 7\n*.*.mode = 1\n")
    monkeypatch.chdir(tmp_path)
    done = run(ORDERS[Scenario.SERVER])
    assert dict(done.answer.settings)["min_query_count"] == "150"
    assert {path.name for path in tmp_path.iterdir()} == {"audit.config"}


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("crashes", "was ended by SIGSEGV"),
        ("leaves", "exit code 3"),
        ("raises", "while answering queries: RuntimeError: a kernel failed"),
        ("refuses", "RuntimeError: no such kernel"),
    ],
)
@pytest.mark.parametrize("scenario", [Scenario.SINGLE_STREAM, Scenario.SERVER])
def test_a_session_that_fails_ends_the_run_with_its_reason(
    way: str, words: str, scenario: Scenario
) -> None:
    with pytest.raises(BackendError, match=words):
        run(LONG[scenario], Failing(way))


def test_a_run_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever watches hears how far it should be."""
    monkeypatch.setattr(isolated, "_TICK_S", 0.01)
    heard: list[tuple[str, float]] = []
    receiver, sender = Pipe(duplex=False)
    watch = Watch(0.02, "measuring", lambda *said: heard.append(said))
    with receiver, sender, pytest.raises(BackendError, match=r"stopped after 0 s.*--timeout"):
        isolated._message(None, receiver, 0.05, watch)
    assert {doing for doing, _ in heard} == {"measuring"}
    assert all(0 <= share <= 1 for _, share in heard)


def test_queries_that_will_not_fit_are_refused_before_they_are_made() -> None:
    order = Order(Scenario.SINGLE_STREAM, 600.0, rate=20_000.0)
    with pytest.raises(BackendError, match=r"24 million queries.*6.9 GiB.*--duration"):
        refuse_too_many(order, 4 << 30)
    refuse_too_many(order, 64 << 30)


def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(ORDERS[Scenario.OFFLINE])
    with pytest.raises(BackendError):
        run(LONG[Scenario.SERVER], Failing("leaves"))
    assert [name for name in os.listdir(tmp_path) if name.startswith("onnxprof-")] == []


LONG = {
    Scenario.SINGLE_STREAM: Order(Scenario.SINGLE_STREAM, 20.0, rate=1000.0),
    Scenario.SERVER: Order(Scenario.SERVER, 20.0, 1000.0, 10 * SECOND, min_queries=150),
}
