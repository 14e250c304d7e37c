"""Words for how far a latency can be trusted: grade, interval or range, what was not checked."""

from __future__ import annotations

import math

from onnxprof.analysis.grades import Grade, has_interval
from onnxprof.publish.text.numbers import UNITS, Style, figure, percent
from onnxprof.records.run import Run

#: A filled, a half and a hollow dot.
SYMBOLS = {Grade.SOLID: "●", Grade.ROUGH: "◐", Grade.NOISE: "○"}
#: Colours of a terminal.
STYLES = {Grade.SOLID: "green", Grade.ROUGH: "yellow", Grade.NOISE: "red"}
#: What each grade means, for a legend or a tooltip.
MEANINGS = {
    Grade.SOLID: "enough samples, within ±2 %, on a steady machine",
    Grade.ROUGH: "within ±10 %",
    Grade.NOISE: "known no better",
}
#: Significant digits of a range: three, and more where its ends would look alike.
_DIGITS = (3, 4, 5, 6)
#: How the verdict of a step begins that was checked by values.
_CHECKED = ("verified", "refuted")


def word(grade: Grade | None) -> str:
    """`● solid`; empty for no grade, as of wrong outputs."""
    return f"{SYMBOLS[grade]} {grade.value}" if grade else ""


def known_text(
    grade: Grade | None, median_ns: float, interval_ns: tuple[int, int], samples: int
) -> str:
    """`● solid`; below six samples `◐ rough, range 751–776, 3 samples`."""
    spread = "" if has_interval(samples) else spread_text(median_ns, interval_ns, samples)
    return ", ".join(filter(None, (word(grade), spread)))


def legend_text() -> str:
    """What the dots mean, in two lines of 80 columns."""
    named = "; ".join(f"{word(grade)}: {meaning}" for grade, meaning in MEANINGS.items())
    return f"{named}. Fewer than six samples have a range, not ±."


def grade_html(grade: Grade | None, *, shown: bool = False) -> str:
    """A dot with the word, for pages that link `grades.css`; empty for no grade.

    The word is text for whoever cannot see the dot; `shown` prints it beside the dot. Nothing in it
    needs escapes.
    """
    if grade is None:
        return ""
    text = grade.value if shown else f"<span>{grade.value}</span>"
    return f'<span class="grade {grade.value}">{text}</span>'


def spread_text(median_ns: float, interval_ns: tuple[int, int], samples: int) -> str:
    """`±0.6 %, 120 samples`; below six samples, `range 751–776, 3 samples` in the median's unit."""
    spread = spread_cell(median_ns, interval_ns, samples)
    named = spread if has_interval(samples) or not spread else f"range {spread}"
    return ", ".join(filter(None, (named, f"{samples} sample{'' if samples == 1 else 's'}")))


def spread_cell(
    median_ns: float, interval_ns: tuple[int, int], samples: int, unit: float = 0.0
) -> str:
    """`±0.6 %`; below six samples the range alone, `751–776`; empty for one sample.

    The range is in a unit of so many nanoseconds, without one in the median's.
    """
    low, high = interval_ns
    if has_interval(samples):
        half = (high - low) / 2 / median_ns if median_ns else math.inf
        return f"±{percent(half)}" if math.isfinite(half) else ""
    return range_text(low, high, unit or unit_ns(median_ns)) if samples > 1 else ""


def range_text(low_ns: float, high_ns: float, unit: float) -> str:
    """`751–776`, in a unit of so many nanoseconds."""
    texts: list[str] = []
    for digits in _DIGITS:
        style = Style(digits, "", "-")
        texts = [figure(ns / unit, style).replace(",", "") for ns in (low_ns, high_ns)]
        if len(set(texts)) > 1:
            break
    return "–".join(texts)


def unit_ns(ns: float) -> int:
    """Nanoseconds of the unit that `numbers.duration` prints a time in."""
    return next((size for _, size in UNITS if abs(ns) >= size), 1)


def unchecked_text(run: Run) -> str:
    """`outputs not compared, steps not checked`; empty where both were, and without times.

    A published bound has neither outputs nor steps of its own.
    """
    if run.timings is None or run.request.is_published:
        return ""
    tied = [step.verdict for step in run.steps if step.layers]
    parts = []
    if not run.is_wrong and (run.parity is None or run.parity.passed is None):
        parts.append("outputs not compared")
    if tied and not any(verdict.startswith(_CHECKED) for verdict in tied):
        parts.append("steps not checked")
    return ", ".join(parts)
