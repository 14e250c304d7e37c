"""The graph of a large model, optimised before it is timed: the same steps, and none left open."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from support.networks import models
from support.runs.jobs import job
from support.runs.ort_runs import workload

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.check import observe
from onnxprof.backends.ort.graphs import beforehand
from onnxprof.backends.ort.graphs.saved import Saved
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.session import BoundSession
from onnxprof.jobs.child import perform
from onnxprof.plugins.verbs import begin, lasts, prepared
from onnxprof.records.run import Run
from onnxprof.records.step import Granularity, Timer
from onnxprof.testing import FakeBackend

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beforehand, "_LARGE_BYTES", 1)


def steps(run: Run) -> list[tuple[str, str, tuple[str, ...], str]]:
    return [(s.name, s.op_type, s.layers, s.verdict) for s in run.steps]


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.PREFIX])
def test_a_run_has_the_steps_and_outputs_that_it_has_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timer: Timer
) -> None:
    path = models.save(models.lenet(), tmp_path)
    large = perform(job(path, timer=timer), lambda *_: None)
    monkeypatch.setattr(beforehand, "_LARGE_BYTES", 1 << 40)
    small = perform(job(path, timer=timer), lambda *_: None)
    assert steps(large) == steps(small)
    assert {step.verdict for step in large.steps if step.layers} == {"verified"}
    assert large.parity is not None
    assert large.parity.passed is True
    assert large.timings is not None
    assert bool(large.timings.prefix_ns.size) == (timer is Timer.PREFIX)


@pytest.mark.usefixtures("everything_is_large")
def test_it_is_saved_once_and_the_traced_session_maps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, job = OrtBackend(), workload(models.save(models.lenet(), tmp_path))
    loaded: list[object] = []
    create = ort_session.create

    def counted(asked, model, configure):
        loaded.append(model.source)
        return create(asked, model, configure)

    monkeypatch.setattr(ort_session, "create", counted)
    with prepared(backend, job) as made:
        assert isinstance(made.made, Saved)
        assert loaded == [job.model.source]
        with backend.open(made) as plain, backend.open_traced(made) as traced:
            assert loaded[1:] == [job.model.source, made.made.path]
            plain.infer()
            traced.infer()
            for name, expected in plain.values().items():
                np.testing.assert_allclose(traced.values()[name], expected, rtol=1e-4, atol=1e-6)
            trace = traced.trace()
            assert trace.step_ns.shape[1] == 1
            assert {name for step in trace.steps for name in step.layers}
            proof = traced.proof()
            assert proof.saved.path.exists()
            proof.close()
    assert not made.made.path.exists()


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("asked", [{"granularity": Granularity.WRITTEN}, {"provider": "openvino"}])
def test_what_is_not_optimised_here_is_left_as_it_is(tmp_path: Path, asked: dict) -> None:
    job = workload(models.save(models.lenet(), tmp_path), **asked)
    with beforehand.saved_beforehand(job) as made:
        assert made is job


def test_small_models_and_those_with_bodies_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = workload(models.save(models.lenet(), tmp_path))
    with beforehand.saved_beforehand(small) as made:
        assert made is small
    monkeypatch.setattr(beforehand, "_LARGE_BYTES", 1)
    monkeypatch.setattr(beforehand, "control_flow", lambda graph: iter(graph.node[:1]))
    with beforehand.saved_beforehand(small) as made:
        assert made is small


@pytest.mark.usefixtures("everything_is_large")
def test_a_graph_that_cannot_be_saved_or_loaded_is_traced_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, job = OrtBackend(), workload(models.save(models.lenet(), tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(beforehand, "saving", lambda *_: None)
        with prepared(backend, job) as made:
            assert made is job
    with prepared(backend, job) as made:
        made.made.path.write_bytes(b"\x08\x07")  # a message without a graph
        with backend.open_traced(made) as traced:
            traced.infer()
            assert traced.trace().steps


def test_a_session_ends_when_it_is_let_go_of(tmp_path: Path) -> None:
    job = workload(models.save(models.lenet(), tmp_path))
    gc.disable()
    try:
        bound = BoundSession(ort_session.load(job), job.inputs, ort_session.place_of(job))
        for _ in range(3):
            bound.infer()
        gone = weakref.ref(bound.session)
        del bound
        assert gone() is None
    finally:
        gc.enable()


def test_the_original_is_let_go_of_before_the_executed_graph_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref] = []
    alive: list[int] = []
    make = observe._session

    def counted(*arguments, **more):
        alive.append(sum(each() is not None for each in held))
        made = make(*arguments, **more)
        held.append(weakref.ref(made))
        return made

    monkeypatch.setattr(observe, "_session", counted)
    run = perform(job(models.save(models.lenet(), tmp_path)), lambda *_: None)
    assert {step.verdict for step in run.steps if step.layers} == {"verified"}
    assert alive == [0, 0]


def test_a_backend_without_these_verbs_needs_none(tmp_path: Path) -> None:
    backend, job = FakeBackend(), workload(models.save(models.lenet(), tmp_path))
    begin(backend)
    assert not lasts(backend, "cpu")
    with prepared(backend, job) as made:
        assert made is job
