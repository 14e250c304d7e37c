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
from onnxprof.jobs.in_turn import Open, Report, alternate
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.outlook import InTurn
from onnxprof.jobs.proving import proven
from onnxprof.jobs.turns import served
from onnxprof.model.sources.policy import Progress
from onnxprof.records.run import Run
from onnxprof.sweeps.command.phased import lacks_phase
from onnxprof.sweeps.command.points import jobs_at, points

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

    case: Case
    """Before it was judged."""
    noise: Spread
    apart: Floats
    """Logarithm of new over old, one a pair."""
    old: Run
    new: Run


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears what happens: progress, the estimate of the time, finished cases."""

    report: Report
    announce: Callable[[Case, float], None]
    """The case, and the seconds that it will take."""
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
    phases: Sequence[str] = (),
    unchanged: bool = False,
) -> list[Planned]:
    """Plan each model at each size and in each phase; what cannot be planned is a failed case.

    Of several models each takes the phases that it has. Files that are equal are not planned to be
    measured, unless `unchanged` asks for it. Raises UsageError for a text that names no phase.
    """
    asked = points(replace(options, models=tuple(s.model for s in subjects)), phases, progress)
    found: list[Planned] = []
    for subject in subjects:
        mine = [point for point in asked if point.models == (subject.model,)]
        found += _planned(subject, mine, hold, progress, unchanged=unchanged)
    return found


def _planned(
    subject: Subject,
    asked: Sequence[Options],
    hold: Hold,
    progress: Progress | None,
    *,
    unchanged: bool,
) -> list[Planned]:
    told = partial(Case, model=subject.model, batch=None, origin=subject.origin)
    if subject.problem:
        return [Planned(subject, told=told(outcome=Outcome.FAILED, why=subject.problem))]
    if not subject.old:
        return [Planned(subject, told=told(outcome=Outcome.NEW))]
    if not asked:
        why = "it has none of the phases, which are for the other models: gate it by itself"
        return [Planned(subject, told=told(outcome=Outcome.FAILED, why=why))]
    found: list[Planned] = []
    for point in asked:
        both = _jobs(subject, point, hold, progress, unchanged=unchanged)
        if not isinstance(both, Case):
            found += [Planned(subject, pair) for pair in both]
        elif both.outcome is Outcome.UNCHANGED:
            return [Planned(subject, told=both)]
        else:
            found.append(Planned(subject, told=both))
    return _once(found)


def _once(found: list[Planned]) -> list[Planned]:
    """One case where all failed for one reason: a file that nobody can read, say."""
    reasons = {(case.told.outcome, case.told.why) if case.told else None for case in found}
    told = found[0].told if found else None
    if told is None or len(found) < 2 or len(reasons) > 1:
        return found
    return [replace(found[0], told=replace(told, phase="", dims=()))]


def _jobs(
    subject: Subject,
    point: Options,
    hold: Hold,
    progress: Progress | None,
    *,
    unchanged: bool,
) -> list[tuple[Job, Job]] | Case:
    """The jobs of the old and the new version, one pair a batch; the case of what has none."""
    told = partial(Case, subject.model, None, phase=point.phase, dims=point.dims)
    told = partial(told, origin=subject.origin)
    new: list[Job] | None = None
    try:
        new = jobs_at(point, progress)
        old = jobs_at(replace(point, models=(subject.old,)), progress)
        if old[0].facts.sha256 == new[0].facts.sha256 and not unchanged:
            return told(Outcome.UNCHANGED, phase="", dims=())
        with hold(old[0]):
            old, new = (proven(jobs, point, lambda *_: None) for jobs in (old, new))
    except OnnxprofError as error:
        is_new = new is not None and lacks_phase(subject.old, point, progress)
        outcome = Outcome.NEW if is_new else Outcome.FAILED
        return told(outcome, why=_reason(error, subject))
    by_batch = {job.batch: job for job in old}
    pairs = [(by_batch[job.batch], job) for job in new if job.batch in by_batch]
    if pairs:
        return pairs
    why = f"no batch size works for both: {old[0].batch}, {new[0].batch}"
    return told(Outcome.FAILED, why=why)


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
    found: list[Measured | Case] = []
    for case in plans:
        if case.jobs is None:
            continue
        found.append(_attempted(case, case.jobs, gated, hold, told, keep, start))
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
    so_far = _case(case, jobs[1])
    try:
        with hold(jobs[0]):
            measured = _measured(so_far, jobs, gated, told, start)
        keep(measured.old)
        keep(measured.new)
    except OnnxprofError as error:
        return replace(so_far, outcome=Outcome.FAILED, why=_reason(error, case.subject))
    return measured


def _case(case: Planned, job: Job) -> Case:
    """What is known of a case before it is measured."""
    asked, subject = job.options, case.subject
    return Case(
        subject.model,
        job.batch,
        Outcome.UNDECIDED,
        phase=asked.phase,
        dims=asked.dims,
        origin=subject.origin,
    )


def _measured(case: Case, jobs: tuple[Job, Job], gated: Gated, told: Told, start: Open) -> Measured:
    """Pairs of the old version, then of both: the first without checks, which are the second's."""
    old, new = jobs
    plain = old.asking(parity=False, verify=False)
    limits = old.options.limits
    same = alternate(plain, plain, limits, told.report, start, partial(_foretell, told, case, old))
    noise = spread(apart_of(*same))
    told.noise(gated, replace(case, noise=noise))
    both = alternate(old, new, limits, told.report, start)
    return Measured(case, noise, apart_of(*both), *both)


def _foretell(told: Told, case: Case, old: Job, ahead: InTurn) -> None:
    """Twice the pairs: the old version against itself, which nobody checks, then both."""
    checked = replace(ahead, verify=old.options.verify, parity=old.options.parity)
    told.announce(case, ahead.seconds() + checked.seconds())


def apart_of(a: Run, b: Run) -> Floats:
    """The logarithm of B's latency over A's, one a pair of processes."""
    beside = side_by_side(latency_replicates(a), latency_replicates(b))
    apart: Floats = beside.apart[0]
    return apart


def _judged(found: Sequence[Measured | Case], rule: Rule) -> Iterator[Case]:
    """The cases in order; the layers of all of them are one family, as in a comparison."""
    good = [measured for measured in found if isinstance(measured, Measured)]
    compared = compare([((m.old,), (m.new,)) for m in good], THRESHOLD, in_turn=True)
    pairs = iter(compared.pairs)
    for measured in found:
        if isinstance(measured, Case):
            yield measured
            continue
        judgement = judge(measured.apart, measured.noise, rule)
        yield replace(
            measured.case,
            outcome=outcome_of(judgement.verdict),
            noise=measured.noise,
            judgement=judgement,
            pair=next(pairs),
        )
