"""Two sides measured in turn, and what a quantised model gets wrong."""

from __future__ import annotations

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
from onnxprof.jobs.outlook import InTurn
from onnxprof.jobs.proving import proven
from onnxprof.model.dims.choosing import for_models, names_of
from onnxprof.model.dims.grammar import each
from onnxprof.model.sources.policy import Progress
from onnxprof.plugins.placement import ALL
from onnxprof.processes.device_lock import held
from onnxprof.publish.text.safe import counted
from onnxprof.sweeps.command.points import jobs_at, loads, points
from onnxprof.sweeps.tasks import Task

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.compare.quantised.gains import LayerError
    from onnxprof.model.feeds import Arrays
    from onnxprof.model.file import ModelFile
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
    """Pairs of jobs, one for each phase, combination of sizes and batch that both models have."""

    pairs: tuple[tuple[Job, Job], ...]
    options: Options

    @property
    def measuring_s(self) -> float:
        """Seconds of measuring at each size, starting processes not counted."""
        return self.options.process_budget.seconds * self.options.processes * 2


def of_models(a: str, b: str, options: Options) -> tuple[Options, Options]:
    """The options of either side: its model, and the sizes that are meant for it."""
    bare = (Task(replace(options, models=(each,))) for each in (a, b))
    names = [names_of(task.model, task.model_name) for task in bare]
    dims = for_models(options.dims, names, [None, None])
    return replace(options, models=(a,), dims=dims[0]), replace(options, models=(b,), dims=dims[1])


def planned(
    sides: tuple[Options, Options],
    say: Say,
    fetching: Fetching = nullcontext,
    *,
    phases: Sequence[str] = (),
    force: bool = False,
) -> Planned:
    """Plan the measurements of both sides, at each size and in each phase that is asked for.

    `say` hears why a model stays at its own batch, and of other versions of the runtime; what
    `fetching` opens hears of downloads. Raises UsageError where a size or phase does not work for
    both, and unless `force` says so where sizes of axes differ.
    """
    if sides[0].device == ALL:
        raise UsageError("two models are compared on one device", remedy="Name it with --device")
    once = _once(say)
    with fetching() as fetched:
        asked = [points(options, phases, fetched, say) for options in sides]
        _refuse_uneven(sides, asked)
        plans = [[jobs_at(point, fetched, once) for point in side] for side in asked]
    with held(plans[0][0][0].device.id, say):
        proved = [[proven(jobs, sides[0], lambda *_: None) for jobs in side] for side in plans]
    both = zip(*proved, strict=True)
    pairs = [pair for a, b in both for pair in matched(a, b, once)]
    for ours, theirs in () if force else pairs:
        _refuse_other_axes(ours, theirs)
    return Planned(tuple(pairs), sides[0])


def _once(say: Say) -> Say:
    """Says each line once: several sizes of one model give the same reasons."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            say(text)

    return tell


def _refuse_uneven(sides: Sequence[Options], asked: Sequence[Sequence[Options]]) -> None:
    """Raise UsageError for sizes that are given for one of the models only."""
    a, b = asked
    if len(a) != len(b):
        one, other = (options.models[0] for options in sides)
        raise UsageError(
            f"--dim gives {one} {len(a)} sizes and {other} {len(b)}",
            remedy="Give the axes of both as many sizes",
        )


def _refuse_other_axes(ours: Job, theirs: Job) -> None:
    a, b = (", ".join(each(job.options.dims)) or "none" for job in (ours, theirs))
    if a != b:
        raise UsageError(
            f"sizes of axes differ: {a} in A, {b} in B",
            where=f"{ours.facts.name}, {theirs.facts.name}",
            remedy="--force compares them all the same",
        )


def measured(
    found: Planned, store: Store | None, meter: Meter, say: Say, *, brief: bool = False
) -> Pairing:
    """Measure the pairs in turn; runs are stored where there is a store.

    `brief` leaves out how long it will take.
    """
    pairs: list[tuple[Run, Run]] = []
    limits, sizes = found.options.limits, len(found.pairs)
    if not brief:
        say(ahead_text(found.options, sizes))
    announced = partial(announce, say, found)
    with held(found.pairs[0][0].device.id, say):
        for ours, theirs in found.pairs:
            known = partial(announced, silent=brief or bool(pairs))
            pairs.append(alternate(ours, theirs, limits, meter.update, announce=known))
            meter.done()
            if store is not None:
                for run in pairs[-1]:
                    say(f"stored {store.save(run)}")
    return Pairing(tuple(((ours,), (theirs,)) for ours, theirs in pairs), (), ())


def announce(say: Say, found: Planned, ahead: InTurn, *, silent: bool) -> None:
    """Say how long all pairs will take, since the budget is for measuring alone.

    `ahead` is known of the first pair of jobs; `silent` says nothing: one line covers all.
    """
    if silent:
        return
    scales = loads([ours for ours, _ in found.pairs])
    whole = sum(map(ahead.seconds, scales))
    sizes = f" at each of {len(scales)} sizes" if len(scales) > 1 else ""
    pairs = counted(ahead.pairs, "pair", "pairs")
    say(
        f"{pairs} of processes{sizes}, {found.measuring_s:.1f} s of measuring, take some"
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


def _inputs(job: Job, model: ModelFile) -> Arrays:
    """What the measurement was fed; made in the process that runs the models."""
    from onnxprof.jobs.child import inputs_of

    return inputs_of(job, model)[0]


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
        feed=partial(_inputs, original),
    )
    say("running both models for the error of each layer")
    work = partial(layer_errors, question)
    return confined(work, options.limits, "comparing layers", quantised.facts.name)
