"""Planned measurements at another batch than the file's: proved, or moved to the file's own."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection

from onnxprof.checks.batches.proof import Question, seconds_for, verdicts
from onnxprof.checks.batches.verdict import Kind, Verdict, warnings_of
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.child import Job, listen
from onnxprof.jobs.sweep import Options, Planned, command_line
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.processes.confined import Limits, confine, confined, end
from onnxprof.records.layer import LayerTable

#: Seconds to start a process and load the model, beside those that the proof may take.
_START_SECONDS = 20.0

Report = Callable[[Planned, str, float], None]


def proven(planned: Sequence[Planned], options: Options, progress: Report) -> list[Planned]:
    """The same jobs, with what running the model at their batches has shown.

    A model whose items meet at another batch than its own is measured at its own, once, with
    the layer as the obstacle. Run this where nothing else is measured on the machine: it runs
    models, each in a process of its own. A file that leaves its batch free is not among them:
    what its author made of the batch is measured, and checked beside its outputs.
    """
    known: dict[Question, tuple[Verdict, ...]] = {}
    found: dict[tuple[str, str, int], Planned] = {}
    for each in planned:
        batches = tuple(dict.fromkeys(p.job.batch for p in planned if _is_due(p, each)))
        if not _is_due(each, each):
            settled = each
        else:
            question = question_of(each.job, batches)
            if question not in known:
                told = _told(progress, each)
                known[question] = proved(question, options.limits, told)
            settled = _settled(each, known[question][batches.index(each.job.batch)], options)
        key = (settled.job.device.id, settled.job.facts.sha256, settled.job.batch)
        if key not in found or settled.table.obstacle:
            found[key] = settled
    return list(found.values())


def _told(progress: Report, planned: Planned) -> Callable[[str, float], None]:
    return lambda phase, share: progress(planned, phase, share)


def _is_due(planned: Planned, like: Planned) -> bool:
    """Whether a job is at another batch than the one that its file fixes, of the same model."""
    moved = planned.own_batch not in (0, planned.job.batch)
    return moved and (planned.job.file, planned.job.dims) == (like.job.file, like.job.dims)


def _settled(planned: Planned, verdict: Verdict, options: Options) -> Planned:
    if verdict.kind is not Kind.MIXES:
        return replace(planned, job=replace(planned.job, notes=tuple(warnings_of(verdict))))
    job, own = planned.job, planned.own_batch
    work = partial(_table, job, own)
    table = confined(work, options.limits, "planning", job.facts.name)
    table = replace(table, obstacle=verdict.subject)
    sized = replace(options, dims=job.dims, device=options.device or job.device.kind)
    command = command_line(job.facts, sized, own, job.threads)
    job = replace(job, batch=own, obstacle=verdict.subject, command=command)
    return replace(planned, job=job, table=table)


def _table(job: Job, batch: int) -> LayerTable:
    return inspect(open_model(job.file), batch, dict(job.dims))


def question_of(job: Job, batches: tuple[int, ...]) -> Question:
    """What is to be proved before, or beside, a measurement."""
    return Question(
        file=job.file or job.facts.reference,
        name=job.facts.name,
        batches=batches,
        dims=job.dims,
        seed=job.seed,
        inputs=job.inputs,
        threads=job.threads,
        seconds=seconds_for(job.budget.seconds),
    )


def proved(
    question: Question, limits: Limits, progress: Callable[[str, float], None]
) -> tuple[Verdict, ...]:
    """The outcome for each batch, worked out in a fresh process.

    Where that process ends or takes too long, the batches that it has not come to are unproven.
    An interrupt ends it and goes on to the caller.
    """
    context = multiprocessing.get_context("spawn")
    bounded = replace(limits, seconds=min(limits.seconds, question.seconds + _START_SECONDS))
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="onnxprof-", ignore_cleanup_errors=True) as scratch:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_child, args=(question, limits, sender, scratch), daemon=True
        )
        process.start()
        sender.close()
        began = time.monotonic()
        try:
            while len(found) < len(question.batches):
                spent = time.monotonic() - began
                value = listen(process, receiver, bounded, progress, [], "verdict", spent)
                if not isinstance(value, Verdict):
                    raise TypeError(f"a process sent {type(value).__name__}")
                found.append(value)
        except OnnxprofError as error:
            left = len(question.batches) - len(found)
            found += [Verdict(Kind.UNPROVEN, error.what)] * left
        finally:
            end(process)
            receiver.close()
    return tuple(found)


def _child(question: Question, limits: Limits, sender: Connection, scratch: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = scratch
    confine(limits)
    sender.send(("progress", ("checking the batch", 0.0)))
    for verdict in verdicts(question):
        sender.send(("verdict", verdict))
