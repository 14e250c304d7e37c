"""A run's warnings as sentences, for terminals and pages alike."""

from __future__ import annotations

from collections.abc import Callable

from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable
from onnxprof.records.warning import RunWarning
from onnxprof.records.warning_entry import Amount, Figure, Unit, Values

_FORMATS: dict[Unit, Callable[[float], str]] = {
    Unit.FRACTION: percent,
    Unit.RATIO: "{:.2f}".format,
    Unit.COUNT: "{:.0f}".format,
    Unit.CORES: "{:.1f}".format,
}


def warning_text(warning: RunWarning) -> str:
    """The warning in one or two sentences, with its figures."""
    entry = warning.kind.entry
    value, bound = _amount(warning.value, entry.value), _amount(warning.bound, entry.bound)
    return entry.words(Values(value, bound, printable(warning.subject).rstrip(".")))


def _amount(number: float, figure: Figure | None) -> Amount:
    return Amount(number, _FORMATS[figure.unit](abs(number)) if figure else "")
