"""Weights that stay in the model's file: for checks all of them, under the timer large matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import load_external_data_for_model
from support.networks import models
from support.networks.models import node, value, weight
from support.runs.jobs import job
from support.runs.ort_runs import workload
from support.runs.verified import Checked, opened

from onnxprof.backends.ort import backend, traced
from onnxprof.backends.ort.check import observe
from onnxprof.backends.ort.graphs import saved
from onnxprof.checks import reference
from onnxprof.jobs.child import perform
from onnxprof.model.graph import skim
from onnxprof.model.graph.read import light, read_prepared
from onnxprof.model.graph.skim import referring
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Timer

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def perceptron(width: int = 64) -> onnx.ModelProto:
    """Three matrices, of which the second is also read as it is."""
    nodes = [
        node("MatMul", ["x", "w0"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "relu"),
        node("Gemm", ["b", "w1", "v"], ["c"], "second"),
        node("MatMul", ["c", "w2"], ["d"], "third"),
        node("Transpose", ["w1"], ["t"], "turned"),
        node("MatMul", ["d", "t"], ["y"], "fourth"),
    ]
    stored = [weight(f"w{i}", width, width, seed=i) for i in range(3)]
    ends = [value("x", ["N", width])], [value("y", ["N", width])]
    return models.model(nodes, *ends, [*stored, weight("v", width)])


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skim, "_REFERRED_BYTES", 1024)
    monkeypatch.setattr(saved, "_MANY_BYTES", 1)


@pytest.mark.usefixtures("everything_is_large")
def test_references_lead_to_the_same_weights(tmp_path: Path) -> None:
    path = models.save(perceptron(), tmp_path)
    made = onnx.load_model_from_string(referring(path))
    outside = [t.name for t in made.graph.initializer if t.data_location == t.EXTERNAL]
    assert outside == ["w0", "w1", "w2"]
    assert len(made.SerializeToString()) < 3000
    load_external_data_for_model(made, str(tmp_path))
    for here, there in zip(made.graph.initializer, perceptron().graph.initializer, strict=True):
        both = map(onnx.numpy_helper.to_array, (here, there))
        np.testing.assert_array_equal(*both)


@pytest.mark.usefixtures("everything_is_large")
def test_references_are_made_for_the_names_that_are_given(tmp_path: Path) -> None:
    path = models.save(perceptron(), tmp_path)
    made = onnx.load_model_from_string(referring(path, {"w2", "v", "x"}))
    outside = [t.name for t in made.graph.initializer if t.data_location == t.EXTERNAL]
    assert outside == ["w2"]
    assert referring(path, {"v"}) == b""


@pytest.mark.posix
def test_small_weights_changed_models_and_links_stay_as_they_are(tmp_path: Path) -> None:
    path = models.save(perceptron(), tmp_path)
    asked = PreparedModel(path, tmp_path)
    assert light(asked) is asked
    changed = PreparedModel(b"bytes", tmp_path)
    assert light(changed) is changed
    link = tmp_path / "link.onnx"
    link.symlink_to(path)
    linked = PreparedModel(link, tmp_path)
    assert light(linked) is linked


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_packed_is_a_matrix_that_nothing_else_reads(tmp_path: Path) -> None:
    job = workload(models.save(perceptron(), tmp_path))
    assert saved.matrices(read_prepared(light(job.model))) == {"w0", "w2"}
    assert saved.matrices(perceptron()) == frozenset(), "they are in the message"


@pytest.mark.usefixtures("everything_is_large")
def test_a_matrix_in_the_file_is_not_saved_until_prefixes_ask(tmp_path: Path) -> None:
    job = workload(models.save(perceptron(), tmp_path))
    with backend.OrtBackend().open_traced(job) as session:
        session.infer()
        expected = session.values()["y"]
        trace = session.trace()
        executed = onnx.load(session._saved.path, load_external_data=False)
        held = {t.name for t in executed.graph.initializer if t.data_location == t.EXTERNAL}
        assert held == {"w0", "w2"}
        assert session._saved.folder == tmp_path
        assert not list(session._saved.path.parent.glob("*.bin"))
        _, whole = session.prefixes((0, trace.length))
        whole.infer()
        np.testing.assert_allclose(whole.values()["y"], expected, rtol=1e-5)
        assert list(session._saved.path.parent.glob("*.bin"))


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.PREFIX])
def test_a_run_from_the_file_is_verified_and_right(tmp_path: Path, timer: Timer) -> None:
    path = models.save(perceptron(), tmp_path)
    run = perform(job(path, timer=timer), lambda *_: None)
    assert run.parity is not None
    assert run.parity.passed is True
    assert [step.verdict for step in run.steps if step.layers] != []
    assert {step.verdict for step in run.steps if step.layers} == {"verified"}
    assert bool(run.timings.prefix_ns.size) == (timer is Timer.PREFIX)


def test_the_extended_level_is_made_only_where_it_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    level = traced.at_level

    def counted(*arguments):
        made.append(arguments[-1])
        return level(*arguments)

    monkeypatch.setattr(traced, "at_level", counted)
    opened(models.save(models.lenet(), tmp_path, "lenet.onnx")).proof.close()
    assert made == []
    opened(models.save(models.quantised_convolution(), tmp_path, "q.onnx")).proof.close()
    assert made == ["ORT_ENABLE_EXTENDED"]


def sessions_of(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many sessions the check of a model opens."""
    count = 0
    values = observe._values

    def counted(*arguments):
        nonlocal count
        count += 1
        return values(*arguments)

    monkeypatch.setattr(observe, "_values", counted)
    checked.steps()
    return count


def test_a_model_without_doubts_is_run_once_on_each_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(models.save(models.lenet(), tmp_path)) as checked:
        assert sessions_of(checked, monkeypatch) == 2


def test_a_refuted_claim_is_looked_at_with_all_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(models.save(models.lenet(), tmp_path)) as checked:
        claims = {c.step: c.layers for c in checked.proof.claims if c.layers}
        first, second, *_ = claims
        checked.claim({first: claims[second], second: claims[first]})
        assert sessions_of(checked, monkeypatch) > 2
        steps = checked.steps()
        assert [steps[i].layers for i in (first, second)] == [claims[first], claims[second]]


def test_the_checks_reference_serves_for_the_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    infer = reference._infer

    def counted(*arguments):
        loaded.append(arguments)
        return infer(*arguments)

    monkeypatch.setattr(reference, "_infer", counted)
    path = models.save(models.lenet(), tmp_path)
    known = perform(job(path), lambda *_: None)
    assert loaded == []
    alone = perform(job(path, verify=False), lambda *_: None)
    assert len(loaded) == 1
    outputs = [
        (run.parity.reference, [o.name for o in run.parity.outputs]) for run in (known, alone)
    ]
    assert outputs[0] == outputs[1]
    assert known.parity.passed is alone.parity.passed is True
