"""TensorRT's inspector and profiles, read and tied to layers; sessions over a recorded engine.

The recorded engines under data/tensorrt are TensorRT's own (how: make.py there). What runs
here instead of TensorRT replays them through the part of its API that the session uses.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tensorrt_models
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.backends import named_steps, tensorrt_backend, tensorrt_session
from onnxprof.backends import tensorrt_layers as layers
from onnxprof.backends.named_steps import Evidence, Names
from onnxprof.backends.tensorrt_backend import TensorrtBackend, trace_of
from onnxprof.backends.tensorrt_session import EngineSession, ProfiledSession, Reports, build
from onnxprof.contracts import BackendError, UsageError, Workload
from onnxprof.inspector import inspect
from onnxprof.modelfile import open_model, prepare
from onnxprof.provenance import Graph, GraphNode
from onnxprof.records import Availability, Confidence, Device, Granularity, LayerTable, Step

DATA = Path(__file__).parent / "data" / "tensorrt"
SHAPES = {"residual": (2, 3, 16, 16), "attention": (2, 16, 32), "branches": (2, 8, 8, 8)}


def recorded(name: str) -> Any:
    return json.loads((DATA / f"{name}.layers.json").read_text())


def workload(folder: Path, name: str) -> Workload:
    path = folder / f"{name}.onnx"
    path.write_bytes(tensorrt_models.MODELS[name]().SerializeToString())
    model = open_model(str(path))
    rng = np.random.default_rng(0)
    return Workload(
        prepare(model, 2, {}),
        inspect(model, 2),
        {"x": rng.normal(size=SHAPES[name]).astype(np.float32)},
        1,
        "cuda",
    )


def reports(*inferences: list[tuple[str, float]]) -> Reports:
    made = Reports()
    for each in inferences:
        made.begin()
        for name, ms in each:
            made.add(name, ms)
    return made


def traced(folder: Path, name: str) -> tuple[tuple[Step, ...], LayerTable, tuple[str, ...]]:
    work = workload(folder, name)
    engine = recorded(name)
    once = [(layer["Name"], 0.001 * (i + 1)) for i, layer in enumerate(engine["Layers"])]
    trace = trace_of(work, json.dumps(engine), reports(once, once))
    assert trace.step_ns.shape == (len(trace.steps), 2)
    # two engine layers of one name are one to the profiler, which tells names alone
    assert trace.step_ns[:, 0].sum() == pytest.approx(sum(ms for _, ms in once) * 1e6)
    return trace.steps, work.table, trace.folded


def by_layer(steps: tuple[Step, ...]) -> dict[str, Step]:
    return {name: step for step in steps for name in step.layers}


@pytest.mark.parametrize("name", tensorrt_models.MODELS)
def test_no_layer_is_covered_twice_and_none_is_lost(tmp_path: Path, name: str) -> None:
    steps, table, folded = traced(tmp_path, name)
    covered = Counter(layer for step in steps for layer in step.layers)
    assert set(covered.values()) == {1}
    assert set(covered) | set(folded) == {layer.name for layer in table.nodes}
    assert not set(covered) & set(folded)


def test_metadata_ties_a_fused_kernel_to_its_layers(tmp_path: Path) -> None:
    steps, table, _ = traced(tmp_path, "residual")
    owner = by_layer(steps)
    assert owner["/stem/Conv"].layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert owner["/stem/Conv"].confidence is Confidence.EXACT
    assert owner["/stem/Conv"].evidence == "metadata"
    # brackets in a name, a node without one (`node_of_a1`), a Dropout that was dropped
    unnamed = next(layer.name for layer in table.nodes if layer.op_type == "Add")
    dropout = next(layer.name for layer in table.nodes if layer.op_type == "Dropout")
    block = owner["/block[0]/Conv"]
    assert block.layers == ("/block[0]/Conv", unnamed, "/block[0]/Relu", dropout)


def test_kernels_that_share_a_layer_are_one_step(tmp_path: Path) -> None:
    steps, _, _ = traced(tmp_path, "residual")
    head = by_layer(steps)["/head/Gemm"]
    assert head.layers == ("/head/Flatten", "/head/Gemm", "/head/Softmax")
    assert head.nodes == 2
    assert head.name == "/head/Gemm + __myl_AddMaxrSubExpSumDiv"
    norm = by_layer(traced(tmp_path, "attention")[0])["/norm/LayerNorm"]
    assert (norm.nodes, norm.layers) == (2, ("/norm/LayerNorm",))


def test_what_no_layer_asked_for_belongs_to_none(tmp_path: Path) -> None:
    steps, _, _ = traced(tmp_path, "residual")
    moved = [step for step in steps if not step.layers]
    assert [step.name for step in moved] == ["__myl_Move"]
    assert moved[0].confidence is Confidence.NONE


def test_sizes_that_are_known_while_building_are_folded(tmp_path: Path) -> None:
    steps, _, folded = traced(tmp_path, "branches")
    assert folded == ("/Shape", "/Slice", "/Concat_1")
    assert by_layer(steps)["/Reshape"].layers == ("/Reshape",)


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ("[ONNX Layer: a]", ("a",)),
        ("[ONNX Layer: a]\x1f[ONNX Layer: b]\x1e[ONNX Layer: c]", ("a", "b", "c")),
        ("[ONNX Layer: a][ONNX Layer: b]", ("a", "b")),
        ("[ONNX Layer: x[0]]\x1f[ONNX Layer: x[0]]", ("x[0]",)),
        ("[ONNX Layer: with: colon ]", ("with: colon ",)),
        ("", ()),
        ("[Something else: a]", ()),
        ("[ONNX Layer: cut", ()),
    ],
)
def test_names_in_metadata(metadata: str, names: tuple[str, ...]) -> None:
    assert layers.mentioned(metadata) == names


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(workload(tmp_path, "residual").table)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/stem/Conv", ("/stem/Conv",)),
        ("/stem/Conv [profile 1]", ("/stem/Conv",)),
        ("/stem/Conv + /stem/Relu", ("/stem/Conv", "/stem/Relu")),
        ("/stem/Conv || /block[0]/Conv", ("/stem/Conv", "/block[0]/Conv")),
        ("/stem/Conv + PWN(/stem/Relu)", ("/stem/Conv", "/stem/Relu")),
        ("PWN(PWN(/stem/Relu), /block[0]/Relu)", ("/stem/Relu", "/block[0]/Relu")),
        ("{ForeignNode[w1.../stem/Relu]}", ("/stem/Relu",)),
        ("{ForeignNode[/stem/Conv.../head/Softmax]}", ("/head/Softmax",)),
        ("{ForeignNode[nowhere...to be found]}", ()),
        ("Reformatting CopyNode for Input Tensor 0 to /stem/Conv", ()),
        ("Reformatting CopyNode for Output Tensor 0 to /head/Softmax", ()),
        ("__myl_Move", ()),
        ("(Unnamed Layer* 3) [Shuffle]", ()),
    ],
)
def test_names_of_engine_layers(names: Names, name: str, found: tuple[str, ...]) -> None:
    told = layers.evidence(layers.EngineLayer(name), names)
    assert told.layers == found
    assert not (told.layers and told.exact), "a name alone is no certain evidence"


def test_a_copy_belongs_to_no_layer_whatever_its_metadata_says(names: Names) -> None:
    copy = layers.EngineLayer(
        "Reformatting CopyNode for Input Tensor 0 to /stem/Conv",
        metadata="[ONNX Layer: /stem/Conv]",
    )
    assert layers.evidence(copy, names).layers == ()


def test_a_region_is_one_step_of_all_between_its_neighbours(tmp_path: Path) -> None:
    work = workload(tmp_path, "residual")
    engine = {"Layers": ["/stem/Conv + /stem/Relu", "{ForeignNode[w2.../head/Softmax]}"]}
    once = [(name, 1.0) for name in engine["Layers"]]
    trace = trace_of(work, json.dumps(engine), reports(once))
    first, region = trace.steps
    assert first.layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert len(region.layers) == 8
    assert region.confidence is Confidence.INFERRED


@pytest.mark.parametrize(
    "data", [None, [], {}, {"Layers": {}}, {"Layers": [1]}, {"Layers": [{"LayerType": "x"}]}, "x"]
)
def test_what_is_no_layer_information_is_refused(data: Any) -> None:
    with pytest.raises(BackendError, match="no layer information of TensorRT"):
        layers.parse_engine(data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        [1],
        [{"count": -1}],
        [{"count": "many"}],
        [{"count": 1}, {"name": 3}],
        [{"count": 1}, {"name": "a"}],
        [{"count": 1}, {"name": "a", "averageMs": float("nan")}],
        [{"count": 1}, {"name": "a", "averageMs": -1}],
        [{"count": 1}, {"name": "a", "averageMs": True}],
        [{"count": 1}, {"name": "a", "averageMs": 1e300}],
    ],
)
def test_what_is_no_profile_is_refused(data: Any) -> None:
    with pytest.raises(BackendError):
        layers.parse_profile(data)


def test_a_profile_prefers_medians_and_an_old_one_has_means() -> None:
    data = [
        {"count": 3},
        {"name": "a", "averageMs": 2.0, "medianMs": 1.5},
        {"name": "b", "averageMs": 1},
    ]
    assert layers.parse_profile(data) == (3, (("a", 1.5), ("b", 1.0)))
    assert layers.parse_profile(data[1:])[0] == 0


@pytest.mark.parametrize("data", [{}, [], [1], [{"latencyMs": 1}], [{"computeMs": "1"}]])
def test_what_is_no_list_of_times_is_refused(data: Any) -> None:
    with pytest.raises(BackendError):
        layers.parse_times(data)


# --- any claims at all -------------------------------------------------------------------


@st.composite
def claimed(draw: st.DrawFn) -> tuple[Graph, list[Evidence]]:
    """A graph in topological order, and units that claim whatever layers they like."""
    size = draw(st.integers(1, 10))
    nodes = []
    for i in range(size):
        sources = draw(st.lists(st.integers(-1, i - 1), min_size=1, max_size=3))
        inputs = tuple("x" if s < 0 else f"t{s}" for s in sources)
        kind = draw(st.sampled_from(["Conv", "Relu", "Dropout", "Add"]))
        nodes.append(GraphNode(f"n{i}", kind, inputs, (f"t{i}",)))
    names = st.lists(st.sampled_from([n.name for n in nodes] + ["stranger"]), max_size=4)
    units = draw(
        st.lists(
            st.builds(
                Evidence,
                st.just("drawn"),
                names.map(lambda found: tuple(dict.fromkeys(found))),
                st.just(()),
                st.booleans(),
                st.booleans(),
            ),
            max_size=8,
        )
    )
    return Graph(tuple(nodes), outputs=(f"t{size - 1}",)), units


@given(claimed())
def test_no_layer_twice_and_every_unit_once_whatever_is_claimed(
    drawn: tuple[Graph, list[Evidence]],
) -> None:
    graph, units = drawn
    ties = named_steps.tie(graph, units)
    members = [unit for step in ties.steps for unit in step.members]
    assert sorted(members) == list(range(len(units)))
    covered = Counter(name for step in ties.steps for name in step.layers)
    assert all(count == 1 for count in covered.values())
    assert set(covered) <= {node.name for node in graph.nodes}
    assert all((step.confidence is Confidence.NONE) == (not step.layers) for step in ties.steps)


# --- sessions over a recorded engine -----------------------------------------------------


class FakeMemory:
    """Host memory under made-up addresses."""

    stream = 7

    def __init__(self) -> None:
        self.held: dict[int, bytes] = {}
        self.waits = 0

    def allocate(self, size: int) -> int:
        self.held[len(self.held) + 1] = bytes(size)
        return len(self.held)

    def to_device(self, pointer: int, array: Any) -> None:
        self.held[pointer] = array.tobytes()

    def to_host(self, array: Any, pointer: int) -> None:
        array[...] = np.frombuffer(self.held[pointer], array.dtype).reshape(array.shape)

    def wait(self) -> None:
        self.waits += 1

    def close(self) -> None:
        self.held.clear()


class Context:
    """Runs nothing, reports what was recorded, answers with ones."""

    def __init__(self, engine: RecordedEngine) -> None:
        self.engine = engine
        self.profiler: Any = None
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = tuple(shape)
        return len(shape) == len(self.engine.ports[name])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self.shapes, "shapes of outputs are known once the inputs have theirs"
        return self.engine.ports[name]

    def set_tensor_address(self, name: str, pointer: int) -> None:
        self.addresses[name] = pointer

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == FakeMemory.stream
        assert set(self.addresses) == set(self.engine.ports)
        out = self.addresses["y"]
        memory = self.engine.memory.held
        memory[out] = np.ones(len(memory[out]) // 4, np.float32).tobytes()
        if self.profiler is not None:
            for row in self.engine.profile[1:]:
                self.profiler.report_layer_time(row["name"], row["averageMs"])
        return not self.engine.broken


class RecordedEngine:
    """An `ICudaEngine` as far as the session asks."""

    def __init__(self, name: str, memory: FakeMemory, output: tuple[int, ...]) -> None:
        self.ports: dict[str, tuple[int, ...]] = {"x": SHAPES[name], "y": output}
        self.memory = memory
        self.text = (DATA / f"{name}.layers.json").read_text()
        self.profile = json.loads((DATA / f"{name}.profile.json").read_text())
        self.num_io_tensors = 2
        self.broken = False
        self.no_context = False

    def get_tensor_name(self, index: int) -> str:
        return list(self.ports)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "x" else "out"

    def get_tensor_location(self, name: str) -> str:
        return "device"

    def get_tensor_dtype(self, name: str) -> str:
        return "FLOAT"

    def create_execution_context(self) -> Context | None:
        return None if self.no_context else Context(self)

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda form: self.text)


def no_type(dtype: str) -> type:
    raise TypeError(f"Could not resolve TensorRT datatype {dtype}")


class Interface:
    """Stands for classes of TensorRT's that one derives from."""

    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)


