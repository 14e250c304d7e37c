"""Two models in alternation, and how processes share a budget."""

from __future__ import annotations

import multiprocessing
import os
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import inturn
from support.inturn import Machine, against, job, measured
from support.networks import models

from onnxprof.compare.changes import compare
from onnxprof.compare.verdict import Caveat, Verdict
from onnxprof.errors import BackendError
from onnxprof.jobs import sweep, turns
from onnxprof.jobs.in_turn import alternate, cores
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.model.opened import opened
from onnxprof.processes.confined import Limits
from onnxprof.records.device import Device
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.testing import sample_run

MS = 1_000_000
LAYERS = (1_000_000, 300_000, 500_000)


@pytest.mark.parametrize(
    ("seconds", "processes", "each"),
    [(5.0, 1, 5.0), (5.0, 10, 0.5), (5.0, 100, 0.25), (0.1, 4, 0.1)],
)
def test_the_budget_is_shared_with_a_floor(seconds: float, processes: int, each: float) -> None:
    options = Options(("m",), budget=Budget(seconds), processes=processes)
    assert options.process_budget.seconds == each


def test_blocks_go_to_and_fro_in_pairs_of_fresh_processes() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS})
    a, b = measured(machine, 3, 0.1)
    assert [name for name, _ in machine.told] == [*"ab", *"ba", *"ab"]
    assert [asked.options.parity for _, asked in machine.told] == 2 * [True] + 4 * [False]
    assert {asked.options.timer for _, asked in machine.told} == {Timer.TRACE}
    assert machine.orders[:8] == [
        *(("a", "plain"), ("b", "plain"), ("b", "traced"), ("a", "traced")),
        *(("b", "plain"), ("a", "plain"), ("a", "traced"), ("b", "traced")),
    ]
    assert (a.request.processes, b.request.processes) == (3, 3)
    assert (a.request.model_name, b.request.model_name) == ("a", "b")
    assert a.timings is not None
    assert b.timings is not None
    assert a.timings.block_process == b.timings.block_process
    assert set(a.timings.latency_block) == set(b.timings.latency_block)
    assert set(a.timings.traced_block) == set(a.timings.latency_block)


def test_progress_only_grows_and_names_the_pair() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS})
    told: list[tuple[str, float]] = []
    plans = [job(name, 2, 0.1) for name in "ab"]
    alternate(
        *(plans[0], plans[1], Limits(60)),
        lambda planned, phase, share: told.append((phase, share)),
        machine.start,
    )
    shares = [share for phase, share in told if phase.startswith("measuring")]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert "loading (pair 1 of 2)" in [phase for phase, _ in told]
    assert told[-1][0] == "measuring (pair 2 of 2)"


def test_drift_that_hits_both_cancels() -> None:
    rising = lambda now: 1 + now / 4e9  # noqa: E731
    models_ = {"a": LAYERS, "b": [round(ns * 1.05) for ns in LAYERS]}
    found = against(Machine(models_, rising), 4)
    assert found.latency.ratio == pytest.approx(1.05, abs=0.002)
    assert [row.ratio for row in found.rows] == pytest.approx([1.05] * 3, abs=0.003)


def test_nothing_is_called_on_a_busy_machine_where_nothing_changed() -> None:
    for seed in range(3):
        machine = Machine({"a": LAYERS, "b": LAYERS}, inturn.busy(seed), 0.005, seed=seed)
        found = against(machine, 8, 0.3)
        verdicts = {row.verdict for row in (found.latency, *found.rows)}
        assert not verdicts & {Verdict.SLOWER, Verdict.FASTER}


def test_a_slow_layer_is_found_on_a_busy_machine() -> None:
    for seed in range(3):
        slow = (LAYERS[0], round(LAYERS[1] * 1.05), LAYERS[2])
        machine = Machine({"a": LAYERS, "b": slow}, inturn.busy(seed), 0.005, seed=seed)
        rows = against(machine, 10, 0.4).rows
        assert rows[1].verdict is Verdict.SLOWER
        assert Verdict.SLOWER not in (rows[0].verdict, rows[2].verdict)


def test_what_the_profiler_adds_does_not_hide_a_change() -> None:
    slow = (LAYERS[0], round(LAYERS[1] * 1.05), LAYERS[2])
    machine = Machine({"a": LAYERS, "b": slow}, jitter=0.002, traced_cost_ns=300_000)
    found = against(machine, 4)
    assert [row.ratio for row in found.rows] == pytest.approx([1.0, 1.05, 1.0], abs=0.004)
    assert Caveat.TIMER_INFLATION not in found.caveats


def test_models_of_other_steps_share_what_they_share() -> None:
    machine = Machine({"a": LAYERS, "b": (*LAYERS, 200_000)}, fused=("a",))
    found = against(machine, 3)
    assert [len(row.layers) for row in found.rows] == [2, 1, 1]
    assert found.rows[2].verdict is Verdict.ONLY_B
    assert found.rows[0].ratio == pytest.approx(1.0, abs=0.01)
    assert found.rows[0].a_ns == pytest.approx(1.3e6, rel=0.02)


def test_a_slow_model_gets_three_rounds() -> None:
    a, b = measured(Machine({"a": [80 * MS], "b": [90 * MS]}, jitter=0.001), 1, 0.05)
    assert a.timings is not None
    assert b.timings is not None
    assert a.timings.latency_ns.size == b.timings.latency_ns.size == 3
    found = compare([([a], [b])], 0.02, in_turn=True).pairs[0]
    assert found.latency.ratio == pytest.approx(9 / 8, rel=0.02)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_end_of_one_process_is_told_and_ends_the_other(name: str) -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS}, gone={name: 5})
    with pytest.raises(BackendError, match="ended without a result") as caught:
        measured(machine, 2)
    assert caught.value.where == name
    assert len(machine.threads) == 2
    assert not any(thread.is_alive() for thread in machine.threads)


