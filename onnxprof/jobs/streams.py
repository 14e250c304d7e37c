"""Several inferences at a time, in a process of their own.

The runtime's threads are set up for one session at a time in the process that takes the latency,
and what several sessions do to memory or crash costs no other figure.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

from onnxprof.errors import BackendError, OnnxprofError, ProcessEnded
from onnxprof.jobs.child import inputs_of, refuse_another_runtime, workload
from onnxprof.jobs.job import Job, on_cores, request
from onnxprof.jobs.parent import listen, place
from onnxprof.jobs.trouble.ending import ended, without_folders
from onnxprof.measure.streams import run_streams
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.memory import sized, smaller
from onnxprof.plugins.source_places import cleaned
from onnxprof.processes import apart, cores, fork_server, scratch
from onnxprof.processes.confined import Limits, confine
from onnxprof.records.run import Run
from onnxprof.records.timings import Concurrency

Hear = Callable[[str, float], None]


def with_streams(run: Run, job: Job, limits: Limits, hear: Hear) -> Run:
    """The run with several inferences at a time, which share the job's threads.

    Why there are no samples is on the record.
    """
    streams = job.options.streams
    record = Concurrency(streams, max(1, job.options.threads // streams))
    try:
        samples = _isolated(job, record.threads, limits, hear)
    except OnnxprofError as error:
        failure = cleaned(without_folders(error.what))
        return replace(run, concurrency=replace(record, failure=failure))
    return replace(run, concurrency=replace(record, latency_ns=samples))


def _isolated(job: Job, threads: int, limits: Limits, hear: Hear) -> tuple[tuple[int, ...], ...]:
    """The samples of a fresh process. Raises what it raised, and BackendError where it ended."""
    hear(f"measuring {job.options.streams} at a time", 1.0)
    context = fork_server.context()
    with scratch.scratch() as folder, cores.measuring(job.threads) as split:
        receiver, sender = context.Pipe(duplex=False)
        given = (on_cores(job, split), threads, limits, sender, folder)
        with receiver, apart.started(context, place(job, folder, split), _child, given) as begun:
            process, seen = begun
            sender.close()
            try:
                samples = listen(process, receiver, limits, hear, [], "streams")
            except BackendError as error:
                raise ended(error, seen) from error
    if not isinstance(samples, tuple):
        raise TypeError(f"a worker sent {type(samples).__name__}")
    return samples


def _child(job: Job, threads: int, limits: Limits, sender: Connection, folder: str) -> None:
    """Entry point of the process: send the samples, or an exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = folder
    confine(limits, os.getppid())
    try:
        answer: tuple[str, object] = ("streams", _samples(job, threads))
    except OnnxprofError as error:
        answer = ("error", sized(error, smaller(request(job))))
    except MemoryError:
        answer = ("error", ProcessEnded("out of memory", remedy="Use fewer --streams"))
    except BaseException as error:
        answer = ("error", BackendError(f"failed: {type(error).__name__}: {error}"))
    with suppress(OSError):
        sender.send(answer)


def _samples(job: Job, threads: int) -> tuple[tuple[int, ...], ...]:
    backend = registry.backend(job.options.backend)
    refuse_another_runtime(job)
    model = job.model.unpacked()
    inputs, _ = inputs_of(job, model)
    whole = workload(job, model, inputs, own_process=True)
    each = replace(whole, threads=threads, concurrent=job.options.streams > 1)
    return run_streams(lambda: backend.open(_with_own_states(each, job)), job.options.load)


def _with_own_states(work: Workload, job: Job) -> Workload:
    """The workload of one stream: sequences that run at a time have a cache each."""
    import numpy as np

    states = () if job.states is None else job.states.states
    taken = {state.input for state in states}
    own = {name: np.array(array) for name, array in work.inputs.items() if name in taken}
    return replace(work, inputs={**work.inputs, **own})
