"""The openvino backend on real graphs, and the layers that it ties its steps to."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import models
from support.runs.openvino_runs import (
    LIGHT,
    assert_same_values,
    covered,
    residual,
    trace_of,
    values_of,
    workload,
)

from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.errors import BackendError, UsageError
from onnxprof.machine.kernel import usable_cores
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend, Trace, Workload
from onnxprof.records.step import Confidence, Granularity, Timer
from onnxprof.records.warning import WarningKind

# not importorskip: importing OpenVINO by itself reports to its makers
if find_spec("openvino") is None:
    pytest.skip("needs onnxprof[openvino]", allow_module_level=True)
pytest.importorskip("onnxruntime", reason="values are compared with onnxruntime's")


def left_out(job: Workload, trace: Trace) -> set[str]:
    """The operators of layers that nothing ran for."""
    accounted = set(covered(trace)) | set(trace.folded)
    return {layer.op_type for layer in job.table.nodes if layer.name not in accounted}


def block() -> onnx.ModelProto:
    """A transformer's block: attention, LayerNormalization, a gated feed-forward part."""
    nodes = [
        models.node("LayerNormalization", ["x", "gain", "bias"], ["n"], "norm", axis=-1),
        *(models.node("MatMul", ["n", f"w{c}"], [c], f"matmul_{c}") for c in "qkv"),
        models.node("Transpose", ["k"], ["kt"], "transpose", perm=[0, 2, 1]),
        models.node("MatMul", ["q", "kt"], ["scores"], "scores"),
        models.node("Mul", ["scores", "scale"], ["scaled"], "scale"),
        models.node("Softmax", ["scaled"], ["p"], "softmax", axis=-1),
        models.node("MatMul", ["p", "v"], ["o"], "mix"),
        models.node("Add", ["o", "x"], ["r"], "residual"),
        models.node("MatMul", ["r", "wf"], ["f"], "feed"),
        models.node("Sigmoid", ["f"], ["s"], "sigmoid"),
        models.node("Mul", ["f", "s"], ["g"], "gate"),
        models.node("Add", ["g", "r"], ["y"], "residual2"),
    ]
    width = 32
    given = [
        *(models.weight(f"w{c}", width, width, seed=i) for i, c in enumerate("qkvf")),
        *(models.weight("gain", width), models.weight("bias", width)),
        onnx.numpy_helper.from_array(np.array(0.2, np.float32), "scale"),
    ]
    shape = ["N", 12, width]
    return models.model(nodes, [models.value("x", shape)], [models.value("y", shape)], given)


def constant_branch() -> onnx.ModelProto:
    """An If whose condition is known once sizes are, so that one branch alone is left."""
    branches = {}
    for name, operators in (("then", ("Sigmoid", "Exp")), ("else", ("Neg",))):
        tensors = ["x", *(f"{name}_{op}" for op in operators)]
        nodes = [
            models.node(op, [tensors[i]], [tensors[i + 1]], f"{name}_{op.lower()}")
            for i, op in enumerate(operators)
        ]
        out = [models.value(tensors[-1], None)]
        branches[f"{name}_branch"] = onnx.helper.make_graph(nodes, name, [], out)
    nodes = [
        models.node("Shape", ["x"], ["shape"], "shape"),
        models.node("Gather", ["shape", "one"], ["width"], "width"),
        models.node("Equal", ["width", "four"], ["is_four"], "equal"),
        models.node("If", ["is_four"], ["y"], "if", **branches),
        models.node("Neg", ["y"], ["z"], "last"),
    ]
    given = [
        onnx.numpy_helper.from_array(np.array(1, np.int64), "one"),
        onnx.numpy_helper.from_array(np.array(4, np.int64), "four"),
    ]
    return models.model(nodes, [models.value("x", ["N", 4])], [models.value("z", None)], given)


def cast(dtype: int) -> onnx.ModelProto:
    """An input of another type, its sum and itself as outputs."""
    nodes = [
        models.node("Cast", ["x"], ["f"], "widen", to=models.FLOAT),
        models.node("Mul", ["f", "f"], ["square"], "square"),
        models.node("Identity", ["x"], ["same"], "pass"),
    ]
    outputs = [models.value("square", ["N", 4]), models.value("same", ["N", 4], dtype)]
    return models.model(nodes, [models.value("x", ["N", 4], dtype)], outputs)


