"""Threads and batches of the run that other stored runs of the model show to be unwise."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.analysis.grades import has_interval
from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.scaling import Point, families, saturated, scaling
from onnxprof.compare.systems import newest
from onnxprof.compare.verdict import Verdict
from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.peers import faster, peers, same_work, system_of
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.records.run import Run


def _threads(case: Case) -> Iterator[Finding]:
    run = case.run

    def fits(other: Run) -> bool:
        a, b = run.request, other.request
        alike = system_of(run) == system_of(other) and a.granularity == b.granularity
        return alike and a.setup == b.setup and b.threads < a.threads and same_work(run, other)

    known = [(other, gain) for other in peers(case, fits) if (gain := faster(case, other))]
    if not known:
        return
    best, gain = max(known, key=lambda pair: pair[1].expected_ns)
    fewer = best.request.threads
    yield Finding(
        "too-many-threads",
        f"{fewer} thread{'' if fewer == 1 else 's'} are faster than {run.request.threads}",
        f"Run it with --threads {fewer}",
        evidence=(
            Figure("threads", run.request.threads, Unit.COUNT),
            Figure("latency", case.total_ns, Unit.NS),
            Figure("fewer threads", fewer, Unit.COUNT),
            Figure("their latency", reconcile(best).total_ns, Unit.NS),
        ),
        gain=gain,
    )


def _batches(case: Case) -> Iterator[Finding]:
    run = case.run
    alike = newest([*case.others, run])
    groups = families([each for each in alike if _whole(each)])
    mine = next((group for group in groups if any(each is run for each in group)), None)
    if mine is None or run.request.batch <= saturated(mine, BATCH):
        return
    scaled = scaling(mine, BATCH)
    by_size = {point.size: point for point in scaled.points}
    here, there = by_size[run.request.batch], by_size.get(scaled.saturated)
    if there is None or not all(has_interval(point.samples) for point in (here, there)):
        return
    yield Finding(
        "past-saturation",
        f"batch {here.size} is past saturation: batch {there.size} has {_percent(there, here)} %"
        " of its samples a second",
        f"Use batch {there.size}: a call then takes less, and no fewer samples are served",
        evidence=(
            Figure("samples a second", here.rate, Unit.PER_SECOND),
            Figure(f"at batch {there.size}", there.rate, Unit.PER_SECOND),
            Figure("a call", here.latency_ns, Unit.NS),
            Figure(f"a call of batch {there.size}", there.latency_ns, Unit.NS),
        ),
        gain=_per_item(here, scaled.best) if scaled.best.size < here.size else None,
    )


def _whole(run: Run) -> bool:
    return run.timings is not None and run.timings.latency_ns.size > 0


def _percent(there: Point, here: Point) -> str:
    return f"{100 * there.rate / here.rate:.0f}"


def _per_item(here: Point, best: Point) -> Gain | None:
    """What a call's items take less at the best size, where the step there says `slower`."""
    if here.verdict is not Verdict.SLOWER or not has_interval(best.samples):
        return None
    scale = here.size / best.size
    low = here.interval_ns[0] - scale * best.interval_ns[1]
    high = here.interval_ns[1] - scale * best.interval_ns[0]
    return Gain(max(0.0, low), high) if high > 0 else None


RULES = (
    Rule(
        "too-many-threads",
        "a stored run of the same file and system with fewer threads, with the verdict `faster`",
        "the 95 % interval of the ratio of the latencies",
        _threads,
    ),
    Rule(
        "past-saturation",
        "batches above the smallest one that has 95 % of the best rate, where runs of two or more"
        " batches are stored, with six samples or more of both",
        "what the items of a call take less at the best batch, by the intervals of both latencies,"
        " where an item surely takes longer; else none, for a call of fewer items is no gain",
        _batches,
    ),
)
