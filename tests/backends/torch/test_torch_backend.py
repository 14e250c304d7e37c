"""The torch backend on real graphs: sessions, times, outputs, prefixes."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.backends.torch_work import LIGHT, Builder, trace_of, workload
from support.networks import models

from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.checks.reference import check
from onnxprof.errors import ModelError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import PrefixSource
from onnxprof.records.step import Confidence, Granularity, Timer

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

from onnxprof.backends.torch import session as torch_session  # noqa: E402

BUILDERS = [
    models.lenet, models.branching, models.looped, models.recurrent, models.quantised,
    models.tf_style, models.with_function, models.sequences, models.attention,
    models.class_token, models.picks_first, models.linear,
]  # fmt: skip


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_outputs_are_those_of_the_reference(build: Builder, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the reference")
    job = workload(models.save(build(), tmp_path))
    with TorchBackend().open(job) as session:
        session.infer()
        parity = check(job, session.values())
        shapes = {tensor.name: tensor.shape for tensor in session.outputs()}
    assert parity.passed, parity
    assert set(shapes) == {output.name for output in parity.outputs}


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1"])
@pytest.mark.parametrize("batch", [1, 2])
def test_real_networks_pass_parity(name: str, batch: int) -> None:
    pytest.importorskip("onnxruntime", reason="the reference")
    job = workload(LIGHT / f"light_{name}.onnx", batch)
    with TorchBackend().open(job) as session:
        session.infer()
        assert check(job, session.values()).passed


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_each_layer_is_a_step_of_its_own(build: Builder, tmp_path: Path) -> None:
    job = workload(models.save(build(), tmp_path))
    trace = trace_of(job, 4)
    covered = [layer for step in trace.steps for layer in step.layers]
    assert len(covered) == len(set(covered))
    assert all(step.layers == (step.name,) for step in trace.steps)
    assert {step.confidence for step in trace.steps} == {Confidence.EXACT}
    kinds = {layer.name: layer.op_type for layer in job.table.nodes}
    assert all(kinds[step.name] == step.op_type for step in trace.steps)
    assert trace.step_ns.shape == (len(trace.steps), 4)
    assert (trace.step_ns >= 0).all()
    assert not set(covered) & set(trace.folded)


def test_times_of_layers_take_no_memory_while_measuring(tmp_path: Path) -> None:
    """A small array for each inference would move the buffers of the un-profiled session."""
    job = workload(models.save(models.lenet(), tmp_path))
    with TorchBackend().open_traced(job) as session:
        kept = session._times._kept
        for _ in range(5):
            session.infer()
        assert session._times._kept is kept


def test_more_inferences_than_were_announced_are_kept_in_order() -> None:
    times = torch_session.Times(layers=2, inferences=1)
    for number in range(5):
        times.next()[:] = (number, -number)
    np.testing.assert_array_equal(times.taken(), [[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]])


def test_times_of_no_inferences_are_none() -> None:
    assert torch_session.Times(layers=3, inferences=0).taken().shape == (3, 0)


def test_every_live_layer_of_a_real_network_has_a_time() -> None:
    job = workload(LIGHT / "light_squeezenet.onnx")
    trace = trace_of(job, 1)
    covered = {layer for step in trace.steps for layer in step.layers}
    assert {layer.name for layer in job.table.nodes} == covered | set(trace.folded)


def test_constants_are_folded_and_dead_layers_left_out(tmp_path: Path) -> None:
    nodes = [
        models.node("Add", ["w", "w"], ["w2"], "double"),
        models.node("MatMul", ["x", "w2"], ["y"], "product"),
        models.node("Relu", ["y"], ["unused"], "dead"),
    ]
    made = models.model(
        nodes, [models.value("x", [1, 4])], [models.value("y", None)], [models.weight("w", 4, 4)]
    )
    path = models.save(made, tmp_path)
    trace = trace_of(workload(path))
    assert trace.folded == ("double",)
    assert [step.name for step in trace.steps] == ["product"]
    written = trace_of(workload(path, granularity=Granularity.WRITTEN))
    assert written.folded == ()
    assert [step.name for step in written.steps] == ["double", "product", "dead"]


def test_layers_of_the_branch_taken_are_timed_inside_it(tmp_path: Path) -> None:
    job = workload(models.save(models.branching(), tmp_path))
    trace = trace_of(job)
    position = {step.name: step.position for step in trace.steps}
    inside = {layer.name for layer in job.table.nodes if layer.parent}
    taken = inside & set(position)
    assert taken
    assert len(taken) < len(inside)
    assert {position[name] for name in taken} == {position["choose"]}


def test_a_body_that_runs_often_is_timed_as_a_whole(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(models.looped(), tmp_path)))
    assert {"loop", "double"} <= {step.name for step in trace.steps}


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_prefixes_are_the_first_layers(build: Builder, tmp_path: Path) -> None:
    with TorchBackend().open_traced(workload(models.save(build(), tmp_path))) as session:
        session.infer()
        trace = session.trace()
        assert isinstance(session, PrefixSource)
        assert trace.length == 1 + max(step.position for step in trace.steps)
        for prefix in session.prefixes(range(trace.length + 1)):
            prefix.infer()
            prefix.infer()


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.PREFIX])
def test_a_whole_measurement(timer: Timer, tmp_path: Path) -> None:
    import time

    job = workload(models.save(models.lenet(), tmp_path), batch=2)
    found = measure(
        *(TorchBackend(), job, Budget(0.4), time.perf_counter_ns, lambda *_: None),
        timer=timer, keep_values=True,
    )  # fmt: skip
    assert bool(found.timings.prefix_ns.size) == (timer is Timer.PREFIX)
    assert found.timings.latency_ns.size
    assert found.values["Plus214_Output_0"].shape == (2, 10)


def test_a_detector_that_finds_nothing_passes(tmp_path: Path) -> None:
    """onnxruntime's Sigmoid is good to a rounding of 1, torch's to one of its result."""
    pytest.importorskip("onnxruntime", reason="the reference")
    nodes = [
        models.node("Abs", ["x"], ["a"], "size"),
        models.node("Sub", ["shift", "a"], ["s"], "far"),
        models.node("Sigmoid", ["s"], ["p"], "sigmoid"),
        models.node("Reshape", ["p", "shape"], ["y"], "reshape"),
    ]
    shift = onnx.numpy_helper.from_array(np.array([-17.0], np.float32), "shift")
    made = models.model(
        nodes,
        [models.value("x", [1, 64])],
        [models.value("y", [8, 8])],
        [shift, models.ints("shape", 8, 8)],
    )
    job = workload(models.save(made, tmp_path))
    with TorchBackend().open(job) as session:
        session.infer()
        (output,) = check(job, session.values()).outputs
    assert output.passed
    assert output.max_abs > 0, "they do differ"


def test_external_data_are_read_from_the_models_folder(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the reference")
    job = workload(models.external(models.lenet(), tmp_path))
    with TorchBackend().open(job) as session:
        session.infer()
        assert check(job, session.values()).passed
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match="external data"), TorchBackend().open(job):
        pass


@pytest.mark.filterwarnings("ignore:Reliance on distutils")
def test_a_compiled_model_is_one_step_of_all_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info < (3, 12):  # torch imports setuptools, which may find another distutils
        monkeypatch.setenv("SETUPTOOLS_USE_DISTUTILS", "stdlib")
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("torch.compile needs a C++ compiler")
    job = workload(models.save(models.linear(), tmp_path), provider="compile")
    with TorchBackend().open(job) as eager:
        eager.infer()
        values = eager.values()
    with TorchBackend().open(replace(job, provider="eager")) as session:
        session.infer()
        assert np.allclose(session.values()["y"], values["y"], atol=1e-6)
    trace = trace_of(job)
    (step,) = trace.steps
    assert step.layers == ("fc",)
    assert step.op_type == "torch.compile"
    assert trace.length == 0
    assert trace.step_ns.shape == (1, 3)
