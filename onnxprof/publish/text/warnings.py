"""A run's warnings as sentences, for terminals and pages alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from onnxprof.analysis.grades import has_interval
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable
from onnxprof.records.run import Request, Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.records.warning_entry import Amount, Figure, Unit, Values

_FORMATS: dict[Unit, Callable[[float], str]] = {
    Unit.FRACTION: percent,
    Unit.RATIO: "{:.2f}".format,
    Unit.COUNT: "{:.0f}".format,
    Unit.CORES: "{:.1f}".format,
}


#: What the texts say where the budget decided how much was sampled.
_ADVICE, _FITTED = "a larger --budget", "fitted into the budget"


def warning_text(warning: RunWarning) -> str:
    """The warning in one or two sentences, with its figures."""
    entry = warning.kind.entry
    value, bound = _amount(warning.value, entry.value), _amount(warning.bound, entry.bound)
    return entry.words(Values(value, bound, printable(warning.subject).rstrip(".")))


def warning_texts(run: Run) -> list[str]:
    """All warnings of a run, one or two sentences each.

    Early runs have half of the range as the width of an interval that too few samples have not.
    """
    samples = 0 if run.timings is None else int(run.timings.latency_ns.size)
    return [
        _by_amount(
            warning.kind,
            warning_text(replace(warning, value=0.0) if _is_range(warning, samples) else warning),
            run.request,
        )
        for warning in run.warnings
    ]


def _by_amount(kind: WarningKind, text: str, asked: Request) -> str:
    """The text with the option that decided the amount, where that was not the budget."""
    if kind is WarningKind.UNSTEADY_WARMUP and asked.warmup is not None:
        return text.replace(_ADVICE, "a larger --warmup")
    if asked.iterations:
        return text.replace(_ADVICE, "more --iterations").replace(_FITTED, "were asked for")
    return text.replace(_ADVICE, "a longer --duration") if asked.duration else text


def folded_text(warnings: Sequence[RunWarning]) -> str:
    """How many warnings there are, and of which kinds: `3 warnings: drift, busy machine (2)`."""
    counts = Counter(warning.kind for warning in warnings)
    kinds = (
        kind.value.replace("_", " ") + (f" ({count})" if count > 1 else "")
        for kind, count in counts.items()
    )
    return f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}: {', '.join(kinds)}"


def _is_range(warning: RunWarning, samples: int) -> bool:
    few = samples > 0 and not has_interval(samples)
    return few and warning.kind is WarningKind.WIDE_INTERVAL


def _amount(number: float, figure: Figure | None) -> Amount:
    return Amount(number, _FORMATS[figure.unit](abs(number)) if figure else "")
