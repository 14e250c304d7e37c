"""What a user may set of torch: layouts, precision, libraries, modes of compiling."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from support.networks import models

from onnxprof.backends.torch import settings
from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.checks.reference import check
from onnxprof.errors import UsageError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.records.step import USUAL, Setup, Timer

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LAST = (("channels_last", "1"),)


def configured(*session: tuple[str, str], provider: str = "cpu") -> Setup:
    return TorchBackend().configured(Setup(session=session), provider)


def workload(path: Path, batch: int = 1, **options) -> Workload:
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), threads=1, **options)


def strides_of_images(job: Workload) -> list[bool]:
    """Of each image between layers whether its channels are last."""
    found: list[bool] = []
    with TorchBackend().open_traced(job) as session:
        program = session.loaded.program

        def look(call: Any, values: list[Any]) -> None:
            for slot in call.outputs:
                value = values[slot]
                if isinstance(value, torch.Tensor) and value.dim() == 4 and value.shape[1] > 1:
                    found.append(
                        value.is_contiguous(memory_format=torch.channels_last)
                        and not value.is_contiguous()
                    )

        program.run_marked(program.template.copy(), lambda: None, look)
    return found


def test_options_have_one_form() -> None:
    made = configured(("mkldnn", "off"), ("channels_last", "yes"))
    assert made.session == (("channels_last", "1"), ("mkldnn", "0"))
    assert TorchBackend().configured(made, "cpu") == made
    assert configured(("mode", "max-autotune"), provider="compile").session


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("channel_last", "1", "Did you mean channels_last?"),
        ("channels_last", "always", "takes 1 or 0"),
        ("float32_matmul_precision", "low", "takes highest, high or medium"),
        ("mode", "max-autotune", "Use --provider compile"),
        ("num_threads", "4", "Use --threads"),
        ("log_level", "1", "watches the calls"),
        ("inductor_cache_dir", "/tmp", "nothing outside"),
        ("cudnn", "1", "no such option"),
    ],
)
def test_what_cannot_be_set_says_why(name: str, value: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        configured((name, value))
    assert why in str(caught.value)


def test_it_has_no_levels_and_no_providers() -> None:
    with pytest.raises(UsageError, match="runs the model's own operators"):
        TorchBackend().configured(Setup("basic"), "cpu")
    with pytest.raises(UsageError, match="no options of providers"):
        TorchBackend().configured(Setup(provider=LAST), "cpu")


def test_channels_are_last_from_the_input_to_the_pooling() -> None:
    job = workload(LIGHT / "light_squeezenet.onnx", 2)
    assert not any(strides_of_images(job))
    last = strides_of_images(replace(job, setup=configured(*LAST)))
    assert len(last) > 20
    assert sum(last) >= len(last) - 2, "but for what is one number a channel"


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1", "resnet50"])
def test_channels_last_computes_the_same_and_is_verified(name: str) -> None:
    pytest.importorskip("onnxruntime", reason="the reference")
    job = workload(LIGHT / f"light_{name}.onnx", 2, setup=configured(*LAST))
    found = measure(
        TorchBackend(),
        job,
        Budget(0.02),
        time.perf_counter_ns,
        lambda *_: None,
        timer=Timer.TRACE,
        keep_values=True,
        keep_proof=True,
    )
    assert check(job, found.values).passed
    steps = found.proof.check(found.trace.steps, [job.inputs], Bounds())
    assert {step.verdict for step in steps if step.layers} == {"verified"}


@pytest.mark.parametrize(
    "build",
    [models.lenet, models.branching, models.attention, models.quantised, models.recurrent],
    ids=lambda build: build.__name__,
)
def test_channels_last_harms_no_other_model(build: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the reference")
    job = workload(models.save(build(), tmp_path), setup=configured(*LAST))
    with TorchBackend().open(job) as session:
        session.infer()
        assert check(job, session.values()).passed


def test_prefixes_have_their_weights_in_the_same_layout() -> None:
    job = workload(LIGHT / "light_squeezenet.onnx", setup=configured(*LAST))
    with TorchBackend().open_traced(job) as session:
        session.infer()
        trace = session.trace()
        [half] = session.prefixes([trace.length // 2])
        assert half._program.template is session._program.template
        half.infer()


def test_what_is_set_for_the_process_ends_with_the_session(tmp_path: Path) -> None:
    job = workload(models.save(models.lenet(), tmp_path))
    setup = configured(("float32_matmul_precision", "medium"), ("mkldnn", "0"))
    before = torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled
    with TorchBackend().open(replace(job, setup=setup)) as outer:
        outer.infer()
        with TorchBackend().open_traced(replace(job, setup=setup)) as inner:
            inner.infer()
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.enabled is False
    assert (torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled) == before
    with settings.applied(USUAL):
        assert torch.get_float32_matmul_precision() == before[0]


def test_the_mode_reaches_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def compiled(function: Any, *, dynamic: bool, mode: str | None) -> Any:
        told.append((dynamic, mode))
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    from onnxprof.backends.torch.base import lazy

    monkeypatch.setitem(vars(lazy.torch), "compile", compiled)
    job = workload(models.save(models.lenet(), tmp_path), provider="compile")
    setup = configured(("mode", "reduce-overhead"), provider="compile")
    for given in (USUAL, setup):
        with TorchBackend().open(replace(job, setup=given)) as session:
            session.infer()
    assert told == [(False, None), (False, "reduce-overhead")]