TRT = SimpleNamespace(
    __version__="11.0.0",
    ILogger=Interface,
    IProfiler=Interface,
    TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
    TensorLocation=SimpleNamespace(HOST="host", DEVICE="device"),
    LayerInformationFormat=SimpleNamespace(JSON="json"),
    nptype=lambda dtype: np.float32,
)


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


class Builder:
    """What TensorRT's builder is asked for, noted down."""

    def __init__(self, log: Any) -> None:
        self.log = log
        self.noted: dict[str, Any] = {}
        LAST[:] = [self]

    def create_network(self, flags: int) -> Any:
        self.noted["flags"] = flags
        tensor = SimpleNamespace(name="x", shape=(-1, 3, 16, 16), is_shape_tensor=False)
        return SimpleNamespace(num_inputs=1, get_input=lambda i: tensor)

    def create_optimization_profile(self) -> Any:
        return SimpleNamespace(set_shape=lambda *a: self.noted.update(profile=a))

    def create_builder_config(self) -> Any:
        def cache(data: bytes) -> Any:
            self.noted["cache"] = data
            return None if data == b"damaged" else SimpleNamespace(serialize=lambda: b"timed")

        self.config = SimpleNamespace(
            profiling_verbosity=None,
            add_optimization_profile=lambda profile: None,
            create_timing_cache=cache,
            set_timing_cache=lambda made, lax: not lax,
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"timed"),
        )
        return self.config

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        self.log.log(Interface.Severity.WARNING, "only a warning")
        if FAILING:
            self.log.log(Interface.Severity.ERROR, FAILING[0])
            return None
        return b"plan"


