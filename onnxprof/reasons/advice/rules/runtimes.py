"""Layers, and whole networks, that another runtime's stored run does faster."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.align import align
from onnxprof.compare.systems import labels
from onnxprof.compare.table import Cell, Row
from onnxprof.compare.verdict import Verdict
from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.peers import faster, peers, same_work, system_of
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.records.run import Run
from onnxprof.records.step import USUAL

#: A block is done much faster from this ratio on, if it is that much of the latency.
_MUCH, _LEAST_SHARE = 0.8, 0.01


def _others(case: Case) -> list[Run]:
    run = case.run

    def fits(other: Run) -> bool:
        a, b = run.request, other.request
        alike = a.threads == b.threads and a.granularity == b.granularity and b.setup == USUAL
        return alike and system_of(run) != system_of(other) and same_work(run, other)

    return list(peers(case, fits))


def _networks(case: Case) -> Iterator[Finding]:
    for other in _others(case):
        gain = faster(case, other)
        if gain is None:
            continue
        name = labels([case.run, other])[1]
        theirs = reconcile(other).total_ns
        yield Finding(
            "faster-runtime",
            f"{name} runs the network in {100 * theirs / case.total_ns:.0f} % of the time",
            f"Run it on {name}",
            evidence=(
                Figure("its latency", theirs, Unit.NS),
                Figure("this latency", case.total_ns, Unit.NS),
            ),
            gain=gain,
        )


def _blocks(case: Case) -> Iterator[Finding]:
    if not case.step_ns:
        return
    for other in _others(case):
        if other.timings is None or not other.timings.step_ns.size:
            continue
        name = labels([case.run, other])[1]
        for row in align([case.run, other]).rows:
            if finding := _block(case, row, name):
                yield finding


def _block(case: Case, row: Row, name: str) -> Finding | None:
    ours, theirs = row.cells
    if not _is_much(ours, theirs) or ours.ns is None or theirs.ns is None:
        return None
    low, high = theirs.interval or (0.0, 0.0)
    operators = "+".join(dict.fromkeys(filter(None, row.operators[:4])))
    return Finding(
        "faster-elsewhere",
        f"{operators} {row.layers[0]} takes {name} {100 * theirs.ns / ours.ns:.0f} % of the time",
        f"See how {name} runs it (onnxprof align); attach `onnxprof repro` to an issue",
        *(row.layers, ours.steps),
        (
            *case.times(ours.steps),
            Figure(f"in {name}", theirs.ns, Unit.NS),
            Figure("ratio", theirs.ns / ours.ns, Unit.RATIO),
        ),
        Gain(max(0.0, ours.ns * (1 - high)), ours.ns * (1 - low)),
    )


def _is_much(ours: Cell, theirs: Cell) -> bool:
    much = theirs.ratio is not None and theirs.ratio <= _MUCH
    return much and theirs.verdict is Verdict.FASTER and (ours.share or 0.0) >= _LEAST_SHARE


RULES = (
    Rule(
        "faster-runtime",
        "a stored run of the same file on the same device, batch and threads by another backend or"
        " provider, with the verdict `faster`",
        "the 95 % interval of the ratio of the latencies",
        _networks,
    ),
    Rule(
        "faster-elsewhere",
        "blocks of 1 % of the latency or more that such a run does in 80 % of the time or less,"
        " with the verdict `faster`",
        "the 95 % interval of the ratio of the block's times",
        _blocks,
    ),
)
