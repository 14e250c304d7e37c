"""What a measurement announces, and how few inferences a slow model is given."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rich.console import Console
from support.inturn import Machine, job

from onnxprof.api.in_turn import Planned, announce
from onnxprof.cli.progress import Meter
from onnxprof.jobs.in_turn import alternate
from onnxprof.jobs.options import Options
from onnxprof.jobs.outlook import InTurn, Notice, Outlook, ahead_s, in_turn_ahead_s
from onnxprof.jobs.sweep import measured
from onnxprof.measure.budget import Amount, Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Workload
from onnxprof.processes.confined import Limits
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Timer
from onnxprof.sweeps.command.points import loads
from onnxprof.testing import FakeBackend, sample_run, sample_table, scripted_noise

MS = 1_000_000
SLOW = Outlook(load_s=0.1, inference_s=1.5, budget_s=2.0, stretch_s=0.4, verify_limit_s=10.0)


@dataclass
class Counted(FakeBackend):
    """Three steps that take half a second each."""

    step_ns: tuple[int, ...] = (500 * MS, 500 * MS, 500 * MS)
    gap_ns: int = 0
    told: list[tuple[int, int, int]] = field(default_factory=list)

    def warm(self, load_ns: int, inference_ns: int) -> None:
        self.told.append((self.clock.now_ns, load_ns, inference_ns))


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.AUTO, Timer.PREFIX])
def test_a_slow_model_takes_what_was_announced(timer: Timer) -> None:
    backend = Counted()
    work = Workload(PreparedModel(b"", Path()), sample_table(), {}, threads=1)
    found = measure(
        *(backend, work, Budget(2.0), backend.clock, lambda *_: None),
        timer=timer,
        warm=backend.warm,
    )
    ((at_ns, load_ns, inference_ns),) = backend.told
    assert (load_ns, inference_ns) == (backend.load_ns, 1500 * MS)
    outlook = Outlook(load_ns / 1e9, 1.5, 2.0, prefixes=timer is Timer.PREFIX)
    taken_s = (backend.clock.now_ns - at_ns) / 1e9
    assert outlook.is_long
    assert outlook.measuring_s / 1.5 < taken_s < outlook.measuring_s * 1.5
    assert found.timings.latency_ns.size >= 3
    assert found.timings.warmup_ns.size <= 1 + 6  # one, and with prefixes what came before them


def test_a_fast_model_is_not_announced() -> None:
    assert not replace(SLOW, inference_s=0.2).is_long
    assert SLOW.is_long


def test_every_phase_counts() -> None:
    assert SLOW.seconds == pytest.approx(SLOW.measuring_s + SLOW.checking_s)
    less = (
        *(replace(SLOW, stretch_s=0.0), replace(SLOW, verify=False)),
        *(replace(SLOW, parity=False), replace(SLOW, load_s=0.0)),
    )
    assert all(each.seconds < SLOW.seconds for each in less)
    more = (
        *(replace(SLOW, proof_limit_s=10.0), replace(SLOW, processes=3)),
        *(replace(SLOW, prefixes=True), replace(SLOW, verify_limit_s=60.0)),
    )
    assert all(each.seconds > SLOW.seconds for each in more)


def test_the_notice_is_a_line_where_no_progress_is_shown() -> None:
    sink = io.StringIO()
    planned = job()
    with Meter(Console(file=sink, width=40), 1, 2.0) as meter:
        meter.update(planned, "loading", 0.0)
        meter.update(planned, SLOW.notice("net\x1b at batch 1"), 0.0)
    (line,) = sink.getvalue().splitlines()
    assert line.startswith("onnxprof: net\\x1b at batch 1: an inference takes 1.5 s")
    assert f"some {SLOW.seconds:.0f} s are to come" in line


def test_of_several_processes_the_first_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(each, limits, progress):
        progress(Notice("long"), 0.0)
        progress("measuring", 0.5)
        return sample_run()

    monkeypatch.setattr("onnxprof.jobs.sweep.run_isolated", run)
    told: list[str] = []
    planned = job(processes=3)
    measured(planned, Limits(60), lambda planned, phase, share: told.append(phase))
    assert [phase for phase in told if isinstance(phase, Notice)] == ["long"]
    assert told[1:3] == ["measuring (process 1 of 3)", "measuring (process 2 of 3)"]


@pytest.mark.parametrize(
    ("seconds", "processes", "limit"), [(0.5, 1, 10.0), (5.0, 1, 20.0), (60.0, 1, 60.0)]
)
def test_the_check_by_values_is_bounded_by_the_budget(
    seconds: float, processes: int, limit: float
) -> None:
    options = Options(("m",), budget=Budget(seconds), processes=processes)
    assert options.verify_seconds == limit
    assert replace(options, only_verify=True).verify_seconds == 600.0


def test_models_in_turn_announce_once_when_the_first_pair_is_warm() -> None:
    machine = Machine({"a": [80 * MS], "b": [90 * MS]}, jitter=0.001)
    plans = [job(name, 3, 0.05) for name in "ab"]
    found: list[tuple[int, float, float]] = []

    def announce(ahead: InTurn) -> None:
        found.append((len(machine.orders), ahead.seconds(), ahead.seconds(8.0)))

    alternate(*plans, Limits(60), lambda *_: None, machine.start, announce)
    ((orders, whole, larger),) = found
    assert orders == 0
    assert whole > 3 * 6 * 0.17  # three rounds of two blocks a side in each of three pairs
    assert larger > 4 * whole


def test_pairs_of_processes_count_each() -> None:
    """LeNet with 0.3 s a process: 2.3 s until both were warm, 5.2 s a pair altogether."""
    assert 52 / 1.5 < InTurn(2.3, 0.6, 70e-6, 10).seconds() < 52 * 1.5
    assert InTurn(2.3, 6.0, 70e-6, 1).seconds() > 6.0


def test_checks_take_what_loading_does_beyond_a_process_and_some_inferences() -> None:
    checked = InTurn(12.3, 0.6, 0.05, 10)
    plain = replace(checked, verify=False, parity=False)
    assert plain.seconds() == pytest.approx(10 * (12.3 + 0.9 + 1.0))
    assert checked.seconds() - plain.seconds() == pytest.approx(10 * (10.0 + 0.6) + 0.1)
    small = InTurn(1.5, 0.6, 0.0, 10)
    assert small.seconds() == replace(small, verify=False, parity=False).seconds()


def test_the_announcement_is_an_estimate_of_the_whole() -> None:
    """An inference at the second size takes eight times as long, by its shapes."""
    told: list[str] = []
    small, large = job(), replace(job(), table=replace(sample_table(8), batch=8))
    found = Planned(((small, small), (large, large)), replace(small.options, processes=10))
    ahead = InTurn(2.0, 6.0, 1.0, 10, verify=False, parity=False)
    announce(told.append, found, ahead, silent=False)
    [first, second] = (ahead.seconds(scale) for scale in loads([small, large]))
    assert loads([small, large]) == [1.0, pytest.approx(8.0, rel=0.2)]
    assert "10 pairs of processes at each of 2 sizes" in told[0]
    assert f"take some {first + second:.0f} s" in told[0]
    announce(told.append, found, ahead, silent=True)
    assert len(told) == 1


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.AUTO, Timer.PREFIX])
@pytest.mark.parametrize("given", [{"budget": 2.0}, {"budget": 20.0}, {"duration": 8.0}])
@pytest.mark.parametrize("step_ms", [0.1, 5.0, 20.0])
def test_what_is_announced_before_the_start_is_kept(
    timer: Timer, given: dict[str, float], step_ms: float
) -> None:
    """All but starting a process and the checks, which take no time of the scripted clock."""
    noise = [
        lambda n, times=times: round(times(n) * (1 + 0.6 * (n % 2)))
        for times in scripted_noise([round(step_ms * MS)] * 3, 1)
    ]
    backend = FakeBackend(step_ns=noise, gap_ns=0, load_ns=MS)
    options = Options(
        ("m",),
        budget=Budget(given.get("budget", 5.0)),
        duration=given.get("duration", 0.0),
        telemetry=False,
        verify=False,
        parity=False,
    )
    work = Workload(PreparedModel(b"", Path()), sample_table(), {}, threads=1)
    measure(
        *(backend, work, options.process_budget, backend.clock, lambda *_: None),
        timer=timer,
        amount=options.amount(),
    )
    announced = ahead_s(options)
    assert announced is not None
    starting = announced - options.process_budget.seconds
    taken_s = backend.clock.now_ns / 1e9
    assert 0 < starting < 3
    assert (announced - starting) / 1.5 < taken_s < (announced - starting) * 1.5


def test_batches_processes_streams_and_checks_count_before_the_start() -> None:
    usual = Options(("m",), budget=Budget(4.0))
    base = ahead_s(usual)
    assert base is not None
    assert ahead_s(replace(usual, batches=(1, 2, 4))) == pytest.approx(3 * base)
    more = (
        *(replace(usual, budget=Budget(8.0)), replace(usual, duration=8.0)),
        *(replace(usual, processes=4), replace(usual, streams=2)),
    )
    less = replace(usual, telemetry=False), replace(usual, verify=False, parity=False)
    assert all((ahead_s(each) or 0) > base for each in more)
    assert all((ahead_s(each) or base) < base for each in less)
    assert ahead_s(replace(usual, iterations=100)) is None


def test_pairs_in_turn_are_announced_by_what_was_asked_for() -> None:
    """LeNet, as above: 52 s with 0.3 s a process."""
    options = Options(("m",), budget=Budget(3.0), processes=10)
    assert 52 / 1.5 < in_turn_ahead_s(options) < 52 * 1.5
    assert in_turn_ahead_s(options, 2) == 2 * in_turn_ahead_s(options)


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.PREFIX])
def test_a_number_of_inferences_is_announced_once_one_is_timed(timer: Timer) -> None:
    backend = Counted()
    work = Workload(PreparedModel(b"", Path()), sample_table(), {}, threads=1)
    measure(
        *(backend, work, Budget(5.0), backend.clock, lambda *_: None),
        timer=timer,
        warm=backend.warm,
        amount=Amount(iterations=50),
    )
    ((at_ns, load_ns, _),) = backend.told
    outlook = Outlook(load_ns / 1e9, 1.5, 5.0, iterations=50)
    taken_s = (backend.clock.now_ns - at_ns) / 1e9
    assert outlook.is_long
    assert outlook.measuring_s / 2 < taken_s < outlook.measuring_s * 2
    assert "50 of them are sampled" in outlook.notice("net")
    assert not replace(outlook, iterations=1).is_long
