"""Planned measurements at another batch than the file's: proved, or moved to the file's own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection

from onnxprof.checks.batches.proof import Question, seconds_for, verdicts
from onnxprof.checks.batches.verdict import Kind, Verdict, warnings_of
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options, command_line
from onnxprof.jobs.parent import listen
from onnxprof.processes import apart, fork_server
from onnxprof.processes.confined import Limits, confine, confined
from onnxprof.processes.scratch import scratch
from onnxprof.records.layer import LayerTable

#: Seconds to start a process and load the model, beside those that the proof may take.
_START_SECONDS = 20.0

Report = Callable[[Job, str, float], None]


def proven(jobs: Sequence[Job], options: Options, progress: Report) -> list[Job]:
    """The same jobs, with what running the model at their batches has shown.

    A model whose items meet at another batch than its own is measured at its own, once, with
    the layer as the obstacle. Run this where nothing else is measured on the machine: it runs
    models, each in a process of its own. A file that leaves its batch free is not among them:
    what its author made of the batch is measured, and checked beside its outputs.
    """
    known: dict[Question, tuple[Verdict, ...]] = {}
    kept: dict[tuple[str, str, int], Job] = {}
    for job in jobs:
        batches = tuple(dict.fromkeys(other.batch for other in jobs if _is_due(other, job)))
        if not _is_due(job, job):
            settled = job
        else:
            question = question_of(job, batches)
            if question not in known:
                known[question] = proved(question, options.limits, partial(progress, job))
            settled = _settled(job, known[question][batches.index(job.batch)], options)
        key = (settled.device.id, settled.facts.sha256, settled.batch)
        if key not in kept or settled.table.obstacle:
            kept[key] = settled
    return list(kept.values())


def _is_due(job: Job, like: Job) -> bool:
    """Whether a job is at another batch than the one that its file fixes, of the same model."""
    moved = job.own_batch not in (0, job.batch)
    return moved and _which(job) == _which(like)


def _which(job: Job) -> object:
    return job.model.path, job.table.dims


def _settled(job: Job, verdict: Verdict, options: Options) -> Job:
    if verdict.kind is not Kind.MIXES:
        return replace(job, notes=(*job.notes, *warnings_of(verdict)))
    work = partial(_table, job)
    table = confined(work, options.limits, "planning", job.facts.name)
    job = job.asking(batches=(job.own_batch,))
    table = replace(table, obstacle=verdict.subject)
    return replace(job, table=table, command=command_line(job.options))


def _table(job: Job) -> LayerTable:
    """The layers at the model's own batch."""
    from onnxprof.model.layers import inspect

    return inspect(job.model.unpacked(), job.own_batch, dict(job.table.dims))


def question_of(job: Job, batches: tuple[int, ...]) -> Question:
    """What is to be proved before, or beside, a measurement."""
    return Question(
        model=job.model,
        batches=batches,
        dims=job.table.dims,
        seed=job.options.seed,
        inputs=job.options.inputs,
        threads=job.options.threads,
        seconds=seconds_for(job.budget.seconds),
    )


def proved(
    question: Question, limits: Limits, progress: Callable[[str, float], None]
) -> tuple[Verdict, ...]:
    """The outcome for each batch, worked out in a fresh process.

    Where that process ends or takes too long, the batches that it has not come to are unproven.
    An interrupt ends it and goes on to the caller.
    """
    context = fork_server.context()
    bounded = replace(limits, seconds=min(limits.seconds, question.seconds + _START_SECONDS))
    reached: list[Verdict] = []
    with scratch() as folder:
        receiver, sender = context.Pipe(duplex=False)
        given = (question, limits, sender)
        with receiver, apart.started(context, apart.Place(folder), _child, given) as begun:
            process, _ = begun
            sender.close()
            began = time.monotonic()
            try:
                while len(reached) < len(question.batches):
                    spent = time.monotonic() - began
                    value = listen(process, receiver, bounded, progress, [], "verdict", spent)
                    if not isinstance(value, Verdict):
                        raise TypeError(f"a process sent {type(value).__name__}")
                    reached.append(value)
            except OnnxprofError as error:
                left = len(question.batches) - len(reached)
                reached += [Verdict(Kind.UNPROVEN, error.what)] * left
    return tuple(reached)


def _child(question: Question, limits: Limits, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    confine(limits)
    sender.send(("progress", ("checking the batch", 0.0)))
    for verdict in verdicts(question):
        sender.send(("verdict", verdict))
