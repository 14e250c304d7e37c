"""The torch backend on real graphs: sessions, times, placement on a device, errors."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import models

import onnxprof as op
from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.checks.reference import check
from onnxprof.errors import BackendError, ModelError, UsageError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import PrefixSource, Trace, Workload
from onnxprof.records.step import Confidence, Granularity, Timer

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from onnxprof.backends.torch import devices  # noqa: E402
from onnxprof.backends.torch import session as torch_session  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
Builder = Callable[[], onnx.ModelProto]
BUILDERS = [
    models.lenet, models.branching, models.looped, models.recurrent, models.quantised,
    models.tf_style, models.with_function, models.sequences, models.attention,
    models.class_token, models.picks_first, models.linear,
]  # fmt: skip


def workload(path: Path, batch: int = 1, **options) -> Workload:
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), threads=1, **options)


def trace_of(job: Workload, inferences: int = 3) -> Trace:
    with TorchBackend().open_traced(job) as session:
        for _ in range(inferences):
            session.infer()
        return session.trace()


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


@dataclass
class Event:
    """What torch's events tell, in milliseconds."""

    at: float

    def elapsed_time(self, other: Event) -> float:
        return other.at - self.at


def test_event_times_are_milliseconds() -> None:
    assert torch_session.event_ns(Event(1.5), Event(1.503)) == 3_000
    assert torch_session.event_ns(Event(0.0), Event(2_000.0)) == 2_000_000_000


@dataclass
class Properties:
    name: str = "NVIDIA H200"
    total_memory: int = 141 << 30
    major: int = 9
    minor: int = 0
    multi_processor_count: int = 132


def test_a_cuda_device_has_a_stable_id() -> None:
    device = devices.cuda_device(1, Properties())
    assert device.id == "cuda:1:nvidia-h200"
    assert (device.kind, device.features) == ("cuda", ("sm_90",))
    assert devices.cuda_device(0, Properties(name="GeForce RTX™ 4090 (x)")).id == (
        "cuda:0:geforce-rtx-4090-x"
    )


class NoMixing(TorchDispatchMode):
    """Refuses an operator that would meet tensors of the host and of the device."""

    def __torch_dispatch__(self, function, types, given=(), options=None):
        options = options or {}
        met = [x for x in torch.utils._pytree.tree_leaves((given, options))
               if isinstance(x, torch.Tensor)]  # fmt: skip
        if "copy" not in str(function):
            kinds = {x.device.type for x in met if x.dim()}
            assert len(kinds) < 2, f"{function} meets {kinds}"
        return function(*given, **options)


def sizes_that_meet_data() -> onnx.ModelProto:
    """A size multiplies the data, positions made from sizes are added, a constant is both."""
    nodes = [
        models.node("Shape", ["x"], ["shape"], "shape"),
        models.node("Cast", ["shape"], ["real"], "cast", to=models.FLOAT),
        models.node("Mul", ["x", "real"], ["scaled"], "scale"),
        models.node("Gather", ["shape", "one"], ["width"], "width"),
        models.node("Range", ["zero", "width", "one"], ["places"], "range"),
        models.node("Cast", ["places"], ["offsets"], "offsets", to=models.FLOAT),
        models.node("Add", ["scaled", "offsets"], ["moved"], "move"),
        models.node("Gather", ["moved", "both"], ["picked"], "pick", axis=1),
        models.node("Expand", ["picked", "both"], ["y"], "expand"),
    ]
    stored = [models.ints("both", 1, 1)]
    stored += [onnx.numpy_helper.from_array(np.array(v, np.int64), n)
               for n, v in (("zero", 0), ("one", 1))]  # fmt: skip
    return models.model(nodes, [models.value("x", [2, 2])], [models.value("y", None)], stored)


@pytest.mark.parametrize(
    "build",
    [models.lenet, models.tf_style, models.attention, models.with_function, models.class_token,
     models.picks_first, models.quantised, models.looped, sizes_that_meet_data],
    ids=lambda build: build.__name__,
)  # fmt: skip
def test_on_a_device_sizes_stay_on_the_host_and_nothing_mixes(
    build: Builder, tmp_path: Path
) -> None:
    """The device is one without memory: reading a value from it raises."""
    job = workload(models.save(build(), tmp_path), granularity=Granularity.WRITTEN)
    device = torch.device("meta")
    with torch.inference_mode():
        session = torch_session.TorchSession(torch_session.prepare(job, device), device)
        with NoMixing():
            session.infer()
    assert {value.device.type for value in session._values} == {"meta"}


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "densenet121"])
def test_real_networks_are_placed_on_a_device(name: str) -> None:
    job = workload(LIGHT / f"light_{name}.onnx", 2)
    device = torch.device("meta")
    with torch.inference_mode():
        session = torch_session.TorchSession(torch_session.prepare(job, device), device)
        with NoMixing():
            session.infer()
    assert session.outputs()[0].shape[0] == 2


