"""A recorded file is tied to the layers to which the backend ties its own measurement."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest
from support.networks import fusions, models, runtime_models
from support.networks.branchy import gated, inception

from onnxprof.imports import build as importing
from onnxprof.imports import files
from onnxprof.imports.build import Facts
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Backend, Trace, Workload
from onnxprof.records.run import Run

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def lstm() -> onnx.ModelProto:
    return runtime_models.recurrent("LSTM", "bidirectional")


def gru() -> onnx.ModelProto:
    return runtime_models.recurrent("GRU", "forward")


def squeezenet() -> onnx.ModelProto:
    return onnx.load(LIGHT / "light_squeezenet.onnx")


def shufflenet() -> onnx.ModelProto:
    return onnx.load(LIGHT / "light_shufflenet.onnx")


COMMON: list[Callable[[], onnx.ModelProto]] = [
    *(lstm, gru, runtime_models.stacked, runtime_models.old_softmax, runtime_models.gelu),
    *(runtime_models.shuffled, runtime_models.joined, models.lenet),
    *(inception, gated, squeezenet, fusions.transformer),
]


def workload(path: Path, batch: int) -> Workload:
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), 1)


def measured(backend: Backend, job: Workload) -> Trace:
    with backend.open_traced(job) as session:
        session.infer()
        return session.trace()


def imported(path: Path, option: str, file: Path, job: Workload) -> Run:
    reader = files.chosen({option: str(file)})
    return importing.build(open_model(str(path)), reader, Facts(batch=job.table.batch))


def sets(steps: Any) -> set[tuple[str, ...]]:
    return {step.layers for step in steps if step.layers}


def computing(steps: Any, job: Workload) -> set[tuple[str, ...]]:
    """Of each set what does more than arrange data: reports say nothing of Transposes inside."""
    plain = {
        layer.name
        for layer in job.table.nodes
        if layer.op_type in ("Transpose", "Reshape", "Squeeze", "Unsqueeze")
    }
    return {tuple(n for n in layers if n not in plain) for layers in sets(steps)} - {()}


def report(job: Workload, file: Path) -> Path:
    """What benchmark_app writes, from a model compiled here."""
    from onnxprof.backends.openvino.runtime import runtime
    from onnxprof.backends.openvino.settings import properties
    from onnxprof.backends.openvino.source import readable

    core = runtime().Core()
    with readable(job.model, job.table) as source:
        model = core.read_model(source)
    model.reshape({name: list(array.shape) for name, array in job.inputs.items()})
    settings = properties(job, core, "CPU", True)
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    request.infer(dict(job.inputs))
    rows = ["layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"]
    for node in request.profiling_info:
        ms = node.real_time.total_seconds() * 1e3
        words = [node.node_name, str(node.status), node.node_type, node.exec_type]
        rows.append(";".join([*words, f"{ms:.3f}", f"{ms:.3f}"]))
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs onnxprof[openvino]")
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "build",
    [*COMMON, runtime_models.quantised, runtime_models.halved, runtime_models.twins, shufflenet],
    ids=lambda build: build.__name__,
)
def test_a_report_of_openvinos(build: Any, batch: int, tmp_path: Path) -> None:
    from onnxprof.backends.openvino.backend import OpenvinoBackend

    path = models.save(build(), tmp_path)
    job = workload(path, batch)
    run = imported(path, "--benchmark-app", report(job, tmp_path / "report.csv"), job)
    trace = measured(OpenvinoBackend(), job)
    assert computing(run.steps, job) == computing(trace.steps, job)
    assert set(run.folded) == set(trace.folded)
    stray = [step.op_type for step in run.steps if not step.layers]
    assert set(stray) <= {"Reorder", "Convert"}


def profile(job: Workload, folder: Path, *, fixed: bool = True) -> Path:
    ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.intra_op_num_threads = 1
    for axis in ("N", "batch") if fixed else ():
        options.add_free_dimension_override_by_name(axis, job.table.batch)
    source = job.model.source if isinstance(job.model.source, bytes) else str(job.model.source)
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    for _ in range(3):
        session.run(None, dict(job.inputs))
    return Path(session.end_profiling())


@pytest.mark.parametrize("build", COMMON, ids=lambda build: build.__name__)
def test_a_profile_of_onnxruntimes(build: Any, tmp_path: Path) -> None:
    from onnxprof.backends.ort.backend import OrtBackend

    path = models.save(build(), tmp_path)
    job = workload(path, 1)
    run = imported(path, "--ort-profile", profile(job, tmp_path), job)
    assert sets(run.steps) == sets(measured(OrtBackend(), job).steps)


def test_a_gelu_with_its_bias_is_the_layers_between_the_products(tmp_path: Path) -> None:
    """With a free batch onnxruntime fuses the bias into the Gelu, which has no layer's name."""
    path = models.save(runtime_models.gelu(), tmp_path)
    job = workload(path, 1)
    run = imported(path, "--ort-profile", profile(job, tmp_path, fixed=False), job)
    owner = {name: step for step in run.steps for name in step.layers}
    assert owner["erf"].layers == ("add1", "div", "erf", "plus", "mul", "gelu")
    assert owner["mm1"].layers == ("mm1",)
    assert owner["mm2"].layers == ("mm2",)
    assert all(step.layers for step in run.steps)


def test_renamed_tokens_are_their_layers(tmp_path: Path) -> None:
    """`conv1_token_3`: the runtime replaced the node and gave it a number of this process's."""
    path = models.save(inception(), tmp_path)
    job = workload(path, 1)
    file = profile(job, tmp_path)
    text = file.read_text().replace('"name" :"Concat_kernel', '"name" :"Concat_token_31_kernel')
    plain = imported(path, "--ort-profile", file, job)
    events = json.loads(text)
    file.write_text(json.dumps(events))
    assert sets(imported(path, "--ort-profile", file, job).steps) == sets(plain.steps)


def test_what_the_reports_program_put_before_the_model_is_no_layers(tmp_path: Path) -> None:
    if find_spec("openvino") is None:
        pytest.skip("needs onnxprof[openvino]")
    path = models.save(models.linear(), tmp_path)
    job = workload(path, 1)
    file = report(job, tmp_path / "report.csv")
    rows = file.read_text().splitlines()
    added = "Convert_130;Status.EXECUTED;Subgraph;jit_avx2_I8;0.001;0.001"
    file.write_text("\n".join([*rows[:2], added, *rows[2:]]) + "\n")
    run = imported(path, "--benchmark-app", file, job)
    assert [step.layers for step in run.steps if step.name == "Convert_130"] == [()]
