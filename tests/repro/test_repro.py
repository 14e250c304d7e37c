"""`onnxprof repro`: a step of a measured run as a model of its own, on the real runtime."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.profile import profile
from onnxprof.cli.commands.reasons.repro import repro
from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.repro.alone import Alone, against_network, reasons
from onnxprof.repro.build import archive, step_of
from onnxprof.repro.script import Setting, text
from onnxprof.store.folder import Store, load
from onnxprof.store.parquet import to_bytes
from onnxprof.testing import sample_run

CONV, RELU, GEMM = (layer.name for layer in sample_run().table.nodes)


def invoke(command: Any, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def measured(model: Path, *more: object) -> Path:
    """A store with one quick run of the model."""
    store = model.parent / "store"
    asked = (model, "--batch", 2, "--budget", 0.05, "--threads", 1, "--store", store, *more)
    done = invoke(profile, *asked, "--quiet", "--no-telemetry", "--no-parity")
    assert done.exit_code == 0, done.exception
    return store


def cut_out(store: Path, layer: str, model: Path, folder: Path, *more: object) -> str:
    asked = (store, "--layer", layer, "--model", model, "-o", folder, "--budget", 0.05, *more)
    done = invoke(repro, *asked)
    assert done.exception is None, done.exception
    return done.output


def runs_by_itself(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "run.py", "0.01"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def values(path: Path) -> dict[str, Any]:
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def test_a_step_runs_by_itself_and_gives_what_the_network_has(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path)
    folder = tmp_path / "step"
    output = cut_out(measured(model), "Convolution110", model, folder)
    assert "in the network" in output
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "expected.npz", "inputs.npz", "run.py", "step.onnx")
    ]
    onnx.checker.check_model(str(folder / "step.onnx"), full_check=True)
    shown = runs_by_itself(folder)
    assert "median" in shown
    error = float(shown.split("expected values ")[1].split()[0])
    assert error < 1e-4
    assert "| these layers |" in (folder / "README.md").read_text()


def test_the_newest_run_of_the_model_that_is_named_is_taken(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path)
    store = measured(model)
    made = models.lenet()
    made.producer_name = "another file"
    measured(models.save(made, tmp_path, "later.onnx"))
    assert "\nConv" in "\n" + cut_out(store, "Convolution110", model, tmp_path / "step")


def test_a_run_of_another_machine_is_written_without_times(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path)
    run = _only_run(measured(model))
    device = dataclasses.replace(run.device, id="cpu:elsewhere")
    request = dataclasses.replace(run.request, device_id=device.id)
    foreign = dataclasses.replace(run, device=device, request=request)
    (tmp_path / "foreign.parquet").write_bytes(to_bytes(foreign))
    folder = tmp_path / "step"
    output = cut_out(tmp_path / "foreign.parquet", "Convolution110", model, folder)
    assert "these layers" not in output
    assert "not timed alone" in output
    assert "median" in runs_by_itself(folder)
    assert "these layers" not in (folder / "README.md").read_text()


def test_a_layer_in_the_middle_gets_the_arrays_of_the_network(tmp_path: Path) -> None:
    import onnxruntime as ort

    model = models.save(models.lenet(), tmp_path)
    whole = onnx.load(model)
    node = whole.graph.node[-1]
    folder = tmp_path / "step"
    cut_out(measured(model, "--granularity", "written"), _name(node), model, folder)
    inputs = values(folder / "inputs.npz")
    [(name, array)] = inputs.items()
    assert array.shape[0] == 2, "at the batch of the run"
    session = ort.InferenceSession(str(folder / "step.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == [name]
    for output, array in values(folder / "expected.npz").items():
        np.testing.assert_allclose(session.run([output], inputs)[0], array, rtol=1e-4, atol=1e-5)


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or node.output[0])


def test_weights_that_follow_from_constants_stay_constant(tmp_path: Path) -> None:
    """A weight that is transposed in the graph is no input of the cut."""
    nodes = [
        helper.make_node("Transpose", ["w"], ["wt"], name="turn"),
        helper.make_node("Relu", ["x"], ["r"], name="first"),
        helper.make_node("MatMul", ["r", "wt"], ["y"], name="product"),
        helper.make_node("Sigmoid", ["y"], ["z"], name="last"),
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, (3, 4), np.arange(12.0).tolist())
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", 4))],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ("N", 3))],
        [weight],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    model = models.save(made, tmp_path)
    store, folder = measured(model, "--granularity", "written"), tmp_path / "step"
    cut_out(store, "product", model, folder)
    step = onnx.load(folder / "step.onnx")
    assert [value.name for value in step.graph.input] == ["r"]
    assert [node.op_type for node in step.graph.node] == ["Transpose", "MatMul"]
    assert [value.name for value in step.graph.output] == ["y"]


@pytest.mark.parametrize("make", [models.branching, models.looped, models.quantised])
def test_other_kinds_of_models(tmp_path: Path, make: Any) -> None:
    model = models.save(make(), tmp_path)
    store = measured(model)
    run = _only_run(store)
    step = next(step for step in run.steps if step.layers)
    folder = tmp_path / "step"
    cut_out(store, step.layers[0], model, folder)
    assert "median" in runs_by_itself(folder)


def _only_run(store: Path) -> Run:
    [path] = Store(store).paths()
    return load(path)


def test_a_layer_in_a_body_is_its_control_flow(tmp_path: Path) -> None:
    model = models.save(models.branching(), tmp_path)
    run = _only_run(measured(model))
    inner = next(layer for layer in run.table.nodes if layer.parent)
    assert inner.parent in step_of(run, inner.name).layers


def test_names_that_are_paths_or_code_do_no_harm(tmp_path: Path) -> None:
    # no double quotes: earlier versions of onnxruntime write profiles with them that are no JSON
    bad = "'''; import os; os.abort() #"
    names = {"x": "../../x", "h": bad, "y": "file"}
    nodes = [
        helper.make_node("Relu", [names["x"]], [names["h"]], name="first;"),
        helper.make_node("Exp", [names["h"]], [names["y"]], name=bad),
    ]
    graph = helper.make_graph(
        nodes,
        bad,
        [helper.make_tensor_value_info(names["x"], TensorProto.FLOAT, ("N", 4))],
        [helper.make_tensor_value_info(names["y"], TensorProto.FLOAT, ("N", 4))],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    model = models.save(made, tmp_path)
    store, folder = measured(model, "--granularity", "written"), tmp_path / "step"
    cut_out(store, bad, model, folder)
    assert bad not in (folder / "run.py").read_text()
    assert "median" in runs_by_itself(folder)
    with zipfile.ZipFile(folder / "inputs.npz") as held:
        held.extractall(tmp_path / "out")
    assert not (tmp_path.parent / "x.npy").exists()


def test_external_weights_come_along(tmp_path: Path) -> None:
    made = models.linear()
    model = tmp_path / "net.onnx"
    onnx.save(made, str(model), save_as_external_data=True, size_threshold=0, location="w.bin")
    store, folder = measured(model), tmp_path / "step"
    layer = _only_run(store).steps[0].layers[0]
    cut_out(store, layer, model, folder)
    (tmp_path / "w.bin").unlink()
    assert "median" in runs_by_itself(folder)


def test_what_was_measured_with_other_files_is_refused(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path)
    store = measured(model)
    layer = _only_run(store).steps[0].layers[0]
    other = models.save(models.linear(), tmp_path, "other.onnx")
    folder = tmp_path / "step"
    done = invoke(repro, store, "--layer", layer, "-o", folder, "--model", other)
    assert isinstance(done.exception, UsageError)
    assert "another file than the run's" in str(done.exception)
    done = invoke(repro, store, "--layer", layer, "-o", tmp_path / "step2")
    assert isinstance(done.exception, OnnxprofError)
    assert "--model" in str(done.exception)
    (folder / "mine").write_text("kept")
    done = invoke(repro, store, "--layer", layer, "-o", folder, "--model", model)
    assert "has files in it" in str(done.exception)


def test_inputs_of_a_file_are_asked_for_and_checked(tmp_path: Path) -> None:
    model = models.save(models.linear(), tmp_path)
    name = onnx.load(model).graph.input[0].name
    shape = (2, 4)
    for seed, file in enumerate(("a.npz", "b.npz")):
        array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        np.savez(tmp_path / file, **{name: array})
    store = measured(model, "--inputs", tmp_path / "a.npz")
    layer = _only_run(store).steps[0].layers[0]
    asked = (store, "--layer", layer, "--model", model, "--budget", 0)
    done = invoke(repro, *asked, "-o", tmp_path / "1")
    assert "Give that file with --inputs" in str(done.exception)
    done = invoke(repro, *asked, "-o", tmp_path / "2", "--inputs", tmp_path / "b.npz")
    assert "is not the file of inputs" in str(done.exception)
    done = invoke(repro, *asked, "-o", tmp_path / "3", "--inputs", tmp_path / "a.npz")
    assert done.exception is None, done.exception
    assert "ratio" not in done.output, "without timing"


# Which step


def test_a_layer_that_no_step_has_says_why() -> None:
    run = sample_run()
    with pytest.raises(UsageError, match="Did you mean"):
        step_of(run, RELU.replace("relu", "rely"))
    with pytest.raises(UsageError, match="computed while the runtime loaded"):
        step_of(dataclasses.replace(run, steps=(), folded=(CONV,)), CONV)
    with pytest.raises(UsageError, match="no step of this run"):
        step_of(dataclasses.replace(run, steps=()), CONV)
    assert step_of(run, run.steps[0].name).layers == (CONV, RELU)


# Alone against the network


def test_times_in_the_network_and_alone_add_up() -> None:
    run = sample_run()
    found = against_network(run, run.steps[0], sample_run(scale=0.5))
    rest = sum(ns for _, ns in found.others)
    assert found.alone_ns + rest + found.overhead_ns == found.total_ns
    assert [name for name, _ in found.others] == ["ReorderOutput"]
    assert found.ratio == pytest.approx(found.alone_ns / found.in_network_ns)


def test_a_difference_is_explained_and_closeness_is_not() -> None:
    near = Alone(100, 95, (), 1, 96, ("Conv",), ("Conv",))
    assert near.is_close
    assert reasons(near) == ()
    far = Alone(100, 50, (("ReorderInput", 9),), 1, 60, ("FusedConv",), ("Conv", "Relu"))
    told = " ".join(reasons(far))
    assert "Conv, Relu" in told
    assert "ReorderInput" in told
    assert "caches" in told
    slow = Alone(100, 150, (), 1, 151, ("Conv",), ("Conv",))
    assert "come from outside" in " ".join(reasons(slow))
    unknown = Alone(0, 150, (), 1, 151, ("Conv",), ("Conv",))
    assert unknown.ratio is None
    assert reasons(unknown) == ()


def test_the_script_holds_nothing_of_a_run_file_but_plain_words() -> None:
    from onnxprof.repro.build import _setting

    provider = "x'); import os #ExecutionProvider"
    evil = Step("s", "Conv", provider, (CONV,), Confidence.EXACT)
    run = dataclasses.replace(sample_run(), environment=(("onnxruntime", "1.0\nimport os"),))
    assert _setting(run, evil) == Setting("onnxruntime", 2, True, ("CPUExecutionProvider",))
    compile(text(_setting(run, evil)), "run.py", "exec")


def test_an_archive_takes_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(archive({"file": np.arange(3), "a/b": np.ones(2)}))
    assert sorted(values(tmp_path / "a.npz")) == ["a/b", "file"]
