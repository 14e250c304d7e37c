"""The tensorrt backend over a recorded engine: sessions, building, the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.networks import tensorrt_models
from support.tensorrt_engines import (
    BUILDING,
    FAILING,
    LAST,
    SHAPES,
    TRT,
    FakeMemory,
    RecordedEngine,
    no_type,
    reports,
    workload,
)

from onnxprof.backends.tensorrt import backend
from onnxprof.backends.tensorrt import build as tensorrt_build
from onnxprof.backends.tensorrt import session as tensorrt_session
from onnxprof.backends.tensorrt.backend import TensorrtBackend, trace_of
from onnxprof.backends.tensorrt.build import build
from onnxprof.backends.tensorrt.session import EngineSession, ProfiledSession, Reports
from onnxprof.errors import BackendError, UsageError
from onnxprof.records.device import Availability, Device, device_index
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Granularity, Setup


@pytest.fixture
def engine() -> RecordedEngine:
    return RecordedEngine("residual", FakeMemory(), (2, 10))


def test_a_session_binds_once_and_waits_for_the_device(
    tmp_path: Path, engine: RecordedEngine
) -> None:
    work = workload(tmp_path, "residual")
    session = EngineSession(TRT, engine, engine.memory, work)
    for _ in range(3):
        session.infer()
    assert engine.memory.waits == 3
    assert len(engine.memory.held) == 2
    [output] = session.outputs()
    assert (output.name, output.dtype, output.shape) == ("y", "float32", (2, 10))
    assert session.values()["y"].tolist() == np.ones((2, 10)).tolist()
    assert engine.memory.held[1] == work.inputs["x"].tobytes()


def test_sizes_stay_on_the_host(tmp_path: Path, engine: RecordedEngine) -> None:
    engine.on_host = {"x", "y"}
    session = EngineSession(TRT, engine, engine.memory, workload(tmp_path, "residual"))
    assert not engine.memory.held, "nothing lies on the device"
    assert session.values()["y"].shape == (2, 10)
    assert all(pointer > 1 << 16 for pointer in session.context.addresses.values())


def test_a_profiled_session_gives_every_layer_in_every_inference(
    tmp_path: Path, engine: RecordedEngine
) -> None:
    work = workload(tmp_path, "residual")

    def read(its: Any, told: Reports) -> Any:
        return trace_of(work, its.create_engine_inspector().get_engine_information("json"), told)

    session = ProfiledSession(TRT, engine, engine.memory, work, read)
    for _ in range(4):
        session.infer()
    trace = session.trace()
    assert trace.step_ns.shape == (5, 4)
    whole = sum(row["averageMs"] for row in engine.profile[1:])
    assert trace.step_ns.sum(axis=0).tolist() == [round(whole * 1e6)] * 4


def test_trouble_in_a_session_is_an_error_with_its_reason(
    tmp_path: Path, engine: RecordedEngine
) -> None:
    work = workload(tmp_path, "residual")
    session = EngineSession(TRT, engine, engine.memory, work)
    engine.broken = True
    with pytest.raises(BackendError, match="cannot run the engine"):
        session.infer()
    engine.ports["y"] = (-1, 10)
    with pytest.raises(BackendError, match="output y depends on values"):
        EngineSession(TRT, engine, engine.memory, work)
    strange = SimpleNamespace(**{**vars(TRT), "nptype": no_type})
    with pytest.raises(BackendError, match="NumPy has no type for tensor x"):
        EngineSession(strange, engine, engine.memory, work)
    engine.no_context = True
    with pytest.raises(BackendError, match="no memory on the device"):
        EngineSession(TRT, engine, engine.memory, work)


def test_an_inspector_that_gives_no_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no JSON"):
        trace_of(workload(tmp_path, "residual"), "Layers:", reports([]))


def test_reports_beyond_the_limit_leave_whole_inferences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_session, "_MOST_REPORTS", 5)
    told = reports(*[[("a", 1.0), ("b", 1.0)]] * 3)
    assert told.whole == [[("a", 1.0), ("b", 1.0)]] * 2


# --- building ----------------------------------------------------------------------------


@pytest.fixture
def failing() -> Iterator[list[str]]:
    yield FAILING
    FAILING.clear()


def test_an_engine_is_strongly_typed_detailed_and_of_one_size(tmp_path: Path) -> None:
    work, cache = workload(tmp_path, "residual"), tmp_path / "new" / "x.timing"
    assert build(BUILDING, work, cache) == b"plan"
    [builder] = LAST
    assert builder.noted["flags"] == 1 << 1
    assert builder.noted["profile"] == ("x", *[SHAPES["residual"]] * 3)
    assert builder.config.profiling_verbosity == "detailed"
    assert cache.read_bytes() == b"timed"
    assert [p.name for p in cache.parent.iterdir()] == ["x.timing"]
    cache.write_bytes(b"damaged")
    build(BUILDING, work, cache)
    assert LAST[0].noted["cache"] == b""
    assert cache.read_bytes() == b"timed"
    newest = SimpleNamespace(**{**vars(BUILDING), "NetworkDefinitionCreationFlag": object()})
    build(newest, work)
    assert LAST[0].noted["flags"] == 0


def test_a_level_of_optimisation_is_the_builders(tmp_path: Path) -> None:
    setup = backend.TensorrtBackend().configured(Setup("5"), "cuda")
    build(BUILDING, replace(workload(tmp_path, "residual"), setup=setup))
    assert LAST[0].config.builder_optimization_level == 5
    build(BUILDING, workload(tmp_path, "residual"))
    assert not hasattr(LAST[0].config, "builder_optimization_level")


@pytest.mark.parametrize(
    ("setup", "why"),
    [
        (Setup("basic"), "takes 0 to 5, or all for the usual one"),
        (Setup(session=(("fp16", "1"),)), "TensorRT has no such option"),
        (Setup(session=(("timing_cache_path", "x"),)), "loads no code"),
        (Setup(provider=(("a", "1"),)), "no options of providers"),
    ],
)
def test_what_cannot_be_set_is_refused(setup: Setup, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        backend.TensorrtBackend().configured(setup, "cuda")


def test_building_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_build, "_EVERY_SECONDS", 0.0)
    told: list[str] = []
    build(BUILDING, replace(workload(tmp_path, "residual"), tell=told.append))
    assert told[0] == "building the engine: Building Engine, 0 of 2"
    assert told[1] == "building the engine: Timing graph nodes, 0 of 40"
    assert told[-1] == "building the engine: Timing graph nodes, 40 of 40"
    monkeypatch.setattr(tensorrt_build, "_EVERY_SECONDS", 60.0)
    told.clear()
    build(BUILDING, replace(workload(tmp_path, "residual"), tell=told.append))
    assert len(told) == 1, "now and then, not at each of thousands of steps"


def test_a_build_goes_on_where_nobody_listens_any_more(tmp_path: Path) -> None:
    def gone(text: str) -> None:
        raise BrokenPipeError(text)

    assert build(BUILDING, replace(workload(tmp_path, "residual"), tell=gone)) == b"plan"


#: What the backend asks of TensorRT, class by class; the documentation of 10 and 11 has all of it.
USED = {
    "Builder": (
        *("create_network", "create_builder_config", "create_optimization_profile"),
        "build_serialized_network",
    ),
    "OnnxParser": ("parse", "parse_from_file", "num_errors", "get_error"),
    "IBuilderConfig": (
        *("profiling_verbosity", "add_optimization_profile", "progress_monitor"),
        *("create_timing_cache", "set_timing_cache", "get_timing_cache"),
        "builder_optimization_level",
    ),
    "INetworkDefinition": ("num_inputs", "get_input"),
    "ITensor": ("is_shape_tensor", "shape", "name"),
    "IOptimizationProfile": ("set_shape", "set_shape_input"),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": (
        *("create_execution_context", "create_engine_inspector", "num_io_tensors"),
        *("get_tensor_name", "get_tensor_mode", "get_tensor_location", "get_tensor_dtype"),
    ),
    "IExecutionContext": (
        *("set_input_shape", "get_tensor_shape", "set_tensor_address", "execute_async_v3"),
        "profiler",
    ),
    "EngineInspector": ("get_engine_information",),
    "ITimingCache": ("serialize",),
    "IProgressMonitor": ("phase_start", "step_complete", "phase_finish"),
    "IProfiler": ("report_layer_time",),
    "ILogger": ("Severity",),
    "ProfilingVerbosity": ("DETAILED",),
    "TensorIOMode": ("INPUT",),
    "TensorLocation": ("HOST",),
    "LayerInformationFormat": ("JSON",),
}


@pytest.fixture
def rtx() -> Any:
    """TensorRT for RTX: the same Python API, and it builds engines without a GPU."""
    return pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")


@pytest.mark.filterwarnings("ignore:.*TensorRT-RTX.*:DeprecationWarning")
def test_a_real_builder_takes_what_it_is_given(rtx: Any, tmp_path: Path) -> None:
    assert not [f"{c}.{a}" for c, each in USED.items() for a in each if not hasattr(rtx, c)
                or not hasattr(getattr(rtx, c), a)]  # fmt: skip
    told: list[str] = []
    work = replace(workload(tmp_path, "residual"), tell=told.append)
    cache = tmp_path / "x.timing"
    assert len(build(rtx, work, cache)) > 10_000
    assert told[0].startswith("building the engine: ")
    assert cache.stat().st_size
    cache.write_bytes(b"damaged" * 9)
    assert len(build(rtx, work, cache)) > 10_000
    dynamic = PreparedModel(tensorrt_models.residual().SerializeToString(), tmp_path)
    assert len(build(rtx, replace(work, model=dynamic))) > 10_000
    wrong = replace(work, model=dynamic, inputs={"x": np.zeros((2, 4, 16, 16), np.float32)})
    with pytest.raises(BackendError, match=r"cannot build the engine: .*[Dd]imension"):
        build(rtx, wrong)
    with pytest.raises(BackendError, match="an input that is not given: x"):
        build(rtx, replace(work, inputs={}))


def test_a_failed_build_gives_the_reason_that_was_logged(
    tmp_path: Path, failing: list[str]
) -> None:
    failing.append("Error Code 10: Could not find any implementation\nmore")
    with pytest.raises(BackendError, match=r"Could not find any implementation$"):
        build(BUILDING, workload(tmp_path, "residual"))


# --- the plugin --------------------------------------------------------------------------


def test_without_tensorrt_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    [state] = TensorrtBackend().availability()
    assert not state.usable
    assert 'pip install "onnxprof[tensorrt]"' in state.remedy
    assert "not yet verified on hardware" in state.detail
    assert TensorrtBackend().devices() == ()


def test_it_says_that_no_hardware_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Device("cuda:0:nvidia-h200", "cuda", "NVIDIA H200")
    monkeypatch.setattr(backend, "runtime", lambda: TRT)
    gpus = SimpleNamespace(devices=(found,), reason="")
    monkeypatch.setattr(backend.gpus, "cuda_devices", lambda: gpus)
    [state] = TensorrtBackend().availability()
    assert state == Availability(
        "tensorrt", found.id, True, "TensorRT 11.0.0, not yet verified on hardware"
    )
    assert TensorrtBackend().devices() == (found,)
    gpus.devices, gpus.reason = (), "no NVIDIA driver answers"
    [state] = TensorrtBackend().availability()
    assert not state.usable
    assert state.detail.startswith("no NVIDIA driver answers")
    assert "not yet verified on hardware" in state.detail


def test_a_whole_measurement_over_a_recorded_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxprof.backends.tensorrt import memory as tensorrt_memory
    from onnxprof.measure.budget import Budget
    from onnxprof.measure.protocol import measure
    from onnxprof.records.step import Timer
    from onnxprof.testing import ScriptedClock

    work, clock = workload(tmp_path, "residual"), ScriptedClock()
    built: list[bytes] = []
    memories: list[FakeMemory] = []

    class Ticking(FakeMemory):
        def wait(self) -> None:
            super().wait()
            clock.advance(60_000)

    def memory(index: int) -> FakeMemory:
        memories.append(Ticking())
        return memories[-1]

    def runtime(log: Any) -> Any:
        made = RecordedEngine("residual", memories[-1], (2, 10))
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: built.append(plan) or made)

    trt = SimpleNamespace(**vars(BUILDING), Runtime=runtime)
    monkeypatch.setattr(backend, "runtime", lambda: trt)
    monkeypatch.setattr(tensorrt_memory, "DeviceMemory", memory)
    LAST.clear()
    found = measure(
        TensorrtBackend(), work, Budget(0.05), clock, lambda *_: None, timer=Timer.TRACE
    )
    assert len(found.trace.steps) == 5
    assert found.timings.step_ns.shape[1] == found.timings.traced_ns.size
    assert len(built) == 2, "both sessions load"
    assert len(LAST) == 1, "the same engine"
    assert all(not memory.held for memory in memories), "and free what they took"


def test_what_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = workload(tmp_path, "residual")
    for wrong, error, text in (
        (replace(work, provider="cpu"), UsageError, "no provider 'cpu'"),
        (replace(work, granularity=Granularity.WRITTEN), BackendError, "as written"),
        (work, BackendError, "TensorRT cannot be used"),
    ):
        monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
        with pytest.raises(error, match=text), TensorrtBackend().open(wrong):
            pass


def test_the_cache_of_timings_stays_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    path = backend.cache_file("11.0.0/../..", "cuda:1:../x")
    assert path.parent == tmp_path / "tensorrt"
    assert device_index("cuda:1:nvidia-h200") == 1
    assert device_index("") == 0
