"""Properties of OpenVINO that a user sets: taken by every model that is compiled, or refused."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.networks import models
from support.runs.openvino_runs import LIGHT, covered, residual, trace_of, values_of, workload

from onnxprof.analysis.reconcile import reconcile
from onnxprof.backends.openvino import settings
from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.errors import BackendError, UsageError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.step import USUAL, Setup, Timer
from onnxprof.testing import sample_run

# not importorskip: importing OpenVINO by itself reports to its makers
if find_spec("openvino") is None:
    pytest.skip("needs onnxprof[openvino]", allow_module_level=True)


def configured(*session: tuple[str, str]) -> Setup:
    return OpenvinoBackend().configured(Setup(session=session), "cpu")


def measured(job: Workload, timer: Timer) -> Measurement:
    return measure(
        OpenvinoBackend(),
        job,
        Budget(0.1),
        time.perf_counter_ns,
        lambda *_: None,
        timer=timer,
        keep_values=True,
    )


class Watched:
    """A core that notes what models are compiled with."""

    def __init__(self, core: Any, seen: list[dict[str, Any]]) -> None:
        self._core, self._seen = core, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def compile_model(self, model: Any, target: str, properties: dict[str, Any]) -> Any:
        self._seen.append(properties)
        return self._core.compile_model(model, target, properties)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    from onnxprof.backends.openvino import backend

    noted: list[dict[str, Any]] = []
    chosen = backend._chosen

    def watching(job: Workload) -> tuple[Any, Any]:
        core, device = chosen(job)
        return Watched(core, noted), device

    monkeypatch.setattr(backend, "_chosen", watching)
    return noted


def test_hints_have_the_runtimes_names_and_one_form() -> None:
    made = configured(("PERFORMANCE_HINT", "THROUGHPUT"), ("ENABLE_HYPER_THREADING", "no"))
    assert made == Setup(
        session=(("ENABLE_HYPER_THREADING", "0"), ("PERFORMANCE_HINT", "THROUGHPUT"))
    )
    assert OpenvinoBackend().configured(made, "cpu") == made


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PERFORMANCE_HIND", "LATENCY", "Did you mean PERFORMANCE_HINT?"),
        ("performance_hint", "LATENCY", "Did you mean PERFORMANCE_HINT?"),
        ("PERFORMANCE_HINT", "FASTEST", "PERFORMANCE_HINT=FASTEST: OpenVINO: "),
        ("ENABLE_HYPER_THREADING", "maybe", "takes 1 or 0"),
        ("NUM_STREAMS", "several", "NUM_STREAMS=several"),
        ("INFERENCE_NUM_THREADS", "4", "Use --threads"),
        ("DEVICE_ID", "1", "Use --device"),
        ("PERF_COUNT", "YES", "watches the model"),
        ("LOG_LEVEL", "LOG_INFO", "watches the model"),
        ("CACHE_DIR", "/tmp/x", "nothing outside"),
        ("WEIGHTS_PATH", "/tmp/x", "nothing outside"),
        ("CONFIG_FILE", "/tmp/x", "nothing outside"),
        ("FULL_DEVICE_NAME", "mine", "has no such option"),
    ],
)
def test_what_cannot_be_set_says_why(name: str, value: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        configured((name, value))
    assert why in str(caught.value)


def test_it_has_no_levels_and_no_providers() -> None:
    with pytest.raises(UsageError, match="optimises every graph, and has no levels"):
        OpenvinoBackend().configured(Setup("basic"), "cpu")
    with pytest.raises(UsageError, match="Its properties are given by --session-option"):
        OpenvinoBackend().configured(Setup(provider=(("A", "1"),)), "cpu")


def test_without_the_runtime_names_alone_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "runtime", lambda: (_ for _ in ()).throw(ImportError("none")))
    assert configured(("SOME_PROPERTY", "x")).session == (("SOME_PROPERTY", "x"),)
    with pytest.raises(UsageError, match="nothing outside"):
        configured(("CACHE_DIR", "x"))


def test_every_model_of_a_measurement_is_compiled_alike(seen: list[Any], tmp_path: Path) -> None:
    setup = configured(("EXECUTION_MODE_HINT", "ACCURACY"), ("ENABLE_CPU_PINNING", "0"))
    job = workload(models.save(residual(), tmp_path), setup=setup)
    found = measured(job, Timer.PREFIX)
    assert len(seen) > 3, "un-profiled, counted, and prefixes"
    for properties in seen:
        assert properties["EXECUTION_MODE_HINT"] == "ACCURACY"
        assert properties["ENABLE_CPU_PINNING"] is False
        assert properties["NUM_STREAMS"] == 1
    assert [properties["PERF_COUNT"] for properties in seen].count(True) == 1
    assert found.timings.timer is Timer.PREFIX


def test_a_hint_for_throughput_brings_streams_of_its_own(seen: list[Any], tmp_path: Path) -> None:
    setup = configured(("PERFORMANCE_HINT", "THROUGHPUT"))
    with OpenvinoBackend().open(workload(models.save(residual(), tmp_path), setup=setup)):
        pass
    [properties] = seen
    assert properties["PERFORMANCE_HINT"] == "THROUGHPUT"
    assert "NUM_STREAMS" not in properties


@pytest.mark.parametrize("timer", [Timer.TRACE, Timer.PREFIX])
@pytest.mark.parametrize(
    "session",
    [
        (("PERFORMANCE_HINT", "THROUGHPUT"),),
        (("NUM_STREAMS", "2"),),
        (("EXECUTION_MODE_HINT", "ACCURACY"), ("ENABLE_HYPER_THREADING", "0")),
    ],
)
def test_rows_add_up_and_outputs_are_right(session: Any, timer: Timer) -> None:
    setup = configured(*session)
    job = workload(LIGHT / "light_squeezenet.onnx", threads=2, setup=setup)
    found = measured(job, timer)
    run = replace(sample_run(), table=job.table, steps=found.trace.steps, timings=found.timings)
    table = reconcile(run)
    rows = sum(row.median_ns or 0 for row in table.rows if row.status.value != "total")
    assert rows == table.total_ns
    assert table.layer_sum_ns <= 1.25 * table.total_ns, "steps are not counted twice"
    usual = replace(job, setup=USUAL)
    assert {*covered(found.trace)} == {*covered(trace_of(usual))}
    for name, expected in values_of(OpenvinoBackend(), usual).items():
        np.testing.assert_allclose(found.values[name], expected, rtol=1e-3, atol=1e-5)


def test_a_value_that_the_runtime_does_not_take_is_an_error(tmp_path: Path) -> None:
    """Half precision on a CPU without it: the runtime goes on in float32, and says nothing."""

    class Compiled:
        def get_property(self, name: str) -> Any:
            return {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 4, "FLAG": True}[name]

    settings.refuse_other_values(Compiled(), (("NUM_STREAMS", "4"), ("FLAG", "1"), ("NEW", "x")))
    settings.refuse_other_values(Compiled(), (("NUM_STREAMS", "AUTO"),))
    with pytest.raises(BackendError, match="INFERENCE_PRECISION_HINT=f32 here, not f16"):
        settings.refuse_other_values(Compiled(), (("INFERENCE_PRECISION_HINT", "f16"),))


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
def test_a_precision_is_taken_or_said_to_be_missing(precision: str, tmp_path: Path) -> None:
    setup = configured(("INFERENCE_PRECISION_HINT", precision))
    job = workload(models.save(residual(), tmp_path), setup=setup)
    taken = settings.runtime().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "f32" or {"bf16": "BF16", "f16": "FP16"}[precision] in taken:
        assert trace_of(job).steps
    else:
        with pytest.raises(BackendError, match=f"not {precision}"):
            trace_of(job)
