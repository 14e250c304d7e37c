"""Many measurements: models times batch sizes, planned, run one by one, saved as they come."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path

from onnxprof.analysis.processes import merge
from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.child import Job, failed, run_isolated
from onnxprof.jobs.outlook import Notice
from onnxprof.machine.facts import environment
from onnxprof.machine.kernel import usable_cores
from onnxprof.measure.protocol import Budget
from onnxprof.model.feeds import from_file, sizes_from
from onnxprof.model.file import (
    ModelFile,
    batch_axes,
    free_axes,
    model_axes,
    open_found,
    with_defaults,
)
from onnxprof.model.layers import inspect
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import published, resolve
from onnxprof.model.suggestion import refuse_missing
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.placement import ALL, pick_devices
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import Run
from onnxprof.records.step import Granularity, Timer
from onnxprof.store.folder import Store

#: How long the check by values may take: in budgets of a process, at least, and at most.
_CHECKING, _LEAST_CHECKING_S, _MOST_CHECKING_S = 4.0, 10.0, 60.0
#: Where the check is all that was asked for.
_ONLY_CHECKING_S = 600.0
#: A process's part of the budget is not cut below this.
_LEAST_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asked to be measured."""

    models: tuple[str, ...]
    backend: str = "ort"
    device: str = ""
    """An id, a kind, or ALL; empty for the backend's first that the provider runs on."""
    provider: str = ""
    """How the backend is to run it; empty for its usual way on the device."""
    batches: tuple[int, ...] = (1,)
    dims: tuple[tuple[str, int], ...] = ()
    threads: int = 0
    """0 for every usable core."""
    granularity: Granularity = Granularity.EXECUTED
    budget: Budget = field(default_factory=Budget)
    timer: Timer = Timer.AUTO
    seed: int = 0
    inputs: str = ""
    limits: Limits = field(default_factory=Limits)
    parity: bool = True
    """Whether to compare outputs with the reference's."""
    verify: bool = True
    """Whether to check by values that each step did the work of its layers."""
    only_verify: bool = False
    """The check by values is what was asked for: it has its longest time."""
    telemetry: bool = True
    """Whether to read power, memory and clocks beside a steady stretch after each measurement."""
    processes: int = 1
    """Fresh processes that share the budget of each measurement."""

    @property
    def process_budget(self) -> Budget:
        """A process's part of the budget: not below a quarter of a second, or all of it."""
        whole = self.budget.seconds
        return Budget(max(whole / self.processes, min(whole, _LEAST_SECONDS)))

    @property
    def verify_seconds(self) -> float:
        """How long the check by values may take in a process."""
        if self.only_verify:
            return _ONLY_CHECKING_S
        wanted = _CHECKING * self.process_budget.seconds
        return min(max(wanted, _LEAST_CHECKING_S), _MOST_CHECKING_S)


@dataclass(frozen=True, slots=True)
class Planned:
    """One job with its layer table."""

    job: Job
    table: LayerTable
    own_batch: int = 0
    """The batch that the file fixes; 0 where it leaves the batch free."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: a stored run, good or failed."""

    run: Run
    path: Path
    error: OnnxprofError | None = None


def plan(options: Options, progress: Progress | None = None) -> list[Planned]:
    """Check everything that can be checked before the first measurement.

    `progress` hears of downloads. Raises UsageError or ModelError for what cannot work.
    """
    backend = registry.backend(options.backend)
    _refuse_provider(backend, options.provider)
    devices = pick_devices(backend, options.device, options.provider)
    facts = environment()
    planned: list[Planned] = []
    found = [resolve(reference, progress) for reference in options.models]
    asked = zip(found, options.models, sizes_of(found, options), strict=True)
    for device, (file, reference, dims) in product(devices, list(asked)):
        work = partial(_of_file, file, replace(options, dims=dims), device, facts)
        planned.extend(confined(work, options.limits, "planning", reference))
    return planned


def _of_file(
    file: Resolved, options: Options, device: Device, environment: tuple[tuple[str, str], ...]
) -> list[Planned]:
    model = open_found(file)
    dims = with_defaults(model, {**_given(model, options.inputs), **dict(options.dims)})
    refuse_missing(model, dims)
    wanted = device.id if options.device == ALL else options.device or device.kind
    sized = replace(options, dims=tuple(dims.items()), device=wanted)
    return list(_of_model(model, sized, device, environment))


def sizes_of(files: Sequence[Resolved], options: Options) -> list[tuple[tuple[str, int], ...]]:
    """The sizes given, for each model those of axes that it has.

    An axis that no model has goes to all of them, so that the first one refuses it.
    """
    if len(files) < 2 or not options.dims:
        return [options.dims] * len(files)
    axes = [
        confined(partial(_axes_of, file), options.limits, "planning", file.reference)
        for file in files
    ]
    nobodys = {name for name, _ in options.dims if not any(name in theirs for theirs in axes)}
    return [
        tuple((name, size) for name, size in options.dims if name in theirs | nobodys)
        for theirs in axes
    ]


def _axes_of(file: Resolved) -> frozenset[str]:
    return model_axes(open_found(file))


def _given(model: ModelFile, inputs: str) -> dict[str, int]:
    """Sizes of symbolic axes that the user's arrays give."""
    return sizes_from(Path(inputs), free_axes(model)) if inputs else {}


