"""The ort backend on real graphs, and the layers that it ties its steps to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import fusions, models
from support.runs.ort_runs import covered, trace_of, workload

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.errors import BackendError, UsageError
from onnxprof.records.step import Confidence, Granularity

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def conv_net() -> onnx.ModelProto:
    """Conv, BatchNorm, Relu, then Conv, Add, Relu with a skip, then pooling and a dead end."""
    statistics = [models.weight(name, 16) for name in "sbm"] + [
        onnx.numpy_helper.from_array(np.ones(16, np.float32), "v")
    ]
    nodes = [
        models.node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        models.node("BatchNormalization", ["c1", "s", "b", "m", "v"], ["n1"], "bn1"),
        models.node("Relu", ["n1"], ["r1"], "relu1"),
        models.node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        models.node("Add", ["c2", "r1"], ["a"], "add"),
        models.node("Relu", ["a"], ["r2"], "relu2"),
        models.node("GlobalAveragePool", ["r2"], ["g"], "pool"),
        models.node("Identity", ["c1"], ["unused"], "dead"),
    ]
    weights = [models.weight("w1", 16, 3, 3, 3), models.weight("w2", 16, 16, 3, 3), *statistics]
    image = models.value("x", ["N", 3, 16, 16])
    return models.model(nodes, [image], [models.value("g", ["N", 16, 1, 1])], weights)


def test_fused_convolutions_cover_their_layers(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(conv_net(), tmp_path), batch=2))
    owner = covered(trace)
    assert owner["conv1"] == owner["bn1"] == owner["relu1"]
    assert owner["conv2"] == owner["add"] == owner["relu2"]
    assert owner["pool"] not in (owner["conv1"], owner["conv2"])
    assert "dead" not in owner
    assert all(s.confidence is Confidence.EXACT for s in trace.steps if s.layers)
    assert {s.op_type for s in trace.steps if not s.layers} <= {"ReorderInput", "ReorderOutput"}


def test_as_written_every_layer_is_a_step(tmp_path: Path) -> None:
    job = workload(models.save(conv_net(), tmp_path), granularity=Granularity.WRITTEN)
    trace = trace_of(job)
    assert {s.name: s.layers for s in trace.steps} == {
        layer.name: (layer.name,) for layer in job.table.nodes if layer.name != "dead"
    } | ({"dead": ("dead",)} if "dead" in {s.name for s in trace.steps} else {})


def test_each_inference_has_a_time_for_each_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(conv_net(), tmp_path)), 5)
    assert trace.step_ns.shape == (len(trace.steps), 5)
    assert (trace.step_ns >= 0).all()
    assert trace.step_ns.sum() > 0


def test_the_branch_taken_is_timed_and_the_other_is_not(tmp_path: Path) -> None:
    job = workload(models.save(models.branching(), tmp_path))
    trace = trace_of(job)
    owner = covered(trace)
    inside = [layer.name for layer in job.table.nodes if layer.parent]
    taken = [name for name in inside if name in owner]
    assert taken
    assert len(taken) < len(inside)


@pytest.mark.parametrize(
    "build",
    [models.looped, models.with_function, models.quantised, models.recurrent, models.tf_style],
    ids=lambda build: build.__name__,
)
def test_no_layer_is_covered_twice_and_most_time_is_tied(build, tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(build(), tmp_path)))
    layers = [name for step in trace.steps for name in step.layers]
    assert layers
    assert len(layers) == len(set(layers))
    assert not set(layers) & set(trace.folded)


@pytest.mark.parametrize("name", ["squeezenet", "resnet50", "shufflenet", "inception_v1"])
def test_every_live_layer_of_real_networks_is_accounted_for(name: str) -> None:
    job = workload(LIGHT / f"light_{name}.onnx")
    trace = trace_of(job, 2)
    accounted = set(covered(trace)) | set(trace.folded)
    assert {layer.name for layer in job.table.nodes} <= accounted
    assert {s.op_type for s in trace.steps if not s.layers} <= {"ReorderInput", "ReorderOutput"}


def test_sessions_reuse_their_outputs_and_report_them(tmp_path: Path) -> None:
    with OrtBackend().open(workload(models.save(conv_net(), tmp_path), batch=4)) as session:
        for _ in range(3):
            session.infer()
        (output,) = session.outputs()
    assert (output.name, output.dtype, output.shape) == ("g", "float32", (4, 16, 1, 1))


def test_outputs_that_are_no_tensors_still_run(tmp_path: Path) -> None:
    with OrtBackend().open(workload(models.save(models.sequences(), tmp_path))) as session:
        for _ in range(3):
            session.infer()
        assert session.outputs()


def test_an_unknown_operator_is_the_runtimes_error_in_one_line(tmp_path: Path) -> None:
    job = workload(models.save(models.custom_domain(), tmp_path))
    with pytest.raises(BackendError) as caught, OrtBackend().open(job):
        pass
    assert "\n" not in str(caught.value)


def test_another_provider_is_refused(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), provider="npu")
    with pytest.raises(UsageError, match="no provider 'npu'"), OrtBackend().open(job):
        pass


def test_the_backend_says_where_it_works() -> None:
    state = OrtBackend().availability()[0]
    assert state.usable
    assert state.device.startswith("cpu:")
    assert state.detail.startswith("onnxruntime 1.")


def constant_branch() -> onnx.ModelProto:
    """An If whose condition is known once sizes are: the runtime inlines the branch."""
    branch = onnx.helper.make_graph(
        [
            models.node("Sigmoid", ["x"], ["inner"], "sigmoid"),
            models.node("Exp", ["inner"], ["then_out"], "exp"),
        ],
        "then",
        [],
        [models.value("then_out", None)],
    )
    other = onnx.helper.make_graph(
        [models.node("Neg", ["x"], ["else_out"], "negate")],
        "else",
        [],
        [models.value("else_out", None)],
    )
    nodes = [
        models.node("Shape", ["x"], ["shape"], "shape"),
        models.node("Gather", ["shape", "one"], ["width"], "width"),
        models.node("Equal", ["width", "four"], ["is_four"], "equal"),
        models.node("If", ["is_four"], ["y"], "if", then_branch=branch, else_branch=other),
        models.node("Neg", ["y"], ["z"], "last"),
    ]
    given = [
        onnx.numpy_helper.from_array(np.array(1, np.int64), "one"),
        onnx.numpy_helper.from_array(np.array(4, np.int64), "four"),
    ]
    return models.model(nodes, [models.value("x", ["N", 4])], [models.value("z", None)], given)


def test_an_inlined_branch_keeps_its_layers(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(constant_branch(), tmp_path), batch=2))
    assert "If" not in {step.op_type for step in trace.steps}
    owner = covered(trace)
    assert {"sigmoid", "exp", "last"} <= set(owner)
    assert "negate" not in owner
    assert {"shape", "width", "equal"} <= set(trace.folded)


@pytest.mark.parametrize(
    "build",
    [conv_net, models.branching, models.looped, models.recurrent, models.quantised],
    ids=lambda build: build.__name__,
)
def test_prefixes_run_the_first_steps_and_give_the_same_results(build, tmp_path: Path) -> None:
    if build is models.branching:
        fusions.needs_cut_branches()
    job = workload(models.save(build(), tmp_path))
    with OrtBackend().open_traced(job) as session:
        for _ in range(3):
            session.infer()
        whole = session.values()
        trace = session.trace()
        assert trace.length == 1 + max(step.position for step in trace.steps)
        sessions = session.prefixes(range(trace.length + 1))
        for prefix in sessions:
            for _ in range(3):
                prefix.infer()
        last = sessions[-1].values()
    assert set(last) == set(whole)
    assert all(np.array_equal(last[name], whole[name]) for name in whole)


def test_steps_of_a_subgraph_stand_where_their_control_flow_step_stands(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(models.looped(), tmp_path)))
    position = {step.name: step.position for step in trace.steps}
    assert position["double"] == position["loop"]


def test_an_output_that_is_listed_twice_is_bound_once(tmp_path: Path) -> None:
    made = conv_net()
    made.graph.output.append(made.graph.output[0])
    job = workload(models.save(made, tmp_path), batch=2)
    assert trace_of(job).steps
    with OrtBackend().open(job) as session:
        session.infer()
        assert [tensor.name for tensor in session.outputs()] == ["g"]
