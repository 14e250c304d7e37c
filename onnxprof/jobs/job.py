"""One measurement as a process is given it, and what stands in its record whatever comes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

from onnxprof.jobs.options import TABLE, Options
from onnxprof.measure.budget import Amount, Budget
from onnxprof.model.dims.grammar import each
from onnxprof.model.opened import Opened
from onnxprof.model.sources.resolve import published
from onnxprof.plugins.source_places import cleaned
from onnxprof.processes.cores import Split
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import CORES, Request, Run
from onnxprof.records.sequences.states import States
from onnxprof.records.warning import RunWarning

#: The options that a stored run keeps, under the same names.
_KEPT = tuple(each.name for each in fields(Request) if each.name in TABLE)


@dataclass(frozen=True, slots=True)
class Job:
    """A model at one batch size, as it was planned, and all that a process needs to measure it."""

    model: Opened
    table: LayerTable
    """At the batch to measure; says why that is the model's own, where another was asked for."""
    options: Options
    """What was asked for, with what planning settled: one model and batch, sizes, threads."""
    budget: Budget
    """That of each process."""
    device: Device
    environment: tuple[tuple[str, str], ...]
    command: str
    own_batch: int = 0
    """The batch that the file fixes; 0 where it leaves the batch free."""
    is_free: bool = False
    """The file leaves its batch free."""
    inputs_sha256: str = ""
    """Digest of the file of inputs; empty for generated ones."""
    notes: tuple[RunWarning, ...] = ()
    """What is known before measuring."""
    follows: bool = False
    """Its process has measured the model at another size before."""
    prefix_steps: tuple[int, ...] = ()
    """Where the first process cut the graph, for the later ones."""
    repeats: tuple[int, ...] = ()
    """How often the first process repeated which step, for the later ones."""
    amount: Amount = field(default_factory=Amount)
    """What each process is to sample where the budget does not decide it."""
    states: States | None = None
    """The model's states, where a phase is to be measured."""
    paths: tuple[str, ...] = ()
    """Folders that its process imports from before all others: another version of the runtime."""

    @property
    def facts(self) -> ModelFacts:
        """Which bytes are measured."""
        return self.model.facts

    @property
    def batch(self) -> int:
        """The batch to measure at."""
        return self.table.batch

    @property
    def provider(self) -> str:
        """How the backend is to run it; the device's kind where nothing else was asked for."""
        return self.options.provider or self.device.kind

    @property
    def threads(self) -> int:
        """How many cores are to be measured: of a GPU's job, the one that launches kernels."""
        return self.options.threads if self.device.kind == "cpu" else 1

    @property
    def title(self) -> str:
        """The model, its batch, sizes and phase, for messages."""
        return f"{self.facts.name} at {self.sizes}"

    @property
    def sizes(self) -> str:
        """`batch 8`, `batch 1, sequence=128`, `batch 1, decode:512`."""
        phase = (self.options.phase,) if self.options.phase else ()
        return ", ".join((f"batch {self.batch}", *phase, *each(self.options.dims)))

    def asking(self, **changes: Any) -> Job:
        """The same with other options."""
        return replace(self, options=replace(self.options, **changes))


def on_cores(job: Job, split: Split) -> Job:
    """The job with the cores that it runs on among the facts of its environment."""
    if not split.measured:
        return job
    return replace(job, environment=(*job.environment, (CORES, str(split))))


def request(job: Job, inputs_sha256: str = "") -> Request:
    """What the job asks for, as it is stored."""
    return asked_of(
        job.options,
        model_name=job.facts.name,
        model_sha256=job.facts.sha256,
        provider=job.provider,
        device_id=job.device.id,
        batch=job.batch,
        inputs_sha256=inputs_sha256 or job.inputs_sha256,
    )


def asked_of(options: Options, **settled: Any) -> Request:
    """What options ask for, with the fields of the request that planning settles."""
    asked = {name: getattr(options, name) for name in _KEPT}
    return Request(**(asked | {"timer": options.timer.value} | settled))


def record(job: Job, inputs_sha256: str = "") -> Run:
    """The run before anything was measured."""
    return Run(
        request=request(job, inputs_sha256),
        model=published(job.facts),
        device=job.device,
        environment=job.environment,
        created=now(),
        command=job.command,
        table=job.table,
    )


def failed(job: Job, reason: str) -> Run:
    """The record of a job that gave no times."""
    return replace(record(job), failure=cleaned(reason))


def now() -> str:
    """UTC in ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
