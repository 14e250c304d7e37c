"""Many measurements: models times batch sizes, planned, run one by one, saved as they come."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof import plugins
from onnxprof.contracts import Backend, BackendError, OnnxprofError, UsageError
from onnxprof.environment import environment, usable_cores
from onnxprof.inputs import from_file
from onnxprof.inspector import inspect
from onnxprof.measure import Budget
from onnxprof.modelfile import ModelFile, missing_dims, open_model
from onnxprof.records import Device, Granularity, LayerTable, ModelFacts, Run
from onnxprof.store import Store
from onnxprof.worker import Job, Limits, failed, run_isolated


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asked to be measured."""

    models: tuple[str, ...]
    backend: str = "ort"
    device: str = "cpu"
    batches: tuple[int, ...] = (1,)
    dims: tuple[tuple[str, int], ...] = ()
    threads: int = 0
    """0 for every usable core."""
    granularity: Granularity = Granularity.EXECUTED
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    inputs: str = ""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Planned:
    """One job with its layer table."""

    job: Job
    table: LayerTable


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: a stored run, good or failed."""

    run: Run
    path: Path
    error: OnnxprofError | None = None


def plan(options: Options) -> list[Planned]:
    """Check everything that can be checked before the first measurement.

    Raises UsageError or ModelError for what cannot work.
    """
    backend = plugins.backend(options.backend)
    device = pick_device(backend, options.device)
    facts = environment()
    planned: list[Planned] = []
    for reference in options.models:
        model = open_model(reference)
        _refuse_missing(model, dict(options.dims))
        planned.extend(_of_model(model, options, device, facts))
    return planned


def _refuse_missing(model: ModelFile, dims: dict[str, int]) -> None:
    if missing := missing_dims(model, dims):
        listed = "; ".join(f"{m.name} (of {', '.join(m.inputs)})" for m in missing)
        example = " ".join(f"--dim {shlex.quote(f'{m.name}=128')}" for m in missing)
        raise UsageError(
            f"no size given for symbolic axes: {listed}",
            where=str(model.path),
            remedy=f"Add {example}",
        )


def _of_model(
    model: ModelFile, options: Options, device: Device, environment: tuple[tuple[str, str], ...]
) -> Iterator[Planned]:
    facts = model.facts()
    for table in _tables(model, options):
        if options.inputs:
            from_file(Path(options.inputs), table)
        yield Planned(_job(facts, options, device, table, environment), table)


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
        provider=device.kind,
        device=device,
        batch=table.batch,
        obstacle=table.obstacle,
        dims=options.dims,
        threads=threads,
        granularity=options.granularity,
        budget=options.budget,
        seed=options.seed,
        inputs=options.inputs,
        command=command_line(facts, options, table.batch, threads),
        environment=environment,
    )


def command_line(facts: ModelFacts, options: Options, batch: int, threads: int) -> str:
    """The command that measures this again, for a shell; a path is cut to the file's name."""
    reference = facts.reference
    if not reference.startswith("zoo:"):
        reference = Path(reference).name
    words = ["onnxprof", "profile", reference, "--backend", options.backend]
    words += ["--device", options.device, "--batch", str(batch), "--threads", str(threads)]
    words += ["--budget", f"{options.budget.seconds:g}"]
    for name, size in options.dims:
        words += ["--dim", f"{name}={size}"]
    if options.granularity is not Granularity.EXECUTED:
        words += ["--granularity", options.granularity.value]
    if options.seed:
        words += ["--seed", str(options.seed)]
    if options.inputs:
        words += ["--inputs", Path(options.inputs).name]
    return shlex.join(words)


def pick_device(backend: Backend, wanted: str) -> Device:
    """The device with this id or, first come, of this kind. Raises BackendError with why not."""
    devices = backend.devices()
    for device in devices:
        if wanted in (device.id, device.kind):
            return device
    for state in backend.availability():
        if not state.usable and state.device.split(":")[0] == wanted.split(":")[0]:
            raise BackendError(state.detail, where=backend.name, remedy=state.remedy)
    known = ", ".join(d.id for d in devices) or "none"
    raise BackendError(
        f"backend {backend.name} has no device {wanted!r} here",
        remedy=f"It has: {known}. See onnxprof doctor",
    )


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
            run = run_isolated(each.job, limits, _bound(progress, each))
        except OnnxprofError as raised:
            error = _placed(raised, each.job)
            run = failed(each.job, each.table, str(raised))
        yield Outcome(run, store.save(run), error)


def _bound(
    progress: Callable[[Planned, str, float], None], planned: Planned
) -> Callable[[str, float], None]:
    return lambda phase, share: progress(planned, phase, share)


def _placed(error: OnnxprofError, job: Job) -> OnnxprofError:
    where = f"{job.facts.name} at batch {job.batch}"
    return type(error)(error.what, where=where, remedy=error.remedy)
