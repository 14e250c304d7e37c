"""Many measurements: models times batch sizes, planned, run one by one, saved as they come.

What reads models is imported in the processes that read them, see `onnxprof.jobs.preload`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.analysis.processes import merge
from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.job import Job, failed
from onnxprof.jobs.options import Options, command_line
from onnxprof.jobs.outlook import Notice
from onnxprof.jobs.parent import Measure, run_isolated, staying
from onnxprof.machine.facts import environment
from onnxprof.machine.kernel import usable_cores
from onnxprof.model.opened import Opened, opened
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import published, resolve
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.placement import ALL, pick_devices
from onnxprof.plugins.verbs import predicted_memory
from onnxprof.processes import fork_server
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable
from onnxprof.records.memory import PredictedMemory
from onnxprof.records.run import Run
from onnxprof.store.folder import Store

if TYPE_CHECKING:
    from onnxprof.model.file import ModelFile

#: Hears of each job what it is at, and which part of it is done.
Report = Callable[[Job, str, float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: a stored run, good or failed."""

    run: Run
    path: Path
    error: OnnxprofError | None = None


def plan(options: Options, progress: Progress | None = None) -> list[Job]:
    """Check everything that can be checked before the first measurement.

    `progress` hears of downloads. Raises UsageError or ModelError for what cannot work.
    """
    backend = registry.backend(options.backend)
    start_server(backend)
    refuse_provider(backend, options.provider)
    devices = pick_devices(backend, options.device, options.provider)
    facts = environment(backend=backend)
    resolved = [resolve(reference, progress) for reference in options.models]
    inspected: list[_Inspected] = []
    for file, reference, dims in zip(
        resolved, options.models, sizes_of(resolved, options), strict=True
    ):
        work = partial(_inspected, file, replace(options, dims=dims))
        inspected.append(confined(work, options.limits, "planning", reference))
    return [
        job
        for device, inspection in product(devices, inspected)
        for job in _jobs(inspection, options, device, facts)
    ]


def start_server(backend: Backend) -> None:
    """Have imports made while planning goes on; those of a stranger's backend may do anything."""
    module = type(backend).__module__
    ours = [module] if module.startswith("onnxprof.backends.") else []
    measuring = [f"{name.rpartition('.')[0]}.traced" for name in ours]  # where there is one
    fork_server.start((*ours, *measuring, "onnxprof.jobs.preload"))


@dataclass(frozen=True, slots=True)
class _Inspected:
    """What a model's file says, at every batch size that is asked for."""

    model: Opened
    dims: tuple[tuple[str, int], ...]
    tables: tuple[LayerTable, ...]
    own_batch: int
    """The batch that the file fixes; 0 where it leaves the batch free."""


def _inspected(file: Resolved, options: Options) -> _Inspected:
    """Open and inspect a model, which is to be trusted in a process of its own alone."""
    from onnxprof.model.feeds import from_file
    from onnxprof.model.file import batch_axes, open_found, with_defaults
    from onnxprof.model.suggestion import refuse_missing

    model = open_found(file)
    dims = with_defaults(model, {**_given(model, options.inputs), **dict(options.dims)})
    refuse_missing(model, dims)
    tables = _tables(model, options.batches, dims)
    if options.inputs:
        for table in tables:
            from_file(Path(options.inputs), table)
    axes = batch_axes(model, dims)
    return _Inspected(opened(model), tuple(dims.items()), tables, axes.own if axes.fixed else 0)


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
    from onnxprof.model.file import model_axes, open_found

    return model_axes(open_found(file))


def _given(model: ModelFile, inputs: str) -> dict[str, int]:
    """Sizes of symbolic axes that the user's arrays give."""
    from onnxprof.model.feeds import sizes_from
    from onnxprof.model.file import free_axes

    return sizes_from(Path(inputs), free_axes(model)) if inputs else {}


