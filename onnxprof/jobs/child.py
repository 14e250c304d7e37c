"""One measurement in a process of its own, so that a crash or a hang costs one job."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.checked import feeds, with_parity, with_verdicts
from onnxprof.jobs.outlook import Outlook
from onnxprof.machine import clocks, telemetry
from onnxprof.machine.kernel import Machine
from onnxprof.machine.other_programs import Others
from onnxprof.measure.protocol import Blocks, Budget, Measurement, measure
from onnxprof.model.sources.resolve import published
from onnxprof.plugins.backend import Workload
from onnxprof.processes import scratch
from onnxprof.processes.confined import Limits, cause, confine, end
from onnxprof.records.device import Device
from onnxprof.records.layer import Layer, LayerTable, ModelFacts, Tensor
from onnxprof.records.parity import Parity
from onnxprof.records.run import Request, Run
from onnxprof.records.step import Granularity, Timer
from onnxprof.records.warning import RunWarning

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from onnxprof.model.feeds import Arrays
    from onnxprof.model.file import ModelFile

_GRACE_SECONDS = 5.0
#: Says which block is measured when, and watches others meanwhile.
Conduct = Callable[[Others, Blocks], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a process needs to measure one model at one batch size."""

    facts: ModelFacts
    backend: str
    provider: str
    device: Device
    batch: int
    obstacle: str
    """Why this is the model's own batch, where another was asked for."""
    dims: tuple[tuple[str, int], ...]
    threads: int
    granularity: Granularity
    budget: Budget
    timer: Timer
    seed: int
    inputs: str
    """The user's .npz file; empty for generated inputs."""
    command: str
    environment: tuple[tuple[str, str], ...]
    parity: bool = True
    """Whether to compare the outputs with the reference's."""
    verify: bool = True
    """Whether to check by values that each step did the work of its layers."""
    verify_seconds: float = 60.0
    """How long that check may take."""
    telemetry: bool = True
    """Whether to add a steady stretch and to read power, memory and clocks beside it."""
    processes: int = 1
    """Processes that share the measurement; `budget` is that of each."""
    prefix_steps: tuple[int, ...] = ()
    """Where the first process cut the graph, for the later ones."""
    repeats: tuple[int, ...] = ()
    """How often the first process repeated which step, for the later ones."""
    file: str = ""
    """The model's file on this machine, already resolved; empty to resolve the reference."""
    free_batch: bool = False
    """The file leaves its batch free."""
    notes: tuple[RunWarning, ...] = ()  # known before measuring


def perform(
    job: Job,
    progress: Callable[[str, float], None],
    keep: Callable[[Run], None] = lambda _: None,
    *,
    own_process: bool = False,
    conduct: Conduct | None = None,
) -> Run:
    """Measure in this process. Raises OnnxprofError where that is not possible.

    `keep` is given the run before its outputs are compared, so that a reference which
    crashes takes no measurement with it. `conduct` decides when which block is measured.
    """
    from onnxprof.checks.batches.proof import beside
    from onnxprof.model.file import open_model, prepare
    from onnxprof.model.layers import inspect
    from onnxprof.plugins import registry

    progress("preparing", 0.0)
    model = replace(open_model(job.file or job.facts.reference), name=job.facts.name)
    table = replace(inspect(model, job.batch, dims := dict(job.dims)), obstacle=job.obstacle)
    inputs, digest = _inputs(job, table, model)
    workload = Workload(
        *(prepare(model, job.batch, dims), table, inputs, job.threads, job.provider),
        *(job.granularity, own_process, job.device.id, job.timer.value),
        tell=lambda text: progress(text, 0.0),
    )
    busy = Others()
    own = nullcontext() if conduct else busy.watched()
    with own, clocks.watched() as held, _watching(job) as watch:
        found = measure(
            *(registry.backend(job.backend), workload, job.budget, time.perf_counter_ns, progress),
            timer=job.timer,
            keep_values=job.parity,
            keep_proof=job.verify,
            wanted_cuts=job.prefix_steps,
            wanted_repeats=job.repeats,
            observer=watch,
            conduct=conduct and partial(conduct, busy),
            warm=partial(_foresee, job, watch, progress),
        )
    seen = watch.warnings() if watch else ()
    told = [*job.notes, *busy.warnings(), *held, *seen, *clocks.unlocked(Machine())]
    record = _record(job, table, digest, found, told)
    run = replace(record, telemetry=watch.telemetry() if watch else None)
    progress("checking provenance", 1.0)
    fed = partial(feeds, inputs, table, model, job.seed) if job.verify else None
    run = with_verdicts(run, found.proof, fed, keep, job.verify_seconds)
    if job.parity:
        keep(run)
        progress("comparing outputs", 1.0)
        run = with_parity(run, workload, found.values)
        keep(run)
        run = beside(run, job.file, job.inputs, job.budget.seconds) if job.free_batch else run
    return run


