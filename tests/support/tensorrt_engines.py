"""A recorded TensorRT engine, and a stand-in for the part of TensorRT's API that we use.

The recorded engines under data/tensorrt are TensorRT's own (how: make.py there). What runs
here instead of TensorRT replays them.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx

from onnxprof.backends.tensorrt.session import Reports
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from support.networks import tensorrt_models
from support.places import DATA

DATA = DATA / "tensorrt"
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
        self.on_host: set[str] = set()
        self.broken = False
        self.no_context = False

    def get_tensor_name(self, index: int) -> str:
        return list(self.ports)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "x" else "out"

    def get_tensor_location(self, name: str) -> str:
        return "host" if name in self.on_host else "device"

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
    IProgressMonitor=Interface,
    TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
    TensorLocation=SimpleNamespace(HOST="host", DEVICE="device"),
    LayerInformationFormat=SimpleNamespace(JSON="json"),
    nptype=lambda dtype: np.float32,
)


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
            progress_monitor=None,
        )
        return self.config

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        self.log.log(Interface.Severity.WARNING, "only a warning")
        told = config.progress_monitor
        told.phase_start("Building Engine", None, 2)
        told.phase_start("Timing graph nodes", "Building Engine", 40)
        assert all(told.step_complete("Timing graph nodes", step) for step in range(40))
        told.phase_finish("Timing graph nodes")
        told.phase_finish("Building Engine")
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