@pytest.mark.gpu
def test_on_a_gpu_the_layers_add_up() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    (device, *_) = devices.cuda_devices()
    job = replace(workload(LIGHT / "light_squeezenet.onnx", 8), provider="cuda", device=device.id)
    with TorchBackend().open(job) as session:
        session.infer()
        assert check(job, session.values()).passed
    trace = trace_of(job, 5)
    assert {step.provider for step in trace.steps} == {"cuda"}
    assert (trace.step_ns.sum(axis=0) > 0).all()


def test_where_it_works_and_where_not() -> None:
    states = TorchBackend().availability()
    assert states[0].usable
    assert states[0].device.startswith("cpu:")
    assert states[0].detail.startswith("torch ")
    if not torch.cuda.is_available():
        (cuda,) = states[1:]
        assert (cuda.device, cuda.usable) == ("cuda", False)
        assert cuda.remedy
    assert {device.kind for device in TorchBackend().devices()} <= {"cpu", "cuda"}


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (state,) = TorchBackend().availability()
    assert not state.usable
    assert state.remedy == 'pip install "onnxprof[torch]"'
    assert TorchBackend().devices() == ()


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    job = workload(models.save(models.linear(), tmp_path), provider="cuda", device="cuda:0:x")
    with pytest.raises(BackendError, match="CUDA") as caught, TorchBackend().open(job):
        pass
    assert caught.value.remedy


def test_another_provider_is_refused(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path), provider="tensorrt")
    with pytest.raises(UsageError, match="no provider 'tensorrt'"), TorchBackend().open(job):
        pass


def test_memory_that_runs_out_has_its_own_remedy(tmp_path: Path) -> None:
    huge = models.model(
        [models.node("Expand", ["x", "shape"], ["big"], "expand"),
         models.node("Relu", ["big"], ["y"], "relu")],
        [models.value("x", [1, 1])],
        [models.value("y", None)],
        [models.ints("shape", 1 << 23, 1 << 23)],
    )  # fmt: skip
    job = workload(models.save(huge, tmp_path))
    with TorchBackend().open(job) as session, pytest.raises(BackendError) as caught:
        session.infer()
    assert str(caught.value) == "Relu relu: out of memory. Use a smaller --batch"


def test_a_layer_that_fails_is_named(tmp_path: Path) -> None:
    made = models.model(
        [models.node("Reshape", ["x", "shape"], ["y"], "wrong")],
        [models.value("x", [1, 4])],
        [models.value("y", None)],
        [models.ints("shape", 3)],
    )
    job = workload(models.save(made, tmp_path))
    with TorchBackend().open(job) as session, pytest.raises(BackendError) as caught:
        session.infer()
    assert str(caught.value).startswith("Reshape wrong: torch cannot run the layer: shape '[3]'")


def test_threads_are_set_in_a_process_of_its_own_alone(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    job = replace(workload(models.save(models.linear(), tmp_path)), threads=before + 1)
    with TorchBackend().open(job):
        assert torch.get_num_threads() == before
    try:
        with TorchBackend().open(replace(job, own_process=True)):
            assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


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


def test_compiling_without_a_compiler_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    made = models.model(
        [models.node("Relu", ["x"], ["h"], "relu"), models.node("Exp", ["h"], ["y"], "exp")],
        [models.value("x", [1, 7])],
        [models.value("y", None)],
    )
    job = workload(models.save(made, tmp_path), provider="compile")
    # its own way to set and to restore: pytest's left one of these settings deleted
    broken = inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    with broken, pytest.raises(BackendError) as caught, TorchBackend().open(job):
        pass
    assert "torch.compile cannot compile the model" in str(caught.value)
    assert "raised:" not in str(caught.value), "the reason, not who raised it"
    assert "C++ compiler" in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_compiled_and_written_contradict_each_other(tmp_path: Path) -> None:
    path = models.save(models.linear(), tmp_path)
    job = workload(path, provider="compile", granularity=Granularity.WRITTEN)
    with pytest.raises(UsageError, match="layer by layer"), TorchBackend().open(job):
        pass


def test_a_refusal_names_the_layer_wherever_it_is_printed(tmp_path: Path) -> None:
    path = str(models.save(models.custom_domain(), tmp_path))
    with pytest.raises(BackendError, match=r"com\.example\.Wobble wobble: .*no function"):
        op.profile(path, backend="torch", budget=0.05, progress=False)