def _foresee(
    job: Job,
    watch: telemetry.Watch | None,
    progress: Callable[[str, float], None],
    load_ns: int,
    inference_ns: int,
) -> None:
    """Announce a measurement that takes longer than its budget."""
    from onnxprof.checks.batches.proof import seconds_for

    outlook = Outlook(
        load_s=load_ns / 1e9,
        inference_s=inference_ns / 1e9,
        budget_s=job.budget.seconds,
        stretch_s=watch.seconds if watch and watch.is_long_enough else 0.0,
        prefixes=job.timer is Timer.PREFIX,
        verify=job.verify,
        verify_limit_s=job.verify_seconds,
        parity=job.parity,
        proof_limit_s=seconds_for(job.budget.seconds) if job.free_batch and job.batch > 1 else 0.0,
        processes=job.processes,
    )
    if outlook.is_long:
        progress(outlook.notice(f"{job.facts.name} at batch {job.batch}"), 0.0)


@contextmanager
def _watching(job: Job) -> Iterator[telemetry.Watch | None]:
    """A watch that has seen the device at rest; None where telemetry is not wanted."""
    if not job.telemetry:
        yield None
        return
    with telemetry.watching(job.device, job.budget.seconds * job.processes) as watch:
        watch.idle()
        yield watch


def _inputs(job: Job, table: LayerTable, model: ModelFile) -> tuple[Arrays, str]:
    from onnxprof.model.feeds import from_file, generate
    from onnxprof.model.file import declared_fills

    if job.inputs:
        return from_file(Path(job.inputs), table)
    return generate(table, job.seed, declared_fills(model)), ""


def _record(
    job: Job, table: LayerTable, digest: str, found: Measurement, told: Sequence[RunWarning]
) -> Run:
    return Run(
        request=request(job, table.batch, digest),
        model=published(job.facts),
        device=job.device,
        environment=job.environment,
        created=now(),
        command=job.command,
        table=observed(table, found),
        steps=found.trace.steps,
        folded=found.trace.folded,
        timings=found.timings,
        warnings=(*found.warnings, *told),
        kernels=found.trace.kernels,
        api_calls=found.trace.api_calls,
    )


def request(job: Job, batch: int, inputs_sha256: str = "") -> Request:
    """What the job asks for."""
    return Request(
        model_name=job.facts.name,
        model_sha256=job.facts.sha256,
        backend=job.backend,
        provider=job.provider,
        device_id=job.device.id,
        batch=batch,
        dims=job.dims,
        threads=job.threads,
        granularity=job.granularity,
        timer=job.timer.value,
        seed=job.seed,
        inputs_sha256=inputs_sha256,
        processes=job.processes,
    )


