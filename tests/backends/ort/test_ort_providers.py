"""onnxruntime's providers: what a session gets, and what is said where it does not get it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import models

from onnxprof.backends.cuda.driver import driver_problem
from onnxprof.backends.ort import partition
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.device_timer import DeviceTimer
from onnxprof.backends.ort.profile import Profile
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime.providers import PROVIDERS, Provider
from onnxprof.backends.ort.runtime.session import place_of
from onnxprof.errors import BackendError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.device import device_index
from onnxprof.records.step import Confidence

ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
BUILT = ort.get_available_providers()
ABSENT = [n for n, p in PROVIDERS.items() if p.name not in BUILT]


def workload(path: Path, **options: object) -> Workload:
    model = open_model(str(path))
    table = inspect(model, 1)
    return Workload(prepare(model, 1, {}), table, generate(table), 1, **options)


def job(tmp_path: Path, **options: object) -> Workload:
    return workload(models.save(models.linear(), tmp_path), **options)


@pytest.mark.parametrize("name", ABSENT)
def test_a_provider_that_is_not_in_this_build_is_an_error_with_its_package(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(BackendError) as caught, OrtBackend().open(job(tmp_path, provider=name)):
        pass
    error = caught.value
    assert f"is built without {PROVIDERS[name].name}" in error.what
    assert error.where == f"ort, provider {name}"
    assert PROVIDERS[name].package in error.remedy


@pytest.mark.parametrize("name", ABSENT)
def test_such_a_provider_is_refused_before_anything_is_measured(name: str, tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path)
    with pytest.raises(BackendError, match=re.escape(PROVIDERS[name].name)):
        plan(Options((str(path),), provider=name))


@pytest.mark.parametrize("name", ABSENT)
def test_doctor_lists_each_provider_with_reason_and_remedy(name: str) -> None:
    (state,) = [s for s in OrtBackend().availability() if s.device == name]
    assert not state.usable
    assert "is built without" in state.detail
    assert PROVIDERS[name].package in state.remedy


def test_the_cpu_comes_first_and_works() -> None:
    states = OrtBackend().availability()
    assert states[0].usable
    assert states[0].device.startswith("cpu:")
    assert OrtBackend().devices()[0].kind == "cpu"


def test_a_session_that_lost_its_provider_is_refused(tmp_path: Path) -> None:
    """What onnxruntime does by itself: the session is there, on the CPU."""
    session = ort.InferenceSession(
        str(models.save(models.linear(), tmp_path)), providers=["CPUExecutionProvider"]
    )
    providers.require(session, job(tmp_path))
    with pytest.raises(BackendError):
        providers.require(session, job(tmp_path, provider="tensorrt"))


def test_what_is_asked_for_comes_first_with_its_device(tmp_path: Path) -> None:
    one = job(tmp_path, provider="cuda", device="cuda:1:nvidia-h200")
    assert providers.requested(one) == [
        ("CUDAExecutionProvider", {"device_id": "1"}),
        "CPUExecutionProvider",
    ]
    assert place_of(one) == ("cuda", 1)
    assert providers.requested(job(tmp_path)) == ["CPUExecutionProvider"]
    assert place_of(job(tmp_path, provider="openvino")) == ("cpu", 0)


@pytest.mark.parametrize(
    ("device", "index"), [("cuda:3:nvidia-h200", 3), ("cuda", 0), ("", 0), ("cuda:x:y", 0)]
)
def test_the_devices_number_is_that_of_its_id(device: str, index: int) -> None:
    assert device_index(device) == index


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"provider": "openvino", "device": "cuda:0:x"}, "runs on cpu, not on cuda:0:x"),
        ({"provider": "cpu", "device": "cuda:0:x"}, "runs on cpu, not on cuda:0:x"),
        ({"provider": "cuda", "device": "cpu:x"}, "runs on cuda, not on cpu:x"),
        ({"timer": "cupti"}, "cupti timer is for CUDA devices"),
        ({"provider": "npu"}, "no provider 'npu'"),
    ],
)
def test_what_does_not_go_together_is_bad_use(options, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words), OrtBackend().open(job(tmp_path, **options)):
        pass


def test_a_missing_driver_is_told_with_what_to_do() -> None:
    found = driver_problem("libno-such-driver.so.1")
    assert found is not None
    assert found.detail.startswith("there is no NVIDIA driver: libno-such-driver.so.1")
    assert "nvidia-smi" in found.remedy


def library(tmp_path: Path, cuda: bytes | None) -> Provider:
    """A folder as the runtime's, with libraries that are none."""
    (tmp_path / "libonnxruntime_providers_shared.so").symlink_to(
        Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_shared.so"
    )
    if cuda is not None:
        (tmp_path / "libonnxruntime_providers_cuda.so").write_bytes(cuda)
    return PROVIDERS["cuda"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of libraries as Linux has them")
def test_a_library_that_cannot_be_loaded_is_named_with_the_loaders_reason(tmp_path: Path) -> None:
    found = providers.library_problem(tmp_path, library(tmp_path, b"not a library" * 9))
    assert found is not None
    assert "libonnxruntime_providers_cuda.so cannot be loaded" in found.detail
    assert "invalid ELF header" in found.detail
    assert str(tmp_path) not in found.detail
    assert "onnxruntime-gpu[cuda,cudnn]" in found.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="names of libraries as Linux has them")
