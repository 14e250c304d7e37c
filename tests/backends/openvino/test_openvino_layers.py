"""Whose work OpenVINO's nodes do, on models that it fuses, splits, merges and rearranges."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from support.networks import models, runtime_models
from support.runs.openvino_runs import LIGHT, assert_same_values, covered, trace_of, workload

from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.marks import marks_in
from onnxprof.backends.openvino.graphs.steps import Listed, steps_of, tied
from onnxprof.errors import ModelError
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.records.step import Confidence, Step


def traced(made: onnx.ModelProto, folder: Path, batch: int = 1) -> Trace:
    return trace_of(workload(models.save(made, folder), batch))


def step_of(trace: Trace, layer: str) -> Step:
    (found,) = (step for step in trace.steps if layer in step.layers)
    return found


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op_type", ["LSTM", "GRU", "RNN"])
def test_sequences_are_the_recurrent_layers(
    op_type: str, direction: str, turned: bool, batch: int, tmp_path: Path
) -> None:
    """A Transpose before or behind it takes no part, and neither does a Reshape in place."""
    made = runtime_models.recurrent(op_type, direction, turned=turned)
    trace = traced(made, tmp_path, batch)
    cell = step_of(trace, "cell")
    assert cell.layers == ("cell",)
    assert f"{op_type}Sequence" in cell.op_type
    assert step_of(trace, "fc").layers == ("fc",)
    assert all("Sequence" not in step.op_type for step in trace.steps if step is not cell)


@pytest.mark.parametrize("batch", [1, 4])
def test_of_stacked_layers_each_has_its_own_sequences(batch: int, tmp_path: Path) -> None:
    trace = traced(runtime_models.stacked(), tmp_path, batch)
    for name in ("cell1", "cell2"):
        assert step_of(trace, name).layers == (name,)
        assert step_of(trace, name).nodes >= 2


def test_the_old_softmax_is_between_two_reshapes(tmp_path: Path) -> None:
    trace = traced(runtime_models.old_softmax(), tmp_path)
    assert step_of(trace, "softmax").layers == ("softmax",)
    assert "Softmax" in step_of(trace, "softmax").op_type


def test_equal_layers_are_the_surviving_ones(tmp_path: Path) -> None:
    """OpenVINO computes them once; the activations behind the other one did not."""
    trace = traced(runtime_models.twins(), tmp_path)
    step = step_of(trace, "first")
    assert step.layers == ("first", "second")
    assert step.op_type == "Convolution"
    assert "equal layers" in step.evidence
    assert not {"first", "second"} & set(step_of(trace, "mul").layers)


def test_an_activation_that_moved_before_a_transpose_is_no_work_of_the_transpose(
    tmp_path: Path,
) -> None:
    trace = traced(runtime_models.channels_last(), tmp_path)
    assert step_of(trace, "relu") is step_of(trace, "conv")
    for step in trace.steps:
        if "Transpose" in step.op_type:
            assert set(step.layers) <= {"to_nchw", "to_nhwc", "to_nchw2", "to_nhwc2"}


def test_a_channel_shuffle_is_one_step_of_three_layers(tmp_path: Path) -> None:
    trace = traced(runtime_models.shuffled(), tmp_path)
    assert step_of(trace, "unite").layers == ("apart", "turn", "unite")


def test_quantised_layers_widen_what_they_read(tmp_path: Path) -> None:
    trace = traced(runtime_models.quantised(), tmp_path)
    assert {"weights1", "weights2", "weights3"} <= set(trace.folded)
    first, second = step_of(trace, "conv1"), step_of(trace, "conv2")
    assert {"dequant0", "conv1", "relu1"} <= set(first.layers)
    assert "conv1" not in second.layers
    assert "dequant1" not in first.layers
    assert {first.op_type, second.op_type} == {"Convolution"}


def test_casts_that_nobody_runs_are_in_no_convolutions_step(tmp_path: Path) -> None:
    trace = traced(runtime_models.halved(), tmp_path)
    assert step_of(trace, "conv1").layers == ("conv1", "relu1")
    assert "fc" in step_of(trace, "fc").layers


def test_what_nothing_reads_does_not_run(tmp_path: Path) -> None:
    trace = traced(runtime_models.dead(), tmp_path)
    assert set(covered(trace)) == {"live"}


def test_loops_are_one_step_each(tmp_path: Path) -> None:
    trace = traced(runtime_models.scanned(), tmp_path)
    step = step_of(trace, "scan")
    assert set(step.layers) == {"scan", "inner_add", "inner_tanh", "inner_pass"}
    assert step_of(trace, "after").layers == ("after",)


def test_functions_local_to_the_model_run(tmp_path: Path) -> None:
    job = workload(models.save(models.with_function(), tmp_path))
    assert_same_values(job)
    assert covered(trace_of(job))


def test_sparse_weights_run(tmp_path: Path) -> None:
    job = workload(models.save(runtime_models.sparse(), tmp_path))
    assert_same_values(job)
    assert set(covered(trace_of(job))) == {"mm", "relu"}


def leaking(location: str) -> onnx.ModelProto:
    """A function whose Constant takes its data from a file."""
    tensor = onnx.TensorProto(name="k", data_type=onnx.TensorProto.UINT8, dims=[4], data_location=1)
    for key, given in (("location", location), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=given)
    opset = onnx.helper.make_opsetid("", 17)
    body = [
        onnx.helper.make_node("Constant", [], ["k"], value=tensor),
        onnx.helper.make_node("Cast", ["k"], ["f"], to=1),
        onnx.helper.make_node("Add", ["a", "f"], ["b"]),
    ]
    function = onnx.helper.make_function("my", "Leak", ["a"], ["b"], body, [opset])
    call = onnx.helper.make_node("Leak", ["x"], ["y"], domain="my", name="leak")
    ends = [models.value("x", ["N", 4])], [models.value("y", ["N", 4])]
    return models.model([call], *ends, domains=["my"], functions=[function])


@pytest.mark.parametrize("inside", [True, False])
def test_no_file_outside_of_the_models_folder_is_read(inside: bool, tmp_path: Path) -> None:
    """Whatever opened it: here the model was swapped after it had been checked."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "inside.bin").write_bytes(b"abcd")
    (tmp_path / "secret.bin").write_bytes(b"abcd")
    job = workload(models.save(leaking("inside.bin"), folder))
    source = leaking("inside.bin" if inside else "../secret.bin").SerializeToString()
    prepared = type(job.model)(source, folder)
    swapped = Workload(prepared, job.table, job.inputs, 1)
    if inside:
        with OpenvinoBackend().open(swapped) as session:
            session.infer()
        return
    with pytest.raises(ModelError, match="outside"), OpenvinoBackend().open(swapped):
        pass