@pytest.mark.parametrize("batch", [1, 8])
def test_lenet_gives_onnxruntimes_values(batch: int, tmp_path: Path) -> None:
    assert_same_values(workload(models.save(models.lenet(), tmp_path), batch))


@pytest.mark.parametrize(
    "build",
    [
        *(residual, block, constant_branch, models.branching, models.looped, models.recurrent),
        *(models.quantised, models.tf_style, models.attention, models.sequences),
    ],
    ids=lambda build: build.__name__,
)
def test_values_are_right_and_no_layer_is_covered_twice(build, tmp_path: Path) -> None:
    job = workload(models.save(build(), tmp_path), 2)
    assert_same_values(job)
    trace = trace_of(job)
    known = [layer.name for layer in job.table.nodes]
    assert set(covered(trace)) | set(trace.folded) <= set(known)
    for step in trace.steps:
        assert sorted(step.layers, key=known.index) == list(step.layers)
    assert {s.op_type for s in trace.steps if not s.layers} <= {"Reorder"}


def test_fused_convolutions_cover_their_layers(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(residual(), tmp_path), 2))
    owner = covered(trace)
    assert owner["conv1"] == owner["bn1"] == owner["relu1"]
    assert owner["grouped"] != owner["conv2"]
    assert owner["add"] == owner["relu2"]
    assert "dead" not in owner
    assert all(s.confidence is Confidence.EXACT for s in trace.steps if s.layers)


def test_a_transformers_block_is_covered_whole(tmp_path: Path) -> None:
    job = workload(models.save(block(), tmp_path))
    trace = trace_of(job)
    assert left_out(job, trace) == {"Transpose"}  # the product reads its operand the other way
    assert not trace.folded


def test_what_depends_on_sizes_alone_is_folded(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(models.lenet(), tmp_path), 4))
    assert trace.folded == ("Times212_reshape1",)
    trace = trace_of(workload(models.save(constant_branch(), tmp_path), 2))
    assert {"shape", "width", "equal"} <= set(trace.folded)


def test_of_a_branch_that_is_decided_while_loading_only_its_layers_run(tmp_path: Path) -> None:
    owner = covered(trace_of(workload(models.save(constant_branch(), tmp_path), 2)))
    assert {"then_sigmoid", "then_exp", "last"} <= set(owner)
    assert "else_neg" not in owner


def test_an_if_is_one_step_with_the_layers_inside_it(tmp_path: Path) -> None:
    job = workload(models.save(models.branching(), tmp_path))
    trace = trace_of(job)
    owner = covered(trace)
    assert {owner[layer.name] for layer in job.table.nodes if layer.parent} == {owner["choose"]}
    (step,) = (s for s in trace.steps if "choose" in s.layers)
    assert step.confidence is Confidence.INFERRED


@pytest.mark.parametrize("name", ["squeezenet", "resnet50", "shufflenet", "inception_v1"])
def test_every_live_layer_of_real_networks_is_accounted_for(name: str) -> None:
    job = workload(LIGHT / f"light_{name}.onnx")
    trace = trace_of(job, 2)
    assert left_out(job, trace) <= {"Reshape", "Flatten", "Concat", "Transpose"}
    assert {s.op_type for s in trace.steps if not s.layers} <= {"Reorder"}


def test_names_that_the_runtime_gives_itself_are_not_taken_for_layers(tmp_path: Path) -> None:
    """Exporters, too, call nodes Reshape_5: here every small number of common types is taken."""
    kinds = ("Reshape", "Multiply", "Add", "Convert", "Subtract", "Constant", "Transpose")
    names = [f"{kind}_{number}" for number in range(1, 40) for kind in kinds]
    tensors = [f"t{i}" for i in range(len(names) + 1)]
    nodes = [
        models.node(("Sin", "Softsign")[i % 2], [tensors[i]], [tensors[i + 1]], name)
        for i, name in enumerate(names)
    ]
    shape = ["N", 4]
    made = models.model(nodes, [models.value("t0", shape)], [models.value(tensors[-1], shape)])
    job = workload(models.save(made, tmp_path))
    trace = trace_of(job)
    assert set(covered(trace)) == set(names)
    order = [name for step in trace.steps for name in step.layers]
    assert order == names  # a chain: steps in order cover it in order


