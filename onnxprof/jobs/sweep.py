"""Many measurements: models times batch sizes, planned, run one by one, saved as they come.

What reads models is imported in the processes that read them, see `onnxprof.jobs.preload`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from onnxprof.analysis.memory.alive import alive_in_table
from onnxprof.analysis.processes import merge
from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.jobs.job import Job, failed
from onnxprof.jobs.options import Options, command_line, refuse_contradictions
from onnxprof.jobs.outlook import Notice
from onnxprof.jobs.parent import Measure, run_isolated, staying
from onnxprof.jobs.setting import setting, with_backend
from onnxprof.jobs.streams import with_streams
from onnxprof.jobs.trouble.ending import without_folders
from onnxprof.machine.kernel import usable_cores
from onnxprof.measure.contradictions import refuse_streams
from onnxprof.model.dims.choosing import for_models, names_of
from onnxprof.model.dims.grammar import Dims, single
from onnxprof.model.opened import Opened, opened
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import published, resolve
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.placement import ALL
from onnxprof.plugins.source_places import cleaned_run
from onnxprof.plugins.verbs import predicted_memory
from onnxprof.processes import fork_server
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable
from onnxprof.records.memory import PredictedMemory
from onnxprof.records.run import Run
from onnxprof.records.sequences.states import States

if TYPE_CHECKING:
    from onnxprof.model.file import ModelFile
    from onnxprof.model.sizing import Sizing

#: Hears of each job what it is at, and which part of it is done.
Report = Callable[[Job, str, float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: a stored run, good or failed."""

    run: Run
    path: Path
    error: OnnxprofError | None = None


class Saver(Protocol):
    """Where runs are kept, such as a store."""

    def save(self, run: Run) -> Path:
        """Keep the run and return where. Raises StoreError."""


def plan(
    options: Options,
    progress: Progress | None = None,
    optional: Collection[str] = (),
    say: Callable[[str], None] | None = None,
) -> list[Job]:
    """Check everything that can be checked before the first measurement.

    `progress` hears of downloads of models, `say` of another version of the runtime. Sizes of
    `optional` axes are left out for a model without them. Raises UsageError, BackendError or
    ModelError for what cannot work.
    """
    refuse_contradictions(options)
    options = with_backend(options)
    start_server(registry.backend(options.backend))
    found = setting(options, say=say)
    options = found.options
    resolved = [resolve(reference, progress) for reference in options.models]
    inspected = [
        inspect_found(file, replace(options, dims=single(dims)), optional)
        for file, dims in zip(resolved, sizes_of(resolved, options), strict=True)
    ]
    for _, error in (pair for inspection in inspected for pair in inspection.refused):
        raise error
    return [
        found.placed(job)
        for device, inspection in product(found.devices, inspected)
        for job in jobs_of(inspection, options, device, found.environment)
    ]


def inspect_found(
    file: Resolved,
    options: Options,
    optional: Collection[str] = (),
    *,
    optional_phase: bool = False,
) -> InspectedModel:
    """What a model's file says at all batches of the options, read in a process of its own.

    Raises UsageError or ModelError for what cannot work. With `optional_phase` all batches are
    refused, in place of an error, where the model has no phase of the kind that is asked for.
    """
    work = partial(_inspected, file, options, frozenset(optional), optional_phase)
    return confined(work, options.limits, "planning", file.reference)


def start_server(*backends: Backend) -> None:
    """Have imports made while planning goes on; those of a stranger's backend may do anything."""
    modules = [type(backend).__module__ for backend in backends]
    ours = [module for module in modules if module.startswith("onnxprof.backends.")]
    measuring = [f"{name.rpartition('.')[0]}.traced" for name in ours]  # where there is one
    fork_server.start((*ours, *measuring, "onnxprof.jobs.preload"))


@dataclass(frozen=True, slots=True)
class InspectedModel:
    """What a model's file says, at every batch size that is asked for."""

    model: Opened
    tables: tuple[LayerTable, ...]
    own_batch: int
    """The batch that the file fixes; 0 where it leaves the batch free."""
    inputs_sha256: str = ""
    refused: tuple[tuple[int, UsageError], ...] = ()
    """Batches that it cannot have, such as those of too large inputs, and why."""
    states: States | None = None
    """Its states, where a phase is asked for."""
    decided: frozenset[str] = frozenset()
    """Axes whose sizes the phase decides."""
    lacks_phase: bool = False
    """It has no phase of the kind that is asked for, and need not: all batches are refused."""


def _inspected(
    file: Resolved, options: Options, optional: frozenset[str], optional_phase: bool
) -> InspectedModel:
    """Open and inspect a model, which is to be trusted in a process of its own alone."""
    from onnxprof.checks.running import trouble
    from onnxprof.model.feeds import from_file
    from onnxprof.model.file import batch_axes, model_axes, open_found
    from onnxprof.model.sizing import sizing
    from onnxprof.model.suggestion import refuse_missing
    from onnxprof.sequences.planned import in_phase, lacking

    model = open_found(file)
    if optional_phase and options.phase and (reason := lacking(model, options.phase)):
        refused = tuple((batch, reason) for batch in options.batches)
        return InspectedModel(opened(model), (), 0, refused=refused, lacks_phase=True)
    absent = optional - model_axes(model) if optional else optional
    asked = {name: size for name, size in options.dims if name not in absent}
    arrays = _given(model, options.inputs)
    given = {**arrays, **asked}
    states, decided = in_phase(model, options.phase, given) if options.phase else (None, {})
    sizes = sizing(model, {**asked, **decided}, arrays)
    refuse_missing(model, sizes, partial(trouble, model))
    tables, refused = _tables(model, options.batches, sizes)
    digest, axes = "", batch_axes(model, {})
    if options.inputs:
        for table in tables:
            _, digest = from_file(Path(options.inputs), table, axes.axes)
    return InspectedModel(
        opened(model),
        tables,
        axes.own if axes.fixed else 0,
        inputs_sha256=digest,
        refused=refused,
        states=states,
        decided=frozenset(decided),
    )


