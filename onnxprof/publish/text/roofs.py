"""Sentences on what bounds a step and a network."""

from __future__ import annotations

from onnxprof.publish.text.numbers import PLAIN, Style, duration, figure
from onnxprof.publish.text.safe import counted, printable, shortened
from onnxprof.reasons.bounds import Bounds, bounds
from onnxprof.reasons.roofline import Roof, Roofline
from onnxprof.records.warning import RunWarning, WarningKind

_MOST_NAMED = 3
_LONGEST = 24


def why_text(roof: Roof | None) -> str:
    """`compute 62 %`, `L3 41 %`, `overhead 80 %`; `at least` as `≥`, `?` where nothing is known."""
    if roof is None or roof.fraction is None:
        return "?"
    return f"{roof.bound} {possible_text(roof)} %"


def possible_text(roof: Roof) -> str:
    """The part of possible that a step attains, in per cent: `41`, `≥41`, `<1`; else empty."""
    if roof.fraction is None:
        return ""
    mark = "≥" if roof.at_least else ""
    return f"{mark}{_hundredths(roof.fraction)}"


def _hundredths(fraction: float) -> str:
    return f"{100 * fraction:.0f}" if fraction >= 0.005 else "<1"


def _percent(fraction: float) -> str:
    return f"{_hundredths(fraction)} %"


def bound_text(roofs: Roofline) -> str:
    """The least possible latency in a sentence; empty without ceilings."""
    found = bounds(roofs)
    if found is None:
        return ""
    least = "at least " if found.at_least else ""
    text = (
        f"Least possible on this machine: {least}{_of(found.in_sequence_ns, found)} with the steps"
        f" that ran, {_of(found.fused_in_sequence_ns, found)} if layers without multiply-adds took"
        " no time."
    )
    ends = duration(found.critical_path_ns), duration(found.fused_critical_path_ns)
    if ends != (duration(found.in_sequence_ns), duration(found.fused_in_sequence_ns)):
        text += f" With branches at the same time: {ends[0]} and {ends[1]}."
    if found.other_algorithms:
        text += f" Winograd or FFT may take less, as in {_named(found.other_algorithms)}."
    return text


#: A factor of more digits would say more than ceilings are known to.
_FACTOR = Style(2, PLAIN.space, PLAIN.minus)


def least_text(found: Bounds | None) -> str:
    """`2.3 times the least possible on this machine`; empty without a bound that holds.

    The bound is that of the steps that ran, one after the other.
    """
    if found is None or not 0 < found.in_sequence_ns <= found.measured_ns:
        return ""
    factor = figure(found.measured_ns / found.in_sequence_ns, _FACTOR)
    most = "at most " if found.at_least else ""
    return f"{most}{factor} times the least possible on this machine"


def _of(ns: float, found: Bounds) -> str:
    if not found.measured_ns:
        return duration(ns)
    return f"{duration(ns)} ({_percent(ns / found.measured_ns)})"


def alone_text(roofs: Roofline) -> str:
    """What steps take in the graph against alone, with warm caches; empty where none was timed."""
    both = [(r.time_ns, r.warm_ns) for r in roofs.roofs if r.time_ns and r.warm_ns is not None]
    if not both:
        return ""
    inside, alone = (sum(times) for times in zip(*both, strict=True))
    steps = counted(len(both), "step was", "steps were")
    return (
        f"{steps} timed alone, too, with warm caches: {duration(alone)} against"
        f" {duration(inside)} in the graph."
    )


def beaten_text(roofs: Roofline) -> str:
    """Which steps are faster than their bound, which is then too high; empty where none is."""
    if not roofs.beaten:
        return ""
    names = _named([roof.name for roof in roofs.beaten])
    both = {"ceilings were": roofs.ceilings, "run was": roofs.run}
    busy = [name for name, each in both.items() if each and _was_busy(each.warnings)]
    why = "the cost of these steps or a ceiling is wrong"
    if busy:
        why = f"the {' and the '.join(busy)} measured on a busy machine"
    return (
        f"Faster than the bound by more than 5 %: {names}; {why}."
        " onnxprof ceilings --again measures ceilings anew."
    )


def _was_busy(warnings: tuple[RunWarning, ...]) -> bool:
    return any(warning.kind is WarningKind.BUSY_MACHINE for warning in warnings)


def _named(names: list[str] | tuple[str, ...]) -> str:
    shown = [printable(shortened(name, _LONGEST)) for name in names[:_MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])
