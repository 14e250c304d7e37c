"""Planning and measuring: the old model against itself, then against the new one, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from onnxprof.compare.changes import compare
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.compare.ratios import Floats
from onnxprof.compare.replicates import latency_replicates, side_by_side
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.errors import OnnxprofError
from onnxprof.gate.cases import Case, Gated, Outcome, outcome_of
from onnxprof.gate.rule import Rule, Spread, judge, spread
from onnxprof.gate.subject import Subject
from onnxprof.jobs.in_turn import Announce, Open, Report, alternate
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.proving import proven
from onnxprof.jobs.sweep import plan
from onnxprof.jobs.turns import served
from onnxprof.model.sources.policy import Progress
from onnxprof.records.run import Run

#: Holds the device of a job while something is measured on it.
Hold = Callable[[Job], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Planned:
    """A case before it is measured, or what kept it from being planned."""

    subject: Subject
    jobs: tuple[Job, Job] | None = None
    """Of the old and the new version."""
    told: Case | None = None
    """What is said without measuring."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The runs of a case, and how far its pairs of processes scatter."""

    noise: Spread
    apart: Floats
    """Logarithm of new over old, one a pair."""
    old: Run
    new: Run


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears what happens: progress, the estimate of the time, finished cases."""

    report: Report
    announce: Announce
    noise: Callable[[Gated, Case], None]
    """The case, with its noise alone, once the old version was measured against itself."""
    done: Callable[[], None]
    """A case has been measured, or has failed."""


def planned(
    subjects: Sequence[Subject],
    options: Options,
    hold: Hold,
    progress: Progress | None = None,
    *,
    unchanged: bool = False,
) -> list[Planned]:
    """Plan each model at each batch size; what cannot be planned is a failed case.

    Files that are equal are not planned to be measured, unless `unchanged` asks for it.
    """
    return [
        case
        for subject in subjects
        for case in _planned(subject, options, hold, progress, unchanged=unchanged)
    ]


def _planned(
    subject: Subject, options: Options, hold: Hold, progress: Progress | None, *, unchanged: bool
) -> list[Planned]:
    told = partial(Case, model=subject.model, batch=None, origin=subject.origin)
    if subject.problem:
        return [Planned(subject, told=told(outcome=Outcome.FAILED, why=subject.problem))]
    if not subject.old:
        return [Planned(subject, told=told(outcome=Outcome.NEW))]
    try:
        both = [
            plan(replace(options, models=(model,)), progress)
            for model in (subject.old, subject.model)
        ]
        if both[0][0].facts.sha256 == both[1][0].facts.sha256 and not unchanged:
            return [Planned(subject, told=told(outcome=Outcome.UNCHANGED))]
        with hold(both[0][0]):
            both = [proven(jobs, options, lambda *_: None) for jobs in both]
    except OnnxprofError as error:
        why = _reason(error, subject)
        return [Planned(subject, told=told(outcome=Outcome.FAILED, why=why))]
    old = {job.batch: job for job in both[0]}
    pairs = [(old[job.batch], job) for job in both[1] if job.batch in old]
    if not pairs:
        why = f"no batch size works for both: {both[0][0].batch}, {both[1][0].batch}"
        return [Planned(subject, told=told(outcome=Outcome.FAILED, why=why))]
    return [Planned(subject, pair) for pair in pairs]


def _reason(error: OnnxprofError, subject: Subject) -> str:
    """Why something failed, without the temporary file that the old version was written to."""
    old = f"{Path(subject.model).name} of {subject.origin}"
    is_written = Path(subject.old).is_absolute()
    return str(error).replace(subject.old, old) if is_written else str(error)


def conducted(
    plans: Sequence[Planned],
    options: Options,
    rule: Rule,
    required: Requirement | None,
    hold: Hold,
    told: Told,
    keep: Callable[[Run], None] = lambda _: None,
    start: Open = served,
) -> Gated:
    """Measure what was planned and judge all of it together.

    `keep` is given each run of a model against its old version. `start` opens a process.
    """
    due = sum(case.jobs is not None for case in plans)
    rule = replace(rule, cases=max(1, due))
    gated = Gated((), rule, required, options.processes, options.process_budget.seconds)
    found: list[tuple[Planned, Measured | Case]] = []
    for case in plans:
        if case.jobs is None:
            continue
        found.append((case, _attempted(case, case.jobs, gated, hold, told, keep, start)))
        told.done()
    cases = _judged(found, rule)
    whole = [case.told or next(cases) for case in plans]
    return replace(gated, cases=tuple(whole))


def _attempted(
    case: Planned,
    jobs: tuple[Job, Job],
    gated: Gated,
    hold: Hold,
    told: Told,
    keep: Callable[[Run], None],
    start: Open,
) -> Measured | Case:
    """The runs, or the failed case: one model that fails stops no other."""
    so_far = Case(case.subject.model, jobs[1].batch, Outcome.UNDECIDED, case.subject.origin)
    try:
        with hold(jobs[0]):
            measured = _measured(so_far, jobs, gated, told, start)
        keep(measured.old)
        keep(measured.new)
    except OnnxprofError as error:
        return replace(so_far, outcome=Outcome.FAILED, why=_reason(error, case.subject))
    return measured


def _measured(case: Case, jobs: tuple[Job, Job], gated: Gated, told: Told, start: Open) -> Measured:
    """Pairs of the old version, then of both: the first without checks, which are the second's."""
    old, new = jobs
    plain = old.asking(parity=False, verify=False)
    limits = old.options.limits
    same = alternate(plain, plain, limits, told.report, start, told.announce)
    noise = spread(apart_of(*same))
    told.noise(gated, replace(case, noise=noise))
    both = alternate(old, new, limits, told.report, start)
    return Measured(noise, apart_of(*both), *both)


def apart_of(a: Run, b: Run) -> Floats:
    """The logarithm of B's latency over A's, one a pair of processes."""
    beside = side_by_side(latency_replicates(a), latency_replicates(b))
    apart: Floats = beside.apart[0]
    return apart


def _judged(found: Sequence[tuple[Planned, Measured | Case]], rule: Rule) -> Iterator[Case]:
    """The cases in order; the layers of all of them are one family, as in a comparison."""
    good = [measured for _, measured in found if isinstance(measured, Measured)]
    compared = compare([((m.old,), (m.new,)) for m in good], THRESHOLD, in_turn=True)
    pairs = iter(compared.pairs)
    for case, measured in found:
        if isinstance(measured, Case):
            yield measured
            continue
        judgement = judge(measured.apart, measured.noise, rule)
        yield Case(
            case.subject.model,
            measured.new.request.batch,
            outcome_of(judgement.verdict),
            case.subject.origin,
            measured.noise,
            judgement,
            next(pairs),
        )