def now() -> str:
    """UTC in ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def observed(table: LayerTable, found: Measurement) -> LayerTable:
    """Fill shapes that inference left open with those seen at run time."""
    seen = {t.name: t for t in (*found.trace.shapes, *found.outputs) if t.shape is not None}
    return replace(table, layers=tuple(_filled(layer, seen) for layer in table))


def _filled(layer: Layer, seen: dict[str, Tensor]) -> Layer:
    tensors = (*layer.inputs, *layer.outputs)
    if all(t.is_static or t.name not in seen for t in tensors):
        return layer
    return replace(
        layer,
        inputs=tuple(_seen(t, seen) for t in layer.inputs),
        outputs=tuple(_seen(t, seen) for t in layer.outputs),
    )


def _seen(tensor: Tensor, seen: dict[str, Tensor]) -> Tensor:
    if tensor.is_static or tensor.name not in seen:
        return tensor
    found = seen[tensor.name]
    return replace(tensor, shape=found.shape, dtype=tensor.dtype or found.dtype, observed=True)


def failed(job: Job, table: LayerTable, reason: str) -> Run:
    """The record of a job that gave no times."""
    return Run(
        request=request(job, job.batch),
        model=published(job.facts),
        device=job.device,
        environment=job.environment,
        created=now(),
        command=job.command,
        table=table,
        failure=reason,
    )


def run_isolated(job: Job, limits: Limits, progress: Callable[[str, float], None]) -> Run:
    """Measure in a fresh process.

    Raises what the measurement raised, and BackendError where the process crashed, ran out
    of time or out of memory. An interrupt ends the process and goes on to the caller.
    """
    context = multiprocessing.get_context("spawn")
    with scratch.scratch() as folder:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(job, limits, sender, folder), daemon=True)
        process.start()
        sender.close()
        kept: list[Run] = []
        try:
            return as_run(listen(process, receiver, limits, progress, kept))
        except BackendError as error:
            if not kept:
                raise
            return replace(kept[0], parity=Parity(reason=f"the reference failed: {error.what}"))
        finally:
            end(process)
            receiver.close()


def listen(
    process: SpawnProcess,
    receiver: Connection,
    limits: Limits,
    progress: Callable[[str, float], None],
    kept: list[Run],
    wanted: str = "run",
    spent: float = 0.0,
) -> object:
    """What comes with the `wanted` message; `spent` seconds of the limit are used already.

    Passes progress on and collects measured runs. Raises what the process sends as an error,
    and BackendError where it ends or takes too long.
    """
    deadline = time.monotonic() + limits.seconds - spent
    doing = ""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not receiver.poll(left):
            raise BackendError(
                f"stopped after {limits.seconds:.0f} s{doing}", remedy="Allow more with --timeout"
            )
        try:
            kind, value = receiver.recv()
        except (EOFError, OSError):
            process.join(_GRACE_SECONDS)
            raise BackendError(f"the measuring process {cause(process.exitcode)}") from None
        if kind == "progress":
            progress(*value)
            doing = f", while {value[0]}"
        elif kind == "measured":
            kept.append(as_run(value))
        elif kind == wanted:
            return value
        else:
            raise value


def as_run(value: object) -> Run:
    """What a process sent, if it is a run. Raises TypeError."""
    if not isinstance(value, Run):
        raise TypeError(f"a worker sent {type(value).__name__}")
    return value


def child(
    job: Job,
    limits: Limits,
    sender: Connection,
    folder: str,
    conduct: Conduct | None = None,
) -> None:
    """Entry point of the process: send progress, then a run or an exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = folder
    confine(limits, os.getppid())
    try:
        run = perform(
            job,
            lambda phase, share: sender.send(("progress", (phase, share))),
            lambda run: sender.send(("measured", run)),
            own_process=True,
            conduct=conduct,
        )
        sender.send(("run", run))
    except OnnxprofError as error:
        _send_error(sender, error)
    except MemoryError:
        _send_error(sender, BackendError("out of memory", remedy="Use a smaller --batch"))
    except OSError as error:
        _send_error(sender, BackendError(f"cannot write scratch files: {error.strerror or error}"))
    except BaseException as error:
        traceback.print_exc(file=sys.stderr) if os.environ.get("ONNXPROF_DEBUG") else None
        _send_error(sender, BackendError(f"failed: {type(error).__name__}: {error}"))


def _send_error(sender: Connection, error: OnnxprofError) -> None:
    with suppress(OSError):
        sender.send(("error", error))
