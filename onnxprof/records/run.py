"""The nouns: layers, steps, devices and runs, as frozen records.

Durations are integer nanoseconds and say so in their names. Raw samples are kept;
every statistic is derived from them when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.parity import Parity
from onnxprof.records.step import Granularity, Step, Timer
from onnxprof.records.telemetry import Telemetry
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning

#: Version of the stored record; a reader refuses what it does not know.
SCHEMA_VERSION = 1
#: The key in `Run.environment` of the runtime's package and version.
RUNTIME = "runtime"


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
        return (self.timings.timer if self.timings else Timer.TRACE).value