Recorded = tuple[Any, Any, list[RuntimeNode], dict[str, Listed], dict[str, tuple[str, ...]]]


def recorded(job: Workload, patch: pytest.MonkeyPatch) -> Recorded:
    """What the runtime says of a model, before anything is made of it."""
    seen: list[Any] = []

    def spy(original: Any, table: Any, nodes: Any, marks: Any) -> Any:
        seen.append((original, table, nodes, dict(marks)))
        return tied(original, table, nodes, marks)

    patch.setattr("onnxprof.backends.openvino.traced.tied", spy)
    with OpenvinoBackend().open_traced(job) as session:
        session.infer()
        session.trace()
        listed = session._listed()
    (found,) = seen
    original, table, nodes, marks = found
    return original, table, nodes, listed, marks


def renamed(case: Recorded, rng: random.Random) -> Recorded:
    """The same with other names for all that the runtime, or a mark, calls something."""
    original, table, nodes, listed, marks = case
    numbers = list(range(len(marks)))
    rng.shuffle(numbers)
    made = {
        old: re.sub(r"\d+", f"{number:06}", old) for old, number in zip(marks, numbers, strict=True)
    }
    invented: dict[str, str] = {}

    def part(text: str) -> str:
        for mark in marks_in(text):
            text = text.replace(mark, made[mark].replace("onnxprof", "MARKED"))
        if "MARKED" in text:
            return text.replace("MARKED", "onnxprof")
        return invented.setdefault(text, f"{rng.choice('QWXZ')}{rng.randrange(10**9)}")

    def name(node: RuntimeNode) -> str:
        return node.name if node.kind in ("Input", "Output") else part(node.name)

    changed = [
        RuntimeNode(
            name(node),
            node.kind,
            ",".join(part(each) if each else "" for each in node.originals.split(","))
            if node.originals and node.kind not in ("Input", "Output")
            else node.originals,
            node.implementation,
            node.inputs,
            node.ran,
            node.yields,
        )
        for node in nodes
    ]
    names = {old.name: new.name for old, new in zip(nodes, changed, strict=True)}
    return (
        original,
        table,
        changed,
        {names.get(key) or part(key): entry for key, entry in listed.items()},
        {made[mark]: layers for mark, layers in marks.items()},
    )


def identities(case: Recorded) -> list[tuple[Any, ...]]:
    original, table, nodes, listed, marks = case
    ties, _ = tied(original, table, nodes, marks)
    steps = steps_of(ties, nodes, listed, marks, "OpenVINO CPU")
    return [(s.name, s.op_type, s.layers, s.confidence, s.evidence, s.nodes) for s in steps]


NAMED = {
    "bidirectional": lambda: runtime_models.recurrent("LSTM", "bidirectional"),
    "stacked": runtime_models.stacked,
    "quantised": runtime_models.quantised,
    "channels_last": runtime_models.channels_last,
    "shuffled": runtime_models.shuffled,
    "old_softmax": runtime_models.old_softmax,
    "twins": runtime_models.twins,
    "lenet": models.lenet,
    "attention": models.attention,
    "inception_v2": None,
}


@pytest.mark.parametrize("name", NAMED)
def test_nothing_depends_on_names_that_the_runtime_makes_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = NAMED[name]
    path = models.save(build(), tmp_path) if build else LIGHT / f"light_{name}.onnx"
    case = recorded(workload(path), monkeypatch)
    expected = identities(case)
    assert len({step[0] for step in expected}) == len(expected)
    for seed in range(8):
        assert identities(renamed(case, random.Random(seed))) == expected


@pytest.mark.parametrize("name", ["squeezenet", "resnet50", "inception_v2", "densenet121"])
def test_nearly_all_steps_of_real_networks_are_exact(name: str) -> None:
    trace = trace_of(workload(LIGHT / f"light_{name}.onnx"), 2)
    steps = [step for step in trace.steps if step.layers]
    exact = [step for step in steps if step.confidence is Confidence.EXACT]
    assert len(exact) >= 0.97 * len(steps)