def test_each_inference_has_a_time_for_each_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(residual(), tmp_path), 8), 7)
    assert trace.step_ns.shape == (len(trace.steps), 7)
    assert (trace.step_ns >= 0).all()
    assert trace.step_ns.sum() > 0


def test_a_trace_without_an_inference_is_empty(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(models.linear(), tmp_path)), 0)
    assert trace.step_ns.shape == (len(trace.steps), 0)


def test_steps_have_the_same_names_in_every_session(tmp_path: Path) -> None:
    job = workload(models.save(block(), tmp_path))
    first, second = trace_of(job), trace_of(job)
    assert [(s.name, s.layers) for s in first.steps] == [(s.name, s.layers) for s in second.steps]
    assert len({s.name for s in first.steps}) == len(first.steps)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_asked_for(threads: int, tmp_path: Path) -> None:
    if threads > usable_cores():
        pytest.skip("one core only")
    job = workload(models.save(models.lenet(), tmp_path), threads=threads)
    with OpenvinoBackend().open(job) as session:
        compiled = session.loaded.compiled
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        assert compiled.get_property("PERFORMANCE_HINT") == "LATENCY"


def test_more_threads_than_cores_are_refused_not_cut(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), threads=1000)
    with pytest.raises(BackendError, match=r"takes \d+ threads"), OpenvinoBackend().open(job):
        pass


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_symbolic_batch_is_given_its_size(batch: int, tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), batch)
    assert not isinstance(job.model.source, bytes)
    with OpenvinoBackend().open(job) as session:
        session.infer()
        (output,) = session.outputs()
    assert (output.name, output.dtype, output.shape) == ("y", "float32", (batch, 3))


@pytest.mark.parametrize("kind", ["FLOAT16", "INT8", "UINT8", "INT64", "BOOL", "DOUBLE"])
def test_inputs_of_other_types(kind: str, tmp_path: Path) -> None:
    dtype = onnx.TensorProto.DataType.Value(kind)
    assert_same_values(workload(models.save(cast(dtype), tmp_path), 2))


def test_bfloat16_goes_in_and_out(tmp_path: Path) -> None:
    job = workload(models.save(cast(onnx.TensorProto.BFLOAT16), tmp_path), 2)
    values = values_of(OpenvinoBackend(), job)
    assert values["same"].dtype.name == "bfloat16"
    np.testing.assert_array_equal(values["same"], job.inputs["x"])
    expected = job.inputs["x"].astype(np.float32) ** 2
    np.testing.assert_allclose(values["square"], expected, rtol=1e-2)


@pytest.mark.parametrize("rewritten", [False, True])
def test_external_data_is_found(rewritten: bool, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    job = workload(models.external(models.linear(2 if rewritten else "N"), folder), 4)
    assert isinstance(job.model.source, bytes) is rewritten
    assert_same_values(job)
    assert covered(trace_of(job)) == {"fc": "fc"}


def test_an_unknown_operator_is_an_error_that_names_it(tmp_path: Path) -> None:
    job = workload(models.save(models.custom_domain(), tmp_path))
    with pytest.raises(BackendError, match=r"com\.example\.Wobble") as caught:
        values_of(OpenvinoBackend(), job)
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


def test_a_damaged_model_is_an_error_in_one_line(tmp_path: Path) -> None:
    made = models.linear()
    made.graph.node[0].input[1] = "b"  # a vector where a matrix must be
    made.graph.node[0].input[2] = "w"
    job = workload(models.save(made, tmp_path))
    with pytest.raises(BackendError, match="OpenVINO cannot") as caught:
        values_of(OpenvinoBackend(), job)
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


def test_as_written_is_refused_with_a_way_out(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), granularity=Granularity.WRITTEN)
    with pytest.raises(BackendError, match="--backend ort"), OpenvinoBackend().open(job):
        pass