def test_runs_that_were_not_in_turn_are_refused() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS})
    (a, _), (b, _) = measured(machine, 2, 0.1), measured(machine, 3, 0.1)
    with pytest.raises(ValueError, match="no pairs: 2 and 3 processes"):
        compare([([a], [b])], 0.02, in_turn=True)
    with pytest.raises(ValueError, match="no pairs: 2 and 1 runs"):
        compare([([a, a], [b])], 0.02, in_turn=True)


def test_one_thread_is_on_one_core_and_the_next_pairs_on_the_next(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1}, raising=False)
    assert [cores(job(), pair) for pair in range(6)] == [{1}, {1}, {3}, {3}, {1}, {1}]
    assert cores(job().asking(threads=2), 0) == set()
    gpu = Device("cuda:0", "cuda", "GPU")
    assert cores(replace(job(), device=gpu), 0) == set()


def test_the_second_process_of_a_pair_is_on_the_core_of_the_first(monkeypatch) -> None:
    monkeypatch.setattr("onnxprof.processes.cores._BEFORE", [frozenset({1, 3})])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)  # kept off 1
    assert [cores(job(), pair) for pair in range(4)] == [{1}, {1}, {3}, {3}]


class Threads:
    """A process whose other threads spin until some time, in place of `time`."""

    def __init__(self, spinning_until: float) -> None:
        self.now, self.spinning_until = 0.0, spinning_until

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return min(self.now, self.spinning_until)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("spinning", "least", "most"), [(0.0, 0.0, 0.02), (0.1, 0.1, 0.15), (9.0, 0.3, 0.35)]
)
def test_threads_that_spin_are_waited_for_but_not_for_ever(
    spinning: float, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "time", Threads(spinning))
    assert least <= turns.fall_asleep() <= most


#: A backend that dies or hangs at the twentieth inference of a model with that name.
MORTAL = """
import os, signal, time
from contextlib import contextmanager
from onnxprof.testing import FakeBackend, ScriptedClock

class Session:
    def __init__(self, session, deed):
        self.session, self.deed, self.count = session, deed, 0
    def __getattr__(self, name):
        return getattr(self.session, name)
    def infer(self):
        self.count += 1
        time.sleep(0.002)
        if self.count == 20 and self.deed == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.count == 20 and self.deed == "hang":
            time.sleep(3600)
        self.session.infer()

class Mortal(FakeBackend):
    def __init__(self):
        super().__init__(name="mortal", step_ns=(1000,))

    @contextmanager
    def open(self, workload):
        deed = os.path.basename(str(workload.model.source)).split(".")[0]
        with super().open(workload) as session:
            yield Session(session, deed)
"""


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mortal_backend.py").write_text(textwrap.dedent(MORTAL))
    info = tmp_path / "mortal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mortal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[onnxprof.backends]\nmortal = mortal_backend:Mortal\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # a spawned process takes the path over
    return tmp_path


def real(folder: Path, name: str) -> Job:
    path = models.save(models.linear(), folder, f"{name}.onnx")
    model = open_model(str(path))
    asked = job(name, 1, 0.2).asking(backend="mortal", parity=False)
    return replace(asked, model=opened(model), table=inspect(model, 1))


def test_processes_of_their_own_take_turns(mortal: Path) -> None:
    a, b = alternate(real(mortal, "one"), real(mortal, "two"), Limits(60), lambda *_: None)
    assert a.timings is not None
    assert b.timings is not None
    assert set(a.timings.latency_block) == set(b.timings.latency_block)
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("deed", "limits", "message"),
    [("crash", Limits(60), "ended by SIGSEGV"), ("hang", Limits(6), "stopped after 6 s")],
)
def test_what_goes_wrong_in_one_process_ends_both(
    mortal: Path, deed: str, limits: Limits, message: str
) -> None:
    with pytest.raises(BackendError, match=message) as caught:
        alternate(real(mortal, "good"), real(mortal, deed), limits, lambda *_: None)
    assert caught.value.where == f"{deed} at batch 1"
    assert multiprocessing.active_children() == []


def test_an_interrupt_ends_both(mortal: Path) -> None:
    def interrupted(planned: Job, phase: str, share: float) -> None:
        if phase == "measuring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        alternate(real(mortal, "one"), real(mortal, "two"), Limits(60), interrupted)
    assert multiprocessing.active_children() == []


def test_later_processes_cut_where_the_first_one_did(monkeypatch) -> None:
    asked: list[tuple[Timer, tuple[int, ...]]] = []

    def measured(job: Job, limits: Limits, progress: Any) -> Run:
        asked.append((job.options.timer, job.prefix_steps))
        run = sample_run(seed=len(asked))
        assert run.timings
        rounds = np.arange(12).reshape(3, 4)
        timings = replace(run.timings, timer=Timer.PREFIX, prefix_steps=(0, 2, 3), prefix_ns=rounds)
        return replace(run, timings=timings)

    monkeypatch.setattr(sweep, "run_isolated", measured)
    merged = sweep.measured(job("a", 3), Limits(), lambda *_: None)
    assert asked == [(Timer.AUTO, ())] + 2 * [(Timer.PREFIX, (0, 2, 3))]
    assert merged.timings is not None
    assert merged.timings.prefix_steps == (0, 2, 3)
