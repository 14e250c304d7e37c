"""From a run to its findings, the largest expected gain first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Finding, Gain
from onnxprof.reasons.advice.registry import RULES
from onnxprof.reasons.roofline import Roofline
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run

#: Findings whose gain can be no more than this part of the latency are marked as small.
SMALL = 0.002


@dataclass(frozen=True)
class Advice:
    """What is to be said of a run."""

    run: Run
    total_ns: int
    """The latency, or the sum of the steps where it is not known."""
    findings: tuple[Finding, ...]
    """The largest expected gain first; those without a gain last."""
    has_ceilings: bool
    union: Gain | None
    """All findings on steps together, each step counted once; None where none has a gain."""
    rewritable: Gain | None
    """The same of the findings that a safe rewrite serves."""

    @property
    def large(self) -> tuple[Finding, ...]:
        """The findings that are not small."""
        return tuple(one for one in self.findings if not is_small(one, self.total_ns))


def is_small(finding: Finding, total_ns: int) -> bool:
    """Whether a finding cannot gain more than 0.2 % of the latency."""
    return finding.gain is not None and finding.gain.high_ns < SMALL * total_ns


def advise(
    run: Run,
    ceilings: Ceilings | None = None,
    others: Sequence[Run] = (),
    known: Roofline | None = None,
) -> Advice:
    """Apply every rule to a run. `others` are runs that it may be compared with.

    `known` is the run's roofline at these ceilings, for callers that have it already. Raises
    StoreError for a run without times.
    """
    case = Case(run, ceilings, tuple(other for other in others if other is not run), known)
    found = [finding for rule in RULES for finding in rule.find(case)]
    findings = sorted((_shared(one, case.total_ns) for one in found), key=_rank)
    return Advice(
        run,
        case.total_ns,
        tuple(findings),
        ceilings is not None,
        union(findings, case),
        union([one for one in findings if one.rewrite], case),
    )


def _shared(finding: Finding, total_ns: int) -> Finding:
    if finding.gain is None or not total_ns:
        return finding
    return replace(finding, share=finding.gain.expected_ns / total_ns)


def _rank(finding: Finding) -> tuple[bool, float]:
    return finding.gain is None, -(finding.gain.expected_ns if finding.gain else 0.0)


def union(findings: Sequence[Finding], case: Case) -> Gain | None:
    """The gains over the union of the steps: of findings that share a step, the largest counts.

    A finding's gain is spread over its steps by their times. Findings on no step, such as the
    number of threads, are not in it: they change what all others are a part of.
    """
    best: dict[int, tuple[float, float, float]] = {}
    for finding in findings:
        if finding.gain is None or not finding.steps:
            continue
        whole = case.time_ns(finding.steps)
        for number in finding.steps:
            part = case.step_ns[number] / whole if whole else 0.0
            gain = finding.gain
            mine = part * gain.expected_ns, part * gain.low_ns, part * gain.high_ns
            best[number] = max(best.get(number, (0.0, 0.0, 0.0)), mine)
    if not best:
        return None
    return Gain(sum(low for _, low, _ in best.values()), sum(high for *_, high in best.values()))