def refuse_provider(backend: Backend, provider: str) -> None:
    """Raise BackendError, with the reason, for a provider of the backend that does not work."""
    for state in backend.availability() if provider else ():
        if not state.usable and state.device == provider:
            where = f"{backend.name}, provider {provider}"
            raise BackendError(state.detail, where=where, remedy=state.remedy)


def _tables(
    model: ModelFile, batches: Sequence[int], dims: Mapping[str, int]
) -> tuple[LayerTable, ...]:
    """One a batch size; a model that cannot be re-batched is measured once, and says why."""
    from onnxprof.model.layers import inspect

    tables: dict[int, LayerTable] = {}
    for batch in batches:
        table = inspect(model, batch, dims)
        if table.batch not in tables or table.obstacle:
            tables[table.batch] = table
    return tuple(tables.values())


def _jobs(
    inspection: _Inspected,
    options: Options,
    device: Device,
    environment: tuple[tuple[str, str], ...],
) -> Iterator[Job]:
    """One a batch size, on a device."""
    for table in inspection.tables:
        settled = replace(
            options,
            models=(published(inspection.model.facts).reference,),
            device=device.id if options.device == ALL else options.device or device.kind,
            batches=(table.batch,),
            dims=inspection.dims,
            threads=options.threads or usable_cores(),
        )
        yield Job(
            model=inspection.model,
            table=table,
            options=settled,
            budget=options.process_budget,
            device=device,
            environment=environment,
            command=command_line(settled),
            own_batch=inspection.own_batch,
            is_free=not inspection.own_batch,
        )


def too_large(jobs: Sequence[Job], memory_bytes: int) -> list[tuple[Job, PredictedMemory]]:
    """The jobs that will exceed this memory by their backend's prediction; none for no limit.

    The prediction is for one session, the least that a measurement loads.
    """
    found = []
    for job in jobs if memory_bytes else ():
        backend = registry.backend(job.options.backend)
        expected = predicted_memory(backend, job.provider, job.table)
        if expected is not None and expected.peak_bytes > memory_bytes:
            found.append((job, expected))
    return found


def sweep(jobs: Sequence[Job], limits: Limits, store: Store, progress: Report) -> Iterator[Outcome]:
    """Run the jobs in order and save each result, failures too, before going on.

    Jobs of one model that follow each other may share a process, see `parent.staying`.
    """
    with staying() as measure:
        for job in jobs:
            error = None
            try:
                run = measured(job, limits, progress, measure)
            except OnnxprofError as raised:
                error = type(raised)(raised.what, where=job.title, remedy=raised.remedy)
                run = failed(job, str(raised))
            progress(job, "storing", 1.0)
            yield Outcome(run, store.save(run), error)


def measured(job: Job, limits: Limits, progress: Report, measure: Measure | None = None) -> Run:
    """Run a job in as many fresh processes as it asks for, one after the other, and merge.

    `measure` is that of `staying`; without it no process is shared with other jobs. The limits
    are those of each process. Raises what any of them raised.
    """
    runs: list[Run] = []
    while len(runs) < job.options.processes:
        runs.append(next_process(job, runs, limits, progress, measure))
    return merge(runs)


def next_process(
    job: Job,
    before: Sequence[Run],
    limits: Limits,
    progress: Report,
    measure: Measure | None = None,
) -> Run:
    """Run one more process of a job; what the first one settled is taken from it."""
    hear = _bound(progress, job, len(before))
    if before and (first := before[0].timings):
        timer = first.timer if first.step_ns.size else job.options.timer
        job = job.asking(parity=False, telemetry=False, timer=timer)
        job = replace(job, prefix_steps=first.prefix_steps, repeats=first.repeats)
    return (measure or run_isolated)(job, limits, hear)


def _bound(progress: Report, job: Job, done: int) -> Callable[[str, float], None]:
    count = job.options.processes
    where = f" (process {done + 1} of {count})" if count > 1 else ""

    def report(phase: str, share: float) -> None:
        if not isinstance(phase, Notice):
            phase += where
        elif done:
            return  # the first process spoke for all
        progress(job, phase, (done + share) / count)

    return report
