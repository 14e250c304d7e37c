"""Proving batches of a model: from an opened file to a verdict for each batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onnxprof.checks.batches.verdict import Kind, Verdict, warnings_of
from onnxprof.errors import OnnxprofError
from onnxprof.model.opened import Opened
from onnxprof.records.run import Run

if TYPE_CHECKING:
    from onnxprof.checks.batches.trial import Trial
    from onnxprof.model.file import ModelFile
    from onnxprof.records.layer import LayerTable

#: A proof may take the larger of these seconds and this multiple of a measurement's budget.
_LEAST_SECONDS, _BUDGETS = 10.0, 4.0
#: Files of more than this are not loaded again for a proof.
_MOST_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Question:
    """A model and the batches that it is to be measured at."""

    model: Opened
    batches: tuple[int, ...]
    dims: tuple[tuple[str, int], ...] = ()
    seed: int = 0
    inputs: str = ""
    """The user's .npz file; empty for generated inputs."""
    threads: int = 1
    seconds: float = _LEAST_SECONDS
    table: LayerTable | None = None
    """The layers at one of the batches, where they are known."""


def seconds_for(budget_seconds: float) -> float:
    """Seconds that a proof may take for a measurement with this budget."""
    return max(_LEAST_SECONDS, _BUDGETS * budget_seconds)


def beside(
    run: Run, model: Opened, inputs: str, budget_seconds: float, table: LayerTable | None = None
) -> Run:
    """The run with warnings from a proof at its batch; for files with a symbolic batch axis.

    `table` has the layers as they were planned.
    """
    asked = run.request
    if asked.batch == 1:
        return run
    question = Question(
        model=model,
        batches=(asked.batch,),
        dims=run.table.dims,
        seed=asked.seed,
        inputs=inputs,
        threads=asked.threads,
        seconds=seconds_for(budget_seconds),
        table=table,
    )
    (verdict,) = verdicts(question)
    if verdict.kind is Kind.UNPROVEN:  # nothing speaks against what its author says
        return run
    return replace(run, warnings=(*run.warnings, *warnings_of(verdict)))


def verdicts(question: Question) -> Iterator[Verdict]:
    """The outcome for each batch, one after the other. Never raises OnnxprofError."""
    deadline = time.monotonic() + question.seconds
    try:
        model = question.model.unpacked()
        known = _meeting(model, question)
        reason = "" if known else _hindrance(question.model.facts.file_bytes)
        trials = [] if reason or known else _trials(model, question, deadline)
    except OnnxprofError as error:
        known, trials, reason = None, [], error.what
    except MemoryError:
        known, trials, reason = None, [], "memory ran out"
    for batch in question.batches:
        outcomes = [_tried(trial, batch) for trial in trials]
        held = (verdict for verdict in outcomes if verdict.kind is Kind.HOLDS)
        yield known or next(held, outcomes[0] if outcomes else Verdict(Kind.UNPROVEN, reason))


def _hindrance(size: int) -> str:
    return (
        f"a model of {size / (1 << 30):.1f} GiB is not run again for it"
        if (size > _MOST_BYTES)
        else ""
    )


def _meeting(model: ModelFile, question: Question) -> Verdict | None:
    """The verdict if shapes alone show that items mix, so that no run is needed; else None."""
    from onnxprof.model.file import plan_for, with_defaults

    dims = with_defaults(model, dict(question.dims))
    mixing = plan_for(model, dims, deep=True).mixing
    return Verdict(Kind.MIXES, mixing) if mixing else None


def _trials(model: ModelFile, question: Question, deadline: float) -> list[Trial]:
    """One trial; two where an axis is a multiple of the batch: entries of an item may alternate."""
    from onnxprof.checks.batches.items import pool
    from onnxprof.checks.batches.lab import Lab
    from onnxprof.checks.batches.trial import Trial
    from onnxprof.model.file import batch_axes, with_defaults

    dims = with_defaults(model, dict(question.dims))
    batch = batch_axes(model, dims)
    largest = max(2 * batch.own, *question.batches)
    count = largest + batch.own
    scaled = batch.scaled
    ways = [(batch.axes, scaled), ((*batch.axes, *scaled), ())] if scaled else [(batch.axes, ())]
    made = []
    for axes, scattered in ways:
        items = pool(model, dims, axes, count, question.seed, question.inputs, scattered)
        lab = Lab(model, dims, batch.own, items, question.threads, deadline)
        if question.table is not None:
            lab.know(question.table)
        made.append(Trial(lab, count - 1))
    return made


def _tried(trial: Trial, batch: int) -> Verdict:
    try:
        return trial.prove(batch)
    except MemoryError:
        return Verdict(Kind.UNPROVEN, "memory ran out")
    except OnnxprofError as error:
        return Verdict(Kind.UNPROVEN, error.what)
