"""The measurement protocol on a scripted clock."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from support.measure.protocol import MS, kinds, run, workload

from onnxprof.analysis import intervals
from onnxprof.analysis.thresholds import unsteadiness
from onnxprof.errors import BackendError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Session, Trace, Workload
from onnxprof.records.layer import Tensor
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import FakeBackend, FakeSession, ScriptedClock


def test_steady_steps_are_measured_exactly() -> None:
    found = run(FakeBackend(step_ns=(3 * MS, 2 * MS, MS), gap_ns=100_000, load_ns=7 * MS))
    assert found.timings.load_ns == 7 * MS
    assert intervals.median_ns(found.timings.latency_ns) == 6_100_000
    assert np.median(found.timings.step_ns, axis=1).tolist() == [3 * MS, 2 * MS, MS]
    assert found.warnings == ()


def test_the_first_inference_is_kept_apart() -> None:
    slow_first = lambda count: 50 * MS if count == 0 else MS  # noqa: E731
    found = run(FakeBackend(step_ns=(slow_first, MS, MS), gap_ns=0))
    assert found.timings.first_ns == 52 * MS
    assert found.timings.latency_ns.max() == 3 * MS
    assert found.timings.warmup_ns.max() == 3 * MS


def test_every_traced_sample_is_that_of_its_own_inference() -> None:
    found = run(FakeBackend(step_ns=(lambda n: MS + n, 2 * MS, MS), gap_ns=0, traced_cost_ns=1000))
    sums = found.timings.step_ns.sum(axis=0)
    assert np.array_equal(sums, found.timings.traced_ns)
    assert found.timings.step_ns.shape == (3, found.timings.traced_ns.size)


def test_blocks_alternate_and_open_with_an_inference_that_is_no_sample() -> None:
    class Watched(FakeBackend):
        order: list[str] = []  # noqa: RUF012

        @contextmanager
        def open(self, job: Workload):
            with super().open(job) as session:
                yield Noted(session, "plain")

        @contextmanager
        def open_traced(self, job: Workload):
            with super().open_traced(job) as session:
                yield Noted(session, "traced")

    class Noted:
        def __init__(self, session: FakeSession, kind: str) -> None:
            self.session, self.kind = session, kind
            self.outputs, self.trace = session.outputs, session.trace

        def infer(self) -> None:
            Watched.order.append(self.kind)
            self.session.infer()

    found = run(Watched())
    changes = sum(a != b for a, b in zip(Watched.order, Watched.order[1:], strict=False))
    blocks = int(found.timings.latency_block[-1]) + 1
    assert blocks >= 12
    assert changes >= 2 * blocks - 1
    unprofiled = Watched.order.count("plain")
    kept = found.timings.latency_ns.size + found.timings.warmup_ns.size
    assert unprofiled == kept + 1 + blocks  # the first inference, and one a block


def test_it_stops_early_once_the_median_is_known() -> None:
    backend = FakeBackend(step_ns=(MS, MS, MS))
    run(backend, seconds=1000.0)
    assert backend.clock.now_ns < 600e9


def test_noise_that_hides_the_median_is_told() -> None:
    rng = np.random.default_rng(1)
    noisy = lambda _: int(rng.integers(1 * MS, 30 * MS))  # noqa: E731
    found = run(FakeBackend(step_ns=(noisy, 0, 0)), seconds=1.0)
    assert WarningKind.WIDE_INTERVAL in kinds(found)


def test_a_slow_model_gets_a_few_samples_and_says_so() -> None:
    backend = FakeBackend(step_ns=(10_000 * MS, 0, 0))
    found = run(backend, seconds=1.0)
    assert 3 <= found.timings.latency_ns.size < 20
    assert found.timings.traced_ns.size >= 1
    assert WarningKind.FEW_SAMPLES in kinds(found)
    assert WarningKind.UNSTEADY_WARMUP in kinds(found)


def test_an_endless_warm_up_is_cut_off_and_told() -> None:
    speeding = lambda n: int(100 * MS * 0.97**n) + MS  # noqa: E731
    found = run(FakeBackend(step_ns=(speeding, 0, 0)), seconds=3.0)
    warning = next(w for w in found.warnings if w.kind is WarningKind.UNSTEADY_WARMUP)
    assert warning.value > 0.02


def test_an_expensive_timer_is_told() -> None:
    found = run(FakeBackend(step_ns=(MS, MS, MS), gap_ns=0, traced_cost_ns=MS // 2))
    inflation = next(w for w in found.warnings if w.kind is WarningKind.TIMER_INFLATION)
    assert inflation.value == pytest.approx(1.5, rel=0.01)
    overhead = next(w for w in found.warnings if w.kind is WarningKind.NEGATIVE_OVERHEAD)
    assert overhead.value == pytest.approx(-0.5, rel=0.01)


def test_an_obstacle_and_a_lost_batch_are_on_the_record() -> None:
    class Loses(FakeSession):
        def outputs(self) -> Sequence[Tensor]:
            name = self.workload.table.nodes[-1].outputs[0].name
            return (Tensor(name, "float32", (1, 4, 8, 8)),)

    class Forgetful(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Loses(made.clock, job, made.step_ns, made.gap_ns, cost)

    found = run(Forgetful(), job=workload(8, obstacle="layer a (Concat): mixes batches"))
    told = {w.kind: w for w in found.warnings}
    assert told[WarningKind.FIXED_BATCH].subject.startswith("layer a")
    assert told[WarningKind.BATCH_LOST].value == 1


def test_a_broken_runtime_is_an_error_of_its_own() -> None:
    with pytest.raises(BackendError, match="no such kernel"):
        run(FakeBackend(broken="no such kernel"))


def test_progress_names_each_phase_and_never_goes_back() -> None:
    told: list[tuple[str, float]] = []
    backend = FakeBackend(ScriptedClock())
    measure(backend, workload(), Budget(1.0), backend.clock, lambda *p: told.append(p))
    phases = list(dict.fromkeys(phase for phase, _ in told))
    assert phases[:3] == ["loading", "warming up", "loading under the timer"]
    assert phases[3:] == ["measuring", "reading the trace"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("times", "expected"),
    [([5] * 10, 0.0), ([10] * 5 + [5] * 5, 1.0), ([4, 4, 2, 2], 1.0)],
)
def test_unsteadiness_compares_the_last_two_windows(times: list[int], expected: float) -> None:
    assert unsteadiness(times) == expected


def test_unsteadiness_of_too_few_is_unknown() -> None:
    assert np.isnan(unsteadiness([1, 2, 3]))


def test_an_empty_call_is_timed_beside_the_trace() -> None:
    found = run(FakeBackend(gap_ns=70_000))
    assert set(found.timings.empty_ns.tolist()) == {70_000}
    assert run(FakeBackend(uncuttable="no")).timings.empty_ns.size == 0
    assert run(FakeBackend(), timer=Timer.PREFIX).timings.empty_ns.size == 0


def test_overhead_beyond_an_empty_call_is_told_with_the_figures() -> None:
    class Idle(FakeBackend):
        """Half of an inference passes between the steps, but not in an empty call."""

        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Slow(made.clock, job, (lambda _: MS,) * 3, gap_ns=3 * MS)

    class Slow(FakeSession):
        def prefixes(self, counts: Sequence[int]) -> list[FakeSession]:
            return [FakeSession(self.clock, self.workload, (), 50_000) for _ in counts]

    told = {w.kind: w for w in run(Idle()).warnings}
    assert told[WarningKind.HIGH_OVERHEAD].value == pytest.approx(0.5, rel=0.01)
    assert told[WarningKind.HIGH_OVERHEAD].bound == pytest.approx(0.03 + 0.05 / 6, rel=0.01)
    assert WarningKind.HIGH_OVERHEAD not in kinds(run(FakeBackend(gap_ns=3 * MS)))


def test_the_steady_stretch_has_the_device_to_itself() -> None:
    """The traced session is let go of before it, cycles and all."""

    class Heavy(FakeSession):
        pass

    class Two(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            heavy = Heavy(made.clock, job, made.step_ns, made.gap_ns, cost)
            heavy.itself = heavy  # type: ignore[attr-defined]
            alive.append(weakref.ref(heavy))
            return heavy

    class Looker:
        def loaded(self, session: Session) -> None:
            pass

        def steady(self, session: Session) -> None:
            there.extend(ref() is session for ref in alive if ref() is not None)

    alive: list[weakref.ref[Heavy]] = []
    there: list[bool] = []
    backend = Two()
    measure(
        *(backend, workload(), Budget(1.0), backend.clock, lambda *_: None),
        timer=Timer.TRACE,
        observer=Looker(),
    )
    assert len(alive) == 2
    assert there == [True]


def test_steps_of_another_provider_are_told_with_their_share() -> None:
    class Torn(FakeSession):
        def trace(self) -> Trace:
            found = super().trace()
            steps = (replace(found.steps[0], provider="other"), *found.steps[1:])
            return replace(found, steps=steps, provider="fake")

    class Backend(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Torn(made.clock, job, made.step_ns, made.gap_ns, cost)

    told = {w.kind: w for w in run(Backend()).warnings}
    assert told[WarningKind.FALLBACK_PROVIDER].subject == "other"
    assert told[WarningKind.FALLBACK_PROVIDER].value == pytest.approx(1 / 3.5, rel=0.01)
    assert WarningKind.FALLBACK_PROVIDER not in kinds(run(FakeBackend()))


def test_a_truncated_trace_gives_the_inferences_that_it_holds() -> None:
    class Cut(FakeSession):
        def trace(self) -> Trace:
            found = super().trace()
            return replace(found, step_ns=found.step_ns[:, :9])

    class Backend(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Cut(made.clock, job, made.step_ns, made.gap_ns, cost)

    found = run(Backend())
    assert 0 < found.timings.traced_ns.size == found.timings.step_ns.shape[1] < 9
    told = {w.kind: w for w in found.warnings}
    assert told[WarningKind.TRUNCATED_PROFILE].value == 9
