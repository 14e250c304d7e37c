"""One measurement in a process of its own, so that a crash or a hang costs one job."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import BackendError, OnnxprofError, ProcessEnded
from onnxprof.jobs.checked import feeds, with_allocations, with_parity, with_verdicts
from onnxprof.jobs.job import Job, record, request
from onnxprof.jobs.outlook import Outlook, streams_s
from onnxprof.jobs.trouble.ending import refused
from onnxprof.machine import clocks, memory, telemetry
from onnxprof.machine.kernel import Machine
from onnxprof.machine.other_programs import Others
from onnxprof.measure.protocol import Blocks, Measurement, measure
from onnxprof.plugins import registry, verbs
from onnxprof.plugins.backend import Backend, Workload
from onnxprof.plugins.memory import sized, smaller
from onnxprof.plugins.verbs import begin, prepared
from onnxprof.processes.confined import Limits, confine
from onnxprof.records.layer import Layer, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase
from onnxprof.records.sequences.states import Carried
from onnxprof.records.step import Timer
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.runtimes.overlay import refuse_another

if TYPE_CHECKING:
    from onnxprof.model.feeds import Arrays
    from onnxprof.model.file import ModelFile

#: What a process may hold more than before its first job: tables of the runtime, small caches.
_MORE_BYTES = 64 << 20

#: Says which block is measured when, and watches others meanwhile.
Conduct = Callable[[Others, Blocks], None]
Progress = Callable[[str, float], None]
Keep = Callable[[Run], None]


def perform(
    job: Job,
    progress: Progress,
    keep: Keep = lambda _: None,
    *,
    own_process: bool = False,
    conduct: Conduct | None = None,
) -> Run:
    """Measure in this process. Raises OnnxprofError where that is not possible.

    `keep` is given the run before its outputs are compared, so that a reference which
    crashes takes no measurement with it. `conduct` decides when which block is measured.
    """
    progress("preparing", 0.0)
    options, model = job.options, job.model.unpacked()
    inputs, digest = inputs_of(job, model)
    work = workload(job, model, inputs, own_process, progress)
    backend = registry.backend(options.backend)
    begin(backend)
    refuse_another_runtime(job)
    if own_process:
        gc.freeze()  # what is here lives on: collections between sessions need not look at it
    busy = Others()
    own = nullcontext() if conduct else busy.watched()
    ready = prepared(backend, work)
    with ready as made, own, clocks.watched() as held, _watching(job) as watch:
        found = measure(
            backend=backend,
            workload=made,
            budget=job.budget,
            clock=time.perf_counter_ns,
            progress=progress,
            timer=options.timer,
            keep_values=options.parity,
            keep_proof=options.verify,
            wanted_cuts=job.prefix_steps,
            wanted_repeats=job.repeats,
            observer=watch,
            conduct=conduct and partial(conduct, busy),
            warm=partial(_foresee, job, watch, progress),
            amount=job.amount,
        )
    seen = watch.warnings() if watch else ()
    told = [*job.notes, *busy.warnings(), *held, *seen, *clocks.unlocked(Machine())]
    run = _recorded(job, digest, found, told)
    run = replace(run, telemetry=watch.telemetry() if watch else None)
    run = with_allocations(run, work, progress) if options.allocations else run
    progress("checking provenance", 1.0)
    memory.give_back()
    others = partial(made_up, job, model, options.seed + 1)
    fed = partial(feeds, inputs, others) if options.verify else None
    run = with_verdicts(run, found.proof, fed, keep, options.verify_seconds)
    run = _compared(job, run, work, found, progress, keep) if options.parity else run
    return _with_lacks(run, backend, job)


def refuse_another_runtime(job: Job) -> None:
    """Raise BackendError where this process has imported another version than the job's."""
    for folder in job.paths:
        refuse_another(Path(folder))


def _with_lacks(run: Run, backend: Backend, job: Job) -> Run:
    """The run with notes on what this version of the runtime, or the backend, lacks."""
    found = [RunWarning(WarningKind.RUNTIME_LACKS, subject=text) for text in verbs.lacks(backend)]
    if handing_on(job) and not verbs.carries(backend, job.provider):
        found.append(RunWarning(WarningKind.STATES_KEPT, subject=backend.name))
    return replace(run, warnings=(*run.warnings, *found))


def _silent(_: str, __: float) -> None:
    """Tell nobody."""


def workload(
    job: Job, model: ModelFile, inputs: Arrays, own_process: bool, progress: Progress = _silent
) -> Workload:
    """What a backend is to load for a job, with these inputs."""
    from onnxprof.model.file import prepare

    return Workload(
        model=prepare(model, job.batch, dict(job.table.dims)),
        table=job.table,
        inputs=inputs,
        threads=job.options.threads,
        provider=job.provider,
        granularity=job.options.granularity,
        own_process=own_process,
        device=job.device.id,
        timer=job.options.timer.value,
        tell=lambda text: progress(text, 0.0),
        setup=job.options.setup,
        carried=handing_on(job),
    )


def _compared(
    job: Job, run: Run, work: Workload, found: Measurement, progress: Progress, keep: Keep
) -> Run:
    """The run with its outputs compared, and beside them the batch that the file leaves free."""
    from onnxprof.checks.batches.proof import beside

    keep(run)
    progress("comparing outputs", 1.0)
    run = with_parity(run, work, found.values, found.proof)
    keep(run)
    if not job.is_free:
        return run
    return beside(run, job.model, job.options.inputs, job.budget.seconds, job.table)