def _refuse_provider(backend: Backend, provider: str) -> None:
    """Raise BackendError, with the reason, for a provider of the backend that does not work."""
    for state in backend.availability() if provider else ():
        if not state.usable and state.device == provider:
            where = f"{backend.name}, provider {provider}"
            raise BackendError(state.detail, where=where, remedy=state.remedy)


def _of_model(
    model: ModelFile, options: Options, device: Device, environment: tuple[tuple[str, str], ...]
) -> Iterator[Planned]:
    facts = model.facts()
    for table in _tables(model, options):
        if options.inputs:
            from_file(Path(options.inputs), table)
        batch = batch_axes(model, dict(options.dims))
        job = _job(facts, options, device, table, environment)
        job = replace(job, file=str(model.path), free_batch=not batch.fixed)
        yield Planned(job, table, batch.own if batch.fixed else 0)


def _tables(model: ModelFile, options: Options) -> list[LayerTable]:
    """One a batch size; a model that cannot be re-batched is measured once, and says why."""
    tables: dict[int, LayerTable] = {}
    for batch in options.batches:
        table = inspect(model, batch, dict(options.dims))
        if table.batch not in tables or table.obstacle:
            tables[table.batch] = table
    return list(tables.values())


def _job(
    facts: ModelFacts,
    options: Options,
    device: Device,
    table: LayerTable,
    environment: tuple[tuple[str, str], ...],
) -> Job:
    threads = options.threads or usable_cores()
    return Job(
        facts=facts,
        backend=options.backend,
        provider=options.provider or device.kind,
        device=device,
        batch=table.batch,
        obstacle=table.obstacle,
        dims=options.dims,
        threads=threads,
        granularity=options.granularity,
        budget=options.process_budget,
        timer=options.timer,
        seed=options.seed,
        inputs=options.inputs,
        command=command_line(facts, options, table.batch, threads),
        environment=environment,
        parity=options.parity,
        verify=options.verify,
        verify_seconds=options.verify_seconds,
        telemetry=options.telemetry,
        processes=options.processes,
    )


def command_line(facts: ModelFacts, options: Options, batch: int, threads: int) -> str:
    """The command that measures this again, for a shell; a path is cut to the file's name."""
    words = ["onnxprof", "profile", published(facts).reference, "--backend", options.backend]
    words += ["--device", options.device, "--batch", str(batch), "--threads", str(threads)]
    words += ["--budget", f"{options.budget.seconds:g}"]
    if options.provider:
        words += ["--provider", options.provider]
    for name, size in options.dims:
        words += ["--dim", f"{name}={size}"]
    if options.granularity is not Granularity.EXECUTED:
        words += ["--granularity", options.granularity.value]
    if options.timer is not Timer.AUTO:
        words += ["--timer", options.timer.value]
    if options.seed:
        words += ["--seed", str(options.seed)]
    if options.inputs:
        words += ["--inputs", Path(options.inputs).name]
    if options.processes > 1:
        words += ["--processes", str(options.processes)]
    if not options.parity:
        words.append("--no-parity")
    if not options.verify:
        words.append("--no-verify")
    if not options.telemetry:
        words.append("--no-telemetry")
    return shlex.join(words)


def sweep(
    planned: Sequence[Planned],
    limits: Limits,
    store: Store,
    progress: Callable[[Planned, str, float], None],
) -> Iterator[Outcome]:
    """Run the jobs in order and save each result, failures too, before going on."""
    for each in planned:
        error = None
        try:
            run = measured(each, limits, progress)
        except OnnxprofError as raised:
            error = _placed(raised, each.job)
            run = failed(each.job, each.table, str(raised))
        progress(each, "storing", 1.0)
        yield Outcome(run, store.save(run), error)


def measured(
    planned: Planned, limits: Limits, progress: Callable[[Planned, str, float], None]
) -> Run:
    """Run a job in as many fresh processes as it asks for, one after the other, and merge.

    The limits are those of each process. Raises what any of them raised.
    """
    runs: list[Run] = []
    while len(runs) < planned.job.processes:
        runs.append(next_process(planned, runs, limits, progress))
    return merge(runs)


def next_process(
    planned: Planned,
    before: Sequence[Run],
    limits: Limits,
    progress: Callable[[Planned, str, float], None],
) -> Run:
    """Run one more process of a job; what the first one settled is taken from it."""
    job, count = planned.job, planned.job.processes
    if before and (first := before[0].timings):
        timer = first.timer if first.step_ns.size else job.timer
        once = replace(job, parity=False, telemetry=False)
        job = replace(once, timer=timer, prefix_steps=first.prefix_steps, repeats=first.repeats)
    return run_isolated(job, limits, _bound(progress, planned, len(before), count))


def _bound(
    progress: Callable[[Planned, str, float], None], planned: Planned, done: int, count: int
) -> Callable[[str, float], None]:
    where = f" (process {done + 1} of {count})" if count > 1 else ""

    def told(phase: str, share: float) -> None:
        if not isinstance(phase, Notice):
            phase += where
        elif done:
            return  # the first process spoke for all
        progress(planned, phase, (done + share) / count)

    return told


def _placed(error: OnnxprofError, job: Job) -> OnnxprofError:
    where = f"{job.facts.name} at batch {job.batch}"
    return type(error)(error.what, where=where, remedy=error.remedy)
