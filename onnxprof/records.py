"""The nouns: layers, steps, devices and runs, as frozen records.

Durations are integer nanoseconds and say so in their names. Raw samples are kept;
every statistic is derived from them when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from onnxprof.devicefacts import Availability as Availability
from onnxprof.devicefacts import Device as Device
from onnxprof.gpurows import ApiRow, KernelRow
from onnxprof.outcomes import Parity
from onnxprof.readings import Telemetry
from onnxprof.timings import Indices as Indices
from onnxprof.timings import Samples as Samples
from onnxprof.timings import Timings as Timings

#: One axis: its size, the name of a symbolic size, or None where nothing is known.
Dim = int | str | None
#: A tensor's axes; None where not even the rank is known.
Shape = tuple[Dim, ...] | None

#: Version of the stored record; a reader refuses what it does not know.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows between layers."""

    name: str
    dtype: str = ""
    """NumPy's name (`float32`), or `sequence(float32)`, `optional(int64)`; empty if unknown."""
    shape: Shape = None
    value: tuple[int, ...] | None = None
    """The contents of a shape operand, resolved at the table's batch size."""
    observed: bool = False
    """The shape was seen at run time, not inferred."""

    @property
    def is_static(self) -> bool:
        """Whether every axis has a known size."""
        return self.shape is not None and all(isinstance(d, int) for d in self.shape)


class LayerKind(StrEnum):
    """What a row of the layer table stands for."""

    INPUT = "input"
    INITIALIZER = "initializer"
    SHAPE_OPERAND = "shape_operand"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the layer table: a node of the ONNX graph, or a tensor that is given."""

    name: str
    """Unique among the nodes of a table; the node carries it in the runtime, too."""
    kind: LayerKind
    layer_type: str
    """Coarse class (`Conv`, `ElementWise`, …), or `Input`, `Initializer`, `ShapeOperand`."""
    op_type: str = ""
    """ONNX operator; empty for what is not a node."""
    domain: str = ""
    """Operator domain; empty for the default domain."""
    opset: int = 0
    """Version of the domain that the model imports; 0 for what is not a node."""
    inputs: tuple[Tensor, ...] = ()
    """Inputs that are present, in operator order."""
    outputs: tuple[Tensor, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """Attribute names and their values as text."""
    given_name: str = ""
    """The node's name in the file; empty where the file gives none."""
    parent: str = ""
    """The control-flow layer whose subgraph holds this one; empty at the top level."""
    subgraph: str = ""
    """The attribute of `parent` that is this subgraph: `body`, `then_branch`; else empty."""


@dataclass(frozen=True, slots=True)
class LayerTable:
    """Every layer of a model at one batch size, in first-appearance order."""

    layers: tuple[Layer, ...]
    batch: int
    dims: tuple[tuple[str, int], ...] = ()
    """Sizes given to symbolic axes other than the batch."""
    obstacle: str = ""
    """Why the model stays at its own batch, naming the layer; empty if it was re-batched."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the file declares and its own graph contradicts; not stored with a run."""

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def nodes(self) -> tuple[Layer, ...]:
        """The layers that are nodes of the graph, in file order."""
        return tuple(layer for layer in self.layers if layer.kind is LayerKind.NODE)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which bytes were measured."""

    name: str
    reference: str
    """What the user asked for: `zoo:NAME`, or a file, of which runs keep the name alone."""
    sha256: str
    """Digest of the model file, followed by its external data in order of first use."""
    file_bytes: int
    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    producer: str = ""
    graph_name: str = ""
    parameters: int = 0
    """Elements in all floating-point initializers."""


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model as a runtime is to load it: unique node names, the batch carried through."""

    source: Path | bytes
    """A file that needed no change, or the changed model, serialised."""
    folder: Path
    """Where external data of `source` is looked up."""
    free_dims: tuple[tuple[str, int], ...] = ()
    """Sizes of the symbolic axes that are still free in `source`, the batch among them."""


class Confidence(StrEnum):
    """How it is known which layers a step covers."""

    EXACT = "exact"
    INFERRED = "inferred"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Step:
    """What a runtime executes as one unit."""

    name: str
    """Says what it does, so that it is the same in every process; unique in a run."""
    op_type: str
    provider: str
    layers: tuple[str, ...]
    """Names of the node layers that it covers, in table order; empty if it belongs to none."""
    confidence: Confidence
    evidence: str = ""
    """What tied the step to its layers, in a few words."""
    outputs: tuple[Tensor, ...] = ()
    """Its outputs as seen at run time, with the original's names where it has them."""
    position: int = 0
    """Its place in execution order; steps of a subgraph have that of their control-flow step."""
    nodes: int = 1
    """Nodes of the executed graph that it stands for, where several compute a layer together."""
    verdict: str = ""
    """`verified`, `refuted: …` or `not checked: …`, with why; empty where no check was made."""
    shared: tuple[str, ...] = ()
    """Those of `layers` that equal another of them, so that the runtime computed them once."""
    runtime_name: str = ""
    """What the runtime calls it, for its own tools; may differ from process to process."""

    @property
    def is_refuted(self) -> bool:
        """Whether it lost layers because it did not do their work."""
        return self.verdict.startswith("refuted")