def _foresee(
    job: Job,
    watch: telemetry.Watch | None,
    progress: Progress,
    load_ns: int,
    inference_ns: int,
) -> None:
    """Announce a measurement that takes longer than its budget.

    What loading left free goes back to the system, before another session is loaded.
    """
    memory.give_back()
    from onnxprof.checks.batches.proof import seconds_for

    options = job.options
    outlook = Outlook(
        load_s=load_ns / 1e9,
        inference_s=inference_ns / 1e9,
        budget_s=job.budget.seconds,
        stretch_s=watch.seconds if watch and watch.is_long_enough else 0.0,
        prefixes=options.timer is Timer.PREFIX,
        verify=options.verify,
        verify_limit_s=options.verify_seconds,
        parity=options.parity,
        proof_limit_s=seconds_for(job.budget.seconds) if job.is_free and job.batch > 1 else 0.0,
        processes=options.processes,
        iterations=job.amount.iterations,
        streams_s=streams_s(options, inference_ns / 1e9),
    )
    if outlook.is_long:
        progress(outlook.notice(job.title), 0.0)


@contextmanager
def _watching(job: Job) -> Iterator[telemetry.Watch | None]:
    """A watch that has seen the device at rest; None where telemetry is not wanted."""
    if not job.options.telemetry:
        yield None
        return
    memory.forget_peak()
    with telemetry.watching(job.device, job.budget.seconds * job.options.processes) as watch:
        if job.follows:
            watch.follows()
        watch.idle()
        yield watch


def inputs_of(job: Job, model: ModelFile) -> tuple[Arrays, str]:
    """The arrays that a job is fed, and the digest of the file that they are from, if any."""
    from onnxprof.model.feeds import from_file
    from onnxprof.model.file import batch_axes

    if job.options.inputs:
        return from_file(Path(job.options.inputs), job.table, batch_axes(model, {}).axes)
    return made_up(job, model, job.options.seed), ""


def made_up(job: Job, model: ModelFile, seed: int) -> Arrays:
    """Arrays of this seed, which say of a phase what there is to say."""
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import declared_fills
    from onnxprof.sequences.feeding import fed

    arrays = generate(job.table, seed, declared_fills(model))
    return arrays if job.states is None else fed(arrays, job.states, Phase.of(job.options.phase))


def handing_on(job: Job) -> Carried:
    """How the job's sessions are to hand states on."""
    from onnxprof.sequences.feeding import carried

    phase = job.options.phase
    return Carried() if job.states is None else carried(job.states, Phase.of(phase))


def _recorded(job: Job, digest: str, found: Measurement, told: Sequence[RunWarning]) -> Run:
    return replace(
        record(job, digest),
        table=observed(job.table, found),
        steps=found.trace.steps,
        folded=found.trace.folded,
        timings=found.timings,
        warnings=(*found.warnings, *told),
        kernels=found.trace.kernels,
        api_calls=found.trace.api_calls,
    )


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


def child(
    job: Job,
    limits: Limits,
    sender: Connection,
    folder: str,
    conduct: Conduct | None = None,
) -> bool:
    """Entry point of the process: send progress, then a run or an exception.

    Returns whether there is a run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = folder
    try:
        confine(limits, os.getppid())
        run = perform(
            job,
            lambda phase, share: sender.send(("progress", (phase, share))),
            lambda run: sender.send(("measured", run)),
            own_process=True,
            conduct=conduct,
        )
        sender.send(("run", run))
        return True
    except OnnxprofError as error:
        _send_error(sender, sized(error, smaller(request(job))))
    except MemoryError:
        remedy = f"Use {smaller(request(job))}, or allow more with --memory"
        _send_error(sender, ProcessEnded("out of memory", remedy=remedy))
    except OSError as error:
        _send_error(sender, refused(error))
    except BaseException as error:
        traceback.print_exc(file=sys.stderr) if os.environ.get("ONNXPROF_DEBUG") else None
        _send_error(sender, BackendError(f"failed: {type(error).__name__}: {error}"))
    return False


def _send_error(sender: Connection, error: OnnxprofError) -> None:
    with suppress(OSError):
        sender.send(("error", error))


def stay(limits: Limits, channel: Connection, folder: str) -> None:
    """Entry point of a process that takes one job after another, see `parent.staying`.

    It goes on as long as no job has failed and it is as light as it was.
    """
    most = 0
    while (job := _given(channel)) is not None:
        follows = bool(most)
        if not follows:
            begin(registry.backend(job.options.backend))
            most = memory.private_bytes() + _MORE_BYTES
        if not child(replace(job, follows=follows), limits, channel, folder):
            return
        del job
        gc.collect()
        memory.give_back()
        light = memory.private_bytes() <= most and memory.forget_peak()
        if not _told(channel, ("goes on", light)) or not light:
            return


def _given(channel: Connection) -> Job | None:
    """The next job; None where there is none."""
    try:
        job: Job = channel.recv()
    except (EOFError, OSError):
        return None
    return job if _told(channel, ("takes it", True)) else None


def _told(channel: Connection, word: tuple[str, bool]) -> bool:
    try:
        channel.send(word)
    except OSError:
        return False
    return True
