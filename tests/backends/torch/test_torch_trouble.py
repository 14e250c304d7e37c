"""Where the torch backend works and where not: each error with its remedy."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.backends.torch_work import workload
from support.networks import models

import onnxprof as op
from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins.memory import SMALLER
from onnxprof.records.step import Granularity

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")


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
    assert str(caught.value) == f"Relu relu: out of memory. Use {SMALLER}"


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
