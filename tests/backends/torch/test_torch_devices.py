"""The torch backend on devices: where layers and sizes lie, and what a device is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.backends.torch_work import LIGHT, Builder, trace_of, workload
from support.networks import models

from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.checks.reference import check
from onnxprof.records.step import Granularity

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from onnxprof.backends.torch import devices  # noqa: E402
from onnxprof.backends.torch import session as torch_session  # noqa: E402


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
