"""A run and the request that asked for it, as frozen records.

Durations are integer nanoseconds and say so in their names. Raw samples are kept;
every statistic is derived from them when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.memory import CountedMemory
from onnxprof.records.parity import Parity
from onnxprof.records.step import Granularity, Setup, Step, Timer
from onnxprof.records.telemetry import Telemetry
from onnxprof.records.timings import Concurrency, Timings
from onnxprof.records.warning import RunWarning, WarningKind

#: Version of the stored record; readers refuse unknown versions.
SCHEMA_VERSION = 1
#: The key in `Run.environment` of the cores that were measured, and of those kept for onnxprof.
CORES = "cores"
#: The key in `Run.environment` of the runtime's package and version.
RUNTIME = "runtime"
#: `Request.timer` of a run that another program measured.
IMPORTED = "imported"
#: `Request.timer` of lower bounds that somebody published: no latency was measured.
PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Request:
    """The request for a measurement; the digest of these fields names the stored run."""

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
    """The requested timer; `Run.timer` is the timer that was used."""
    seed: int = 0
    inputs_sha256: str = ""
    """Digest of the user's input file; empty for generated inputs."""
    processes: int = 1
    """The number of fresh processes in which the measurement is repeated."""
    iterations: int = 0
    """The number of un-profiled inferences; 0 for as many as the budget gave."""
    warmup: int | None = None
    """The number of inferences between the first one and sampling; None for until steady."""
    duration: float = 0.0
    """The least number of seconds of sampling; 0 for none."""
    streams: int = 0
    """The number of concurrent inferences that were measured besides; 0 for none."""
    optimization_level: str = ""
    """Level of graph optimisation, by the backend's name; empty for the usual one."""
    session_options: tuple[tuple[str, str], ...] = ()
    """Options of the runtime that the user set, by name, sorted."""
    provider_options: tuple[tuple[str, str], ...] = ()
    """Options of the execution provider that the user set, by name, sorted."""
    runtime: str = ""
    """Package and version of a runtime beside the installed one; empty for that one."""
    phase: str = ""
    """Phase of a model with states, as `decode:512`; empty for a plain inference."""

    @property
    def setup(self) -> Setup:
        """How the runtime was set."""
        return Setup(self.optimization_level, self.session_options, self.provider_options)

    @property
    def words(self) -> tuple[str, ...]:
        """What is not as usual, in words: the phase, and how the runtime was set."""
        return (*((self.phase,) if self.phase else ()), *self.setup.words)

    @property
    def sizes(self) -> str:
        """`batch 8`, `batch 1, sequence=128`, `batch 1, decode:512`."""
        phase = (self.phase,) if self.phase else ()
        axes = (f"{name}={size}" for name, size in self.dims)
        return ", ".join((f"batch {self.batch}", *phase, *axes))

    @property
    def title(self) -> str:
        """The model and its sizes: `resnet50 at batch 8`, `gpt2 at batch 1, past=128`."""
        return f"{self.model_name} at {self.sizes}"

    @property
    def is_published(self) -> bool:
        """Whether the times are published lower bounds.

        Nothing ranks such a run among measured ones unless its reader asks for published bounds.
        """
        return self.timer == PUBLISHED


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of the times of a run that another program measured."""

    program: str
    """The program that wrote the files: `trtexec`, `onnxruntime`, `benchmark_app`."""
    timer: str
    """The timer of the steps, by its own name: `IProfiler`."""
    inferences: int = 0
    """The number of inferences behind a step's time; 0 if not known."""
    averaged: bool = False
    """Whether step times are means or medians over those inferences, with unknown spread."""
    files: tuple[tuple[str, str], ...] = ()
    """Name without folder, and SHA-256, of each file that was read."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """What was measured of a run that was stored with fewer samples (docs/store.md#thinning)."""

    rule: str
    """The rule by which the samples were chosen."""
    limit: int
    """The samples of a kind that were to be kept."""
    warmup: int
    """Warm-up inferences that were measured."""
    latency: int
    """Un-profiled inferences that were measured."""
    traced: int
    """Traced inferences that were measured."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement, with everything that is needed to verify and repeat it."""

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
    """Raw samples; None where the measurement failed."""
    warnings: tuple[RunWarning, ...] = ()
    failure: str = ""
    """Why there are no timings; empty for a successful run."""
    parity: Parity | None = None
    """The comparison of outputs; None where none was requested."""
    telemetry: Telemetry | None = None
    """Power, memory and clocks; None where not requested, and in runs of earlier versions."""
    origin: Origin | None = None
    """The source of imported times; None where onnxprof measured."""
    kernels: tuple[KernelRow, ...] = ()
    api_calls: tuple[ApiRow, ...] = ()
    """Kernels and calls of the CUDA runtime; empty where the timer does not list them."""
    counted_memory: tuple[CountedMemory, ...] = ()
    """Allocations by step as the runtime counted them; empty where they were not asked for."""
    thinned: Thinned | None = None
    """How many samples there were; None where all of them are stored."""
    concurrency: Concurrency | None = None
    """Several inferences at a time; None where they were not asked for."""
    schema: int = field(default=SCHEMA_VERSION)

    def __repr__(self) -> str:
        """A line: all of a run would be thousands."""
        asked = self.request
        where = f"{asked.backend!r} on {asked.device_id!r}"
        return f"<Run of {asked.model_name!r}, batch {asked.batch}, {where}, {self.created!r}>"

    @property
    def has_latency(self) -> bool:
        """Whether un-profiled inferences were timed."""
        return self.timings is not None and self.timings.latency_ns.size > 0

    @property
    def is_wrong(self) -> bool:
        """Whether the outputs differ from the reference's by more than their type explains."""
        if self.parity is not None and self.parity.passed is False:
            return True
        return any(warning.kind is WarningKind.PARITY_FAILED for warning in self.warnings)

    @property
    def timer(self) -> str:
        """The timer whose times are shown: `prefix`, `cupti`, `trace`, `imported: ` and a name."""
        if self.origin is not None:
            return f"imported: {self.origin.timer}"
        return (self.timings.timer if self.timings else Timer.TRACE).value