class Parser:
    num_errors = 0

    def __init__(self, network: Any, log: Any) -> None:
        pass

    def parse(self, data: bytes, path: str) -> bool:
        return onnx.load_model_from_string(data).ir_version > 0

    def parse_from_file(self, path: str) -> bool:
        return Path(path).is_file()


LAST: list[Builder] = []
FAILING: list[str] = []
BUILDING = SimpleNamespace(
    **vars(TRT),
    Builder=Builder,
    OnnxParser=Parser,
    ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
    NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
)


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
    assert TensorrtBackend().devices() == ()


def test_it_says_that_no_hardware_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Device("cuda:0:nvidia-h200", "cuda", "NVIDIA H200")
    monkeypatch.setattr(tensorrt_backend, "runtime", lambda: TRT)
    gpus = SimpleNamespace(devices=(found,), reason="")
    monkeypatch.setattr(tensorrt_backend.gpus, "cuda_devices", lambda: gpus)
    [state] = TensorrtBackend().availability()
    assert state == Availability(
        "tensorrt", found.id, True, "TensorRT 11.0.0, not yet verified on hardware"
    )
    assert TensorrtBackend().devices() == (found,)
    gpus.devices, gpus.reason = (), "no NVIDIA driver answers"
    [state] = TensorrtBackend().availability()
    assert (state.usable, state.detail) == (False, "no NVIDIA driver answers")


def test_a_whole_measurement_over_a_recorded_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxprof.backends import tensorrt_memory
    from onnxprof.measure import Budget, Timer, measure
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
    monkeypatch.setattr(tensorrt_backend, "runtime", lambda: trt)
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
    from dataclasses import replace

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
    path = tensorrt_backend.cache_file("11.0.0/../..", "cuda:1:../x")
    assert path.parent == tmp_path / "tensorrt"
    assert tensorrt_backend.device_index("cuda:1:nvidia-h200") == 1
    assert tensorrt_backend.device_index("") == 0
