"""Two sides measured in turn, and what a quantised model gets wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from onnxprof.compare.pairing import Pairing
from onnxprof.errors import UsageError
from onnxprof.jobs.in_turn import ahead_text, alternate
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.proving import proven
from onnxprof.jobs.sweep import plan
from onnxprof.model.sources.policy import Progress
from onnxprof.plugins.placement import ALL
from onnxprof.processes.device_lock import held

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.compare.quantised.gains import LayerError
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store

Say = Callable[[str], None]
Fetching = Callable[[], AbstractContextManager[Progress | None]]


class Meter(Protocol):
    """Shows what a job is at."""

    def update(self, job: Job, phase: str, share: float) -> None:
        """The job's phase, and the part of its budget that is spent."""

    def done(self) -> None:
        """A job is done."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Pairs of jobs, one for each batch size that both models have."""

    pairs: tuple[tuple[Job, Job], ...]
    options: Options
    seconds: float
    """What planning took."""

    @property
    def measuring_s(self) -> float:
        """Seconds of measuring at each batch size, starting processes not counted."""
        return self.options.process_budget.seconds * self.options.processes * 2


def of_models(a: str, b: str, options: Options) -> tuple[Options, Options]:
    """The options of either side, which differ in the model alone."""
    return replace(options, models=(a,)), replace(options, models=(b,))


def planned(sides: tuple[Options, Options], say: Say, fetching: Fetching = nullcontext) -> Planned:
    """Plan the measurements of both sides. Raises UsageError where no batch size works for both.

    `say` hears why a model stays at its own batch, and of other versions of the runtime; what
    `fetching` opens hears of downloads.
    """
    began = time.monotonic()
    if sides[0].device == ALL:
        raise UsageError("two models are compared on one device", remedy="Name it with --device")
    with fetching() as fetched:
        plans = [plan(options, fetched, say=say) for options in sides]
    with held(plans[0][0].device.id, say):
        pairs = zip(plans, sides, strict=True)
        plans = [proven(jobs, options, lambda *_: None) for jobs, options in pairs]
    return Planned(tuple(matched(plans[0], plans[1], say)), sides[0], time.monotonic() - began)


def measured(
    found: Planned, store: Store | None, meter: Meter, say: Say, *, brief: bool = False
) -> Pairing:
    """Measure the pairs in turn; runs are stored where there is a store.

    `brief` leaves out how long it will take.
    """
    pairs: list[tuple[Run, Run]] = []
    batches = [ours.batch for ours, _ in found.pairs]
    limits, processes = found.options.limits, found.options.processes
    if not brief:
        say(ahead_text(found.options))
    announced = partial(announce, say, batches, processes, found.measuring_s, found.seconds)
    with held(found.pairs[0][0].device.id, say):
        for ours, theirs in found.pairs:
            known = partial(announced, silent=brief or bool(pairs))
            pairs.append(alternate(ours, theirs, limits, meter.update, announce=known))
            meter.done()
            if store is not None:
                for run in pairs[-1]:
                    say(f"stored {store.save(run)}")
    return Pairing(tuple(((ours,), (theirs,)) for ours, theirs in pairs), (), ())


def announce(
    say: Say,
    batches: Sequence[int],
    pairs: int,
    measuring_s: float,
    planning_s: float,
    seconds: Callable[[float], float],
    *,
    silent: bool,
) -> None:
    """Say how long the comparison will take in all, since the budget is for measuring alone.

    `seconds` estimates the duration of a batch size from its ratio to the first one. `silent`
    says nothing: one line covers all batch sizes.
    """
    if silent:
        return
    whole = planning_s + sum(seconds(batch / batches[0]) for batch in batches)
    sizes = f" at each of {len(batches)} batch sizes" if len(batches) > 1 else ""
    say(
        f"{pairs} pairs of processes{sizes}, {measuring_s:.1f} s of measuring, take some"
        f" {whole:.0f} s with starting and checking them; fewer --processes take less"
    )


def matched(a: Sequence[Job], b: Sequence[Job], say: Say) -> list[tuple[Job, Job]]:
    """Pairs of jobs with the same batch; says why a model stays at its own batch."""
    for job in (*a, *b):
        if job.table.obstacle:
            say(f"{job.facts.name} stays at batch {job.batch}: {job.table.obstacle}")
    theirs = {job.batch: job for job in b}
    found = [(ours, theirs[ours.batch]) for ours in a if ours.batch in theirs]
    if not found:
        raise UsageError(f"no batch size works for both: {a[0].batch}, {b[0].batch}")
    return found


def refuse_not_quantised(pairs: Sequence[tuple[Job, Job]]) -> None:
    """Raise UsageError unless one of the models is quantised and the other is not."""
    from onnxprof.compare.quantised.operators import is_quantised

    ours, theirs = pairs[0]
    told = [is_quantised(job.table) for job in (ours, theirs)]
    if told[0] == told[1]:
        raise UsageError(
            f"--layer-errors: {'both' if told[0] else 'neither'} of the models"
            f" {'are' if told[0] else 'is'} quantised",
            where=f"{ours.facts.name}, {theirs.facts.name}",
            remedy="Compare a quantised model with the float model that it was made from",
        )


def with_errors(comparison: Comparison, jobs: Sequence[tuple[Job, Job]], say: Say) -> Comparison:
    """Run both models of each pair, in a process of their own, and add the error of each layer."""
    pairs = []
    for pair, (ours, theirs) in zip(comparison.pairs, jobs, strict=True):
        gains = pair.quantised
        if gains is None:
            say("few layers of the two models are alike: no layer's error is known")
        else:
            both = (ours, theirs) if gains.float_side == 0 else (theirs, ours)
            gains = gains.with_errors(errors(*both, say))
        pairs.append(replace(pair, quantised=gains))
    return replace(comparison, pairs=tuple(pairs))


def errors(original: Job, quantised: Job, say: Say) -> dict[str, LayerError]:
    """The error of each layer of a quantised model, by running both."""
    from onnxprof.checks.quantised.errors import Question, layer_errors
    from onnxprof.processes.confined import confined

    options = original.options
    question = Question(
        original=original.model,
        quantised=quantised.model,
        batch=original.batch,
        dims=original.table.dims,
        seed=options.seed,
        inputs=options.inputs,
        threads=options.threads,
    )
    say("running both models for the error of each layer")
    work = partial(layer_errors, question)
    return confined(work, options.limits, "comparing layers", quantised.facts.name)