def test_another_device_is_refused(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), provider="cuda")
    with pytest.raises(UsageError, match="no device 'cuda'"), OpenvinoBackend().open(job):
        pass


def test_auto_times_every_step_by_either_timer(tmp_path: Path) -> None:
    from time import perf_counter_ns

    job = workload(models.save(models.lenet(), tmp_path))
    backend = OpenvinoBackend()
    found = measure(backend, job, Budget(0.2), perf_counter_ns, lambda *_: None, timer=Timer.AUTO)
    assert WarningKind.NO_PREFIXES not in {warning.kind for warning in found.warnings}
    assert found.timings.step_ns.shape == (len(found.trace.steps), found.timings.traced_ns.size)
    assert found.timings.prefix_ns.size or found.timings.empty_ns.size


def test_the_backend_is_a_plugin_that_says_where_it_works() -> None:
    backend = registry.backend("openvino")
    assert isinstance(backend, Backend)
    states = {state.device.partition(":")[0]: state for state in backend.availability()}
    assert states["cpu"].usable
    assert states["cpu"].detail.startswith("openvino 20")
    assert [d.id for d in backend.devices()] == [s.device for s in backend.availability()]


def python(code: str, home: Path) -> str:
    done = subprocess.run(
        *([sys.executable, "-c", code],),
        **{"capture_output": True, "text": True, "check": False},
        env={"HOME": str(home), "PATH": "", "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SPY = """
import socket
def spy(*arguments, **named):
    print("CALLED", arguments[:2])
    raise OSError("blocked")
socket.getaddrinfo = spy
socket.socket.connect = spy
{action}
import sys, time
time.sleep(0.5)
print("LOADED", "openvino" in sys.modules, "openvino_telemetry.main" in sys.modules)
"""


def test_nothing_calls_home(tmp_path: Path) -> None:
    """Importing OpenVINO by itself does, where the package that does it is installed."""
    action = (
        "from onnxprof.backends.openvino.backend import OpenvinoBackend\n"
        "assert OpenvinoBackend().availability()[0].usable"
    )
    said = python(SPY.format(action=action), tmp_path)
    assert said.splitlines() == ["LOADED True False"]
    assert not list(tmp_path.iterdir())  # nor is an identity written for it


def test_without_the_package_the_remedy_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from onnxprof.backends.openvino.backend import OpenvinoBackend\n"
        "(state,) = OpenvinoBackend().availability()\n"
        "print(state.usable, state.remedy, OpenvinoBackend().devices())"
    )
    assert python(code, tmp_path).strip() == 'False pip install "onnxprof[openvino]" ()'


def test_an_identity_is_what_the_runtime_makes_of_it(tmp_path: Path) -> None:
    nodes = [models.node("Identity", ["x"], ["y"], "pass")]
    made = models.model(nodes, [models.value("x", ["N", 4])], [models.value("y", ["N", 4])])
    job = workload(models.save(made, tmp_path), 3)
    assert_same_values(job)
    assert set(covered(trace_of(job))) <= {"pass"}


def test_strings_are_refused_before_they_end_the_process(tmp_path: Path) -> None:
    text = onnx.TensorProto.STRING
    nodes = [models.node("Identity", ["x"], ["y"], "pass")]
    ends = [models.value("x", ["N", 2], text)], [models.value("y", ["N", 2], text)]
    job = workload(models.save(models.model(nodes, *ends), tmp_path))
    with pytest.raises(BackendError, match="strings"), OpenvinoBackend().open(job):
        pass


def test_outputs_whose_size_depends_on_values(tmp_path: Path) -> None:
    nodes = [
        models.node("NonZero", ["x"], ["n"], "find"),
        models.node("Transpose", ["n"], ["y"], "turn"),
    ]
    ends = [models.value("x", ["N", 4])], [models.value("y", None, models.INT64)]
    job = workload(models.save(models.model(nodes, *ends), tmp_path), 2)
    assert_same_values(job)
    assert set(covered(trace_of(job))) == {"find", "turn"}