def sizes_of(files: Sequence[Resolved], options: Options) -> list[Dims]:
    """The sizes given, for each model those that are meant for it and of axes that it has.

    A model that cannot be opened gets all sizes: to inspect it says why.
    """
    names = [names_of(file.reference, file.name) for file in files]
    if len(files) < 2 or not options.dims:
        return for_models(options.dims, names, [None] * len(files))
    axes = [_axes_if_any(file, options.limits) for file in files]
    return for_models(options.dims, names, axes)


def _axes_if_any(file: Resolved, limits: Limits) -> frozenset[str] | None:
    try:
        return confined(partial(_axes_of, file), limits, "planning", file.reference)
    except OnnxprofError:
        return None


def _axes_of(file: Resolved) -> frozenset[str]:
    from onnxprof.model.file import model_axes, open_found

    return model_axes(open_found(file))


def _given(model: ModelFile, inputs: str) -> dict[str, int]:
    """Sizes of symbolic axes that the user's arrays give."""
    from onnxprof.model.feeds import sizes_from
    from onnxprof.model.file import free_axes

    return sizes_from(Path(inputs), free_axes(model)) if inputs else {}


def _tables(
    model: ModelFile, batches: Sequence[int], sizes: Sizing
) -> tuple[tuple[LayerTable, ...], tuple[tuple[int, UsageError], ...]]:
    """One a batch size; a model that cannot be re-batched is measured once, and says why.

    And the batches that are refused; raises UsageError where all are.
    """
    from onnxprof.model.layers import inspect

    tables: dict[int, LayerTable] = {}
    refused: list[tuple[int, UsageError]] = []
    for batch in batches:
        try:
            table = inspect(model, batch, sizes.at(batch))
        except UsageError as error:
            refused.append((batch, error))
            continue
        if table.batch not in tables or table.obstacle:
            tables[table.batch] = table
    if not tables:
        raise refused[0][1]
    return tuple(tables.values()), tuple(refused)


def jobs_of(
    inspection: InspectedModel,
    options: Options,
    device: Device,
    environment: tuple[tuple[str, str], ...],
) -> Iterator[Job]:
    """One a batch size, on a device. Raises UsageError for streams that have no threads."""
    for table in inspection.tables:
        settled = replace(
            options,
            models=(published(inspection.model.facts).reference,),
            device=device.id if options.device == ALL else options.device or device.kind,
            batches=(table.batch,),
            dims=tuple(dim for dim in table.dims if dim[0] not in inspection.decided),
            threads=options.threads or usable_cores(),
        )
        if device.kind == "cpu":
            refuse_streams(settled.streams, settled.threads)
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
            inputs_sha256=inspection.inputs_sha256,
            amount=options.amount(),
            states=inspection.states,
        )


def predicted(job: Job) -> PredictedMemory | None:
    """What one session of a job, the least that a measurement loads, will take.

    By its backend; for one that makes no prediction, on a CPU, weights and activations. None on
    other devices.
    """
    backend = registry.backend(job.options.backend)
    expected = predicted_memory(backend, job.provider, job.table)
    if expected is not None or job.device.kind != "cpu":
        return expected
    alive = alive_in_table(job.table)
    peak = alive.peak.alive_bytes if alive.peak else 0
    return PredictedMemory(0, alive.weights_bytes, 0, 0, 0, peak, at_least=True)


def sweep(jobs: Iterable[Job], limits: Limits, store: Saver, progress: Report) -> Iterator[Outcome]:
    """Run the jobs in order and save each result, failures too, before the next one is
    taken.

    Jobs of one model that follow each other may share a process, see `parent.staying`.
    """
    with staying() as measure:
        for job in jobs:
            error = None
            try:
                run = measured(job, limits, progress, measure)
            except OnnxprofError as raised:
                what = _with_layer(raised, job)
                error = type(raised)(what, where=job.title, remedy=raised.remedy)
                run = failed(job, without_folders(str(raised)))
            progress(job, "storing", 1.0)
            yield Outcome(run, store.save(run), error)


def _with_layer(error: OnnxprofError, job: Job) -> str:
    """What went wrong, with the operator and layer where a backend names one as its place."""
    _, _, layer = error.where.partition(" ")
    names = {node.name for node in job.table.nodes}
    return f"{error.where}: {error.what}" if layer and layer in names else error.what


def measured(job: Job, limits: Limits, progress: Report, measure: Measure | None = None) -> Run:
    """Run a job in as many fresh processes as it asks for, one after the other, and merge.

    Several inferences at a time, if asked for, have one more process at the end.
    `measure` is that of `staying`; without it no process is shared with other jobs. The limits
    are those of each process. Raises what any of them raised.
    """
    runs: list[Run] = []
    while len(runs) < job.options.processes:
        runs.append(next_process(job, runs, limits, progress, measure))
    run = cleaned_run(merge(runs))
    if not job.options.streams:
        return run
    return with_streams(run, job, limits, _bound(progress, job, job.options.processes - 1))


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
        job = replace(
            job,
            prefix_steps=first.prefix_steps,
            repeats=first.repeats,
            amount=job.options.amount(len(before)),
        )
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