def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = providers.library_problem(tmp_path, library(tmp_path, None))
    assert found is not None
    assert found.detail.startswith("libonnxruntime_providers_cuda.so is missing")


def test_tensorrts_own_libraries_are_told_apart() -> None:
    said = "libnvinfer.so.10: cannot open shared object file: No such file or directory"
    assert "TensorRT" in providers._remedy(said, PROVIDERS["tensorrt"])


def test_without_records_of_the_device_the_session_says_what_it_lacks(tmp_path: Path) -> None:
    assert DeviceTimer.of(job(tmp_path)).obstacle == ""
    asked = DeviceTimer.of(job(tmp_path, provider="cuda", timer="trace"))
    assert asked.collector is None
    assert "launches" in asked.obstacle


def test_the_cupti_timer_without_cupti_is_an_error_with_what_to_install(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")
    if torch.version.cuda is not None:
        pytest.skip("this torch has CUPTI")
    with pytest.raises(BackendError, match="has no CUPTI"):
        DeviceTimer.of(job(tmp_path, provider="cuda", timer="cupti"))
    assert "has no CUPTI" in DeviceTimer.of(job(tmp_path, provider="cuda")).obstacle


def mixed() -> onnx.ModelProto:
    """Two convolutions with an operator between them that OpenVINO does not take."""
    nodes = [
        models.node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        models.node("Relu", ["c1"], ["r1"], "relu1"),
        models.node("Unique", ["r1"], ["u"], "odd"),
        models.node("ReduceSum", ["u"], ["s"], "sum", keepdims=0),
        models.node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        models.node("Relu", ["c2"], ["r2"], "relu2"),
        models.node("Mul", ["r2", "s"], ["y"], "scale"),
    ]
    weights = [models.weight("w1", 4, 3, 3, 3), models.weight("w2", 4, 4, 3, 3)]
    image = models.value("x", [1, 3, 8, 8])
    return models.model(nodes, [image], [models.value("y", [1, 4, 8, 8])], weights)


def key(name: str, operator: str, number: int) -> tuple[str, str, str]:
    return name, operator, str(number)


def compiled(outputs: int = 1) -> Profile:
    """What a profile holds of that model with the convolutions compiled, and Mul by the CPU."""
    made = Profile(inferences=1)
    ran = [
        (key("EP_1_0", "EP_1", 10), "EP", outputs),
        (key("odd", "Unique", 2), "CPU", 1),
        (key("sum", "ReduceSum", 3), "CPU", 1),
        (key("EP_2_1", "EP_2", 11), "EP", 1),
        (key("scale", "Mul", 6), "CPU", 1),
    ]
    for each, provider, count in ran:
        made.steps[each] = {0: 100}
        made.providers[each] = provider
        made.shapes[each] = (("float32", (1,)),) * count
    return made


TAKEN = [("conv1", "relu1"), ("conv2", "relu2")]


def test_a_compiled_subgraph_covers_the_layers_of_its_nodes() -> None:
    ties = partition.tie_compiled(mixed(), mixed(), TAKEN, compiled(), "EP")
    assert [node.layers for node in ties.nodes] == [
        ("conv1", "relu1"),
        ("odd",),
        ("sum",),
        ("conv2", "relu2"),
        ("scale",),
    ]
    assert [node.confidence for node in ties.nodes] == [
        Confidence.INFERRED,
        Confidence.EXACT,
        Confidence.EXACT,
        Confidence.INFERRED,
        Confidence.EXACT,
    ]


@pytest.mark.parametrize("taken", [TAKEN[:1], [*TAKEN, ("scale",)], ()])
def test_subgraphs_that_do_not_fit_what_ran_are_tied_to_nothing(taken) -> None:
    ties = partition.tie_compiled(mixed(), mixed(), taken, compiled(), "EP")
    assert all(node.confidence is not Confidence.EXACT for node in ties.nodes[:1])
    assert not {"conv1", "relu1"} & {*ties.nodes[0].layers}


def test_a_subgraph_with_another_number_of_outputs_is_not_that_step() -> None:
    ties = partition.tie_compiled(mixed(), mixed(), TAKEN, compiled(outputs=2), "EP")
    assert ties.nodes[0].layers == ()


def test_a_runtime_that_cannot_tell_leaves_the_step_without_layers() -> None:
    assert partition.subgraphs(object(), "EP") == ()


needs_openvino = pytest.mark.skipif(
    "OpenVINOExecutionProvider" not in BUILT, reason="needs onnxruntime-openvino"
)


@needs_openvino
def test_openvino_takes_what_it_can_and_the_rest_is_the_cpus(tmp_path: Path) -> None:
    asked = workload(models.save(mixed(), tmp_path), provider="openvino")
    with OrtBackend().open_traced(asked) as session:
        for _ in range(3):
            session.infer()
        trace = session.trace()
        values = session.values()
    assert trace.provider == "OpenVINOExecutionProvider"
    assert {s.provider for s in trace.steps} == {trace.provider, "CPUExecutionProvider"}
    covered = [name for step in trace.steps for name in step.layers]
    assert sorted(covered) == sorted(layer.name for layer in asked.table.nodes)
    assert trace.step_ns.shape == (len(trace.steps), 3)
    with OrtBackend().open(workload(tmp_path / "model.onnx")) as plain:
        plain.infer()
        np.testing.assert_allclose(values["y"], plain.values()["y"], rtol=1e-3, atol=1e-4)


needs_gpu = pytest.mark.skipif(
    providers.problem("cuda") is not None, reason="needs a CUDA device and onnxruntime-gpu"
)


@pytest.mark.gpu
@needs_gpu
def test_layers_on_the_device_add_up_to_its_own_measure_of_the_whole(tmp_path: Path) -> None:
    """The whole by CUDA events around a call that waits until the device is done."""
    torch = pytest.importorskip("torch", reason="the cupti timer needs torch with CUDA")
    model = open_model("zoo:resnet50")
    table = inspect(model, 32)
    asked = Workload(*(prepare(model, 32, {}), table, generate(table), 1, "cuda"), timer="cupti")
    backend = OrtBackend()
    with backend.open_traced(asked) as session:
        session.infer()
        with session.recording():  # type: ignore[attr-defined]
            for _ in range(20):
                session.infer()
        trace = session.trace()
    layers = float(np.median(trace.step_ns[:, 1:].sum(axis=0)))
    with backend.open(asked) as plain:
        for _ in range(10):
            plain.infer()
        whole = min(_by_events(torch, plain) for _ in range(20))
    assert layers == pytest.approx(whole, rel=0.03)
    assert trace.kernels
    assert trace.host_ns.shape == trace.step_ns.shape


def _by_events(torch, session) -> float:
    """Nanoseconds between an event before the call and one after it."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    session.infer()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) * 1e6


@pytest.mark.gpu
@needs_gpu
def test_outputs_on_the_device_are_those_of_the_cpu(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    with OrtBackend().open(workload(path, provider="cuda")) as session:
        for _ in range(3):
            session.infer()
        values = session.values()
    with OrtBackend().open(workload(path)) as plain:
        plain.infer()
        for name, expected in plain.values().items():
            np.testing.assert_allclose(values[name], expected, rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("timer", ["auto", "prefix", "cupti"])
def test_the_command_line_measures_on_the_device(timer: str, tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "onnxprof", "profile", str(path), "--provider", "cuda"),
            *("--batch", "1", "--budget", "2", "--timer", timer),
            *("--store", str(tmp_path / "runs")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