class Granularity(StrEnum):
    """Whether the runtime may optimise the graph."""

    EXECUTED = "executed"
    WRITTEN = "written"


class WarningKind(StrEnum):
    """What a reader of a run must know before trusting it."""

    UNSTEADY_WARMUP = "unsteady_warmup"
    FEW_SAMPLES = "few_samples"
    WIDE_INTERVAL = "wide_interval"
    TIMER_INFLATION = "timer_inflation"
    NEGATIVE_OVERHEAD = "negative_overhead"
    HIGH_OVERHEAD = "high_overhead"
    UNATTRIBUTED_TIME = "unattributed_time"
    UNVERIFIED_TIME = "unverified_time"
    FIXED_BATCH = "fixed_batch"
    BATCH_LOST = "batch_lost"
    ITEMS_MIX = "items_mix"
    QUANTISED_TOGETHER = "quantised_together"
    ILL_CONDITIONED = "ill_conditioned"
    BATCH_UNPROVEN = "batch_unproven"
    BUSY_MACHINE = "busy_machine"
    THROTTLED = "throttled"
    UNLOCKED_CLOCKS = "unlocked_clocks"
    FALLBACK_PROVIDER = "fallback_provider"
    TRUNCATED_PROFILE = "truncated_profile"
    NO_PREFIXES = "no_prefixes"
    FEWER_PREFIXES = "fewer_prefixes"
    PREFIXES_DISAGREE = "prefixes_disagree"
    DRIFT = "drift"
    PARITY_FAILED = "parity_failed"
    LAUNCH_TIMES = "launch_times"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class RunWarning:
    """One caveat of a run: what, and how much."""

    kind: WarningKind
    value: float = 0.0
    """The figure behind the caveat; its meaning is that of the kind."""
    subject: str = ""
    """The layer or output concerned, where there is one."""
    bound: float = 0.0
    """What the figure is held against, where a kind has no fixed bound."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked to be measured; its digest names the stored run."""

    model_name: str
    model_sha256: str
    backend: str
    provider: str
    device_id: str
    batch: int
    dims: tuple[tuple[str, int], ...] = ()
    threads: int = 1
    granularity: Granularity = Granularity.EXECUTED
    timer: str = "auto"
    """The timer asked for; `Run.timer` is the one that was used."""
    seed: int = 0
    inputs_sha256: str = ""
    """Digest of the user's input file; empty for generated inputs."""
    processes: int = 1
    """Fresh processes that the measurement is repeated in."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the times of a run come from that another program measured."""

    program: str
    """What wrote the files: `trtexec`, `onnxruntime`, `benchmark_app`."""
    timer: str
    """What took the steps' times, as its makers call it: `IProfiler`."""
    inferences: int = 0
    """How many are behind each step's time; 0 if the files do not say."""
    averaged: bool = False
    """Step times are means or medians over those inferences, so their spread is not known."""
    files: tuple[tuple[str, str], ...] = ()
    """Name without folder, and SHA-256, of each file that was read."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement with everything that is needed to check it."""

    request: Request
    model: ModelFacts
    device: Device
    environment: tuple[tuple[str, str], ...]
    """Facts about machine and software, as keys and printable values."""
    created: str
    """UTC, ISO 8601 with seconds."""
    command: str
    """The command line that measures this again."""
    table: LayerTable
    steps: tuple[Step, ...] = ()
    folded: tuple[str, ...] = ()
    """Node layers that the runtime computed while loading."""
    timings: Timings | None = None
    """None where the measurement failed."""
    warnings: tuple[RunWarning, ...] = ()
    failure: str = ""
    """Why there are no timings; empty for a good run."""
    parity: Parity | None = None
    """None where outputs were not to be compared."""
    telemetry: Telemetry | None = None
    """None where it was not asked for, and in runs of versions that had none."""
    origin: Origin | None = None
    """None where onnxprof itself measured."""
    kernels: tuple[KernelRow, ...] = ()
    api_calls: tuple[ApiRow, ...] = ()
    """What ran on the GPU, and calls of the CUDA runtime; empty where no timer knows them."""
    schema: int = field(default=SCHEMA_VERSION)

    @property
    def timer(self) -> str:
        """The timer whose times are shown: `prefix`, `cupti`, `trace`, `imported: ` and a name."""
        if self.origin is not None:
            return f"imported: {self.origin.timer}"
        kept = (self.timings.prefix_ns.size, self.timings.host_ns.size) if self.timings else (0, 0)
        return "prefix" if kept[0] else "cupti" if kept[1] else "trace"
