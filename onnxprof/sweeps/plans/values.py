"""Values of a plan's keys, checked as the options of `profile` are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any

from onnxprof.errors import UsageError, choices
from onnxprof.jobs.options import LARGEST, TABLE, Option
from onnxprof.measure.budget import Budget
from onnxprof.model.dims.grammar import Size, alternatives, of_values
from onnxprof.runtimes.wanted import parse
from onnxprof.sequences.grammar import points

_LARGEST_BATCH = 1 << 20
_LARGEST = (1 << 63) - 1
#: Keys that are no options of a measurement, but of the work.
WORK = {
    "timeout": f"seconds, 1 to {LARGEST:.0f}",
    "memory": f"GiB, 0 to {LARGEST:.0f}; 0 for what is free",
    "force": "true or false",
}
#: By the name that a plan and the command line use, the field of `Options`.
FIELDS: Mapping[str, str] = {option.name: field for field, option in TABLE.items()}
#: Keys that take a list, which is multiplied out.
LISTED = frozenset(
    (
        *("batch", "threads", "provider", "device", "granularity", "timer", "processes", "seed"),
        *("runtime", "optimization-level", "session-option", "provider-option", "phase"),
    )
)
#: The key of a version of a runtime; an empty text is the installed one.
RUNTIME = "runtime"
#: Keys that take a table of names and values, each name with one value or a list of them.
TABLES = ("session-option", "provider-option")


@dataclass(frozen=True, slots=True)
class WrongValueError(Exception):
    """A value that a key does not take, and what it takes."""

    value: Any
    allowed: str


def values(key: str, given: Any) -> tuple[Any, ...]:
    """The values of a key, one unless it is given a list. Raises WrongValueError."""
    if key in TABLES:
        return _tables(key, given)
    items = given if isinstance(given, list) else [given]
    if key == "phase":
        return _phases(items, given)
    if isinstance(given, list) and (key not in LISTED or not items):
        raise WrongValueError(given, f"{'one value' if items else 'a value'}: {_allowed(key)}")
    return tuple(dict.fromkeys(_value(key, item) for item in items))


def _phases(items: list[Any], given: Any) -> tuple[str, ...]:
    """Each phase of texts that may name several, as `decode:512..2048` does."""
    try:
        return tuple(map(str, points(texts(items))))
    except UsageError as error:
        raise WrongValueError(given, "KIND:SIZES, as in prefill:512 or decode:512..2048") from error


def sizes(given: Any) -> tuple[Size, ...]:
    """The sizes of an axis, or the ties that give them. Raises WrongValueError."""
    items = given if isinstance(given, list) else [given]
    allowed = 'a whole number, a tie to other axes such as "past + new", or a list of them'
    if not items or not all(type(i) is str or (_is_whole(i) and 0 <= i <= _LARGEST) for i in items):
        raise WrongValueError(given, allowed)
    try:
        return alternatives(of_values(items, ""))
    except UsageError:
        raise WrongValueError(given, allowed) from None


def texts(given: Any) -> tuple[str, ...]:
    """A text or a list of texts. Raises WrongValueError."""
    items = given if isinstance(given, list) else [given]
    if not items or not all(isinstance(item, str) and item.strip() for item in items):
        raise WrongValueError(given, "a text, or a list of texts")
    return tuple(dict.fromkeys(items))


def _tables(key: str, given: Any) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Every combination of a table's values, as pairs of texts."""
    if not isinstance(given, dict) or not given:
        raise WrongValueError(given, _allowed(key))
    lists = [item if isinstance(item, list) else [item] for item in given.values()]
    if not all(lists) or not all(type(v) in (str, int, bool) for each in lists for v in each):
        raise WrongValueError(given, _allowed(key))
    texts = [[_text(value) for value in each] for each in lists]
    names = [str(name) for name in given]
    return tuple(tuple(zip(names, chosen, strict=True)) for chosen in product(*texts))


def _text(value: str | int) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _value(key: str, item: Any) -> Any:
    if key in WORK:
        return _of_work(key, item)
    option = TABLE[FIELDS[key]]
    if key == "batch":
        return _within(item, 1, _LARGEST_BATCH, key)
    if key == RUNTIME:
        return _version(item)
    usual = option.default
    if isinstance(usual, Budget):
        return Budget(_number(item, option.least or 0.0, key))
    if isinstance(usual, StrEnum):
        return _choice(type(usual), item, key)
    if isinstance(usual, bool):
        return _of_type(bool, item, key)
    if _is_number(option):
        return _within(item, option.least or 0, option.most or _LARGEST, key)
    if isinstance(usual, float):
        return _number(item, option.least or 0.0, key)
    return _of_type(str, item, key)


def _of_work(key: str, item: Any) -> Any:
    if key == "force":
        return _of_type(bool, item, key)
    return _number(item, 1.0 if key == "timeout" else 0.0, key)


def _of_type(kind: type, item: Any, key: str) -> Any:
    if type(item) is not kind:
        raise WrongValueError(item, _allowed(key))
    return item


def _version(item: Any) -> str:
    text = str(_of_type(str, item, RUNTIME))
    try:
        return str(parse(text)) if text else ""
    except UsageError:
        raise WrongValueError(item, _allowed(RUNTIME)) from None


def _within(item: Any, least: float, most: float, key: str) -> int:
    if not (_is_whole(item) and least <= item <= most):
        raise WrongValueError(item, _allowed(key))
    return int(item)


def _number(item: Any, least: float, key: str) -> float:
    if type(item) not in (int, float) or not least <= item <= LARGEST:
        raise WrongValueError(item, _allowed(key))
    return float(item)


def _choice(kind: type[StrEnum], item: Any, key: str) -> StrEnum:
    if not isinstance(item, str) or item not in {each.value for each in kind}:
        raise WrongValueError(item, _allowed(key))
    return kind(item)


def _is_whole(item: Any) -> bool:
    return type(item) is int


def _allowed(key: str) -> str:
    """What a key takes, in words."""
    if key in WORK:
        return WORK[key]
    if key in TABLES:
        return "a table of names, each with a value or a list of values"
    if key == RUNTIME:
        return "a package and one version, such as onnxruntime==1.22.1"
    option = TABLE[FIELDS[key]]
    usual = option.default
    if key == "batch":
        return f"a whole number from 1 to {_LARGEST_BATCH}"
    if isinstance(usual, StrEnum):
        return choices(each.value for each in type(usual))
    if isinstance(usual, Budget | float):
        return f"seconds, {option.least:g} to {LARGEST:.0f}"
    if isinstance(usual, bool):
        return "true or false"
    return _whole(option) if _is_number(option) else "a text"


def _is_number(option: Option) -> bool:
    """Whether the option takes a whole number."""
    return isinstance(option.default, int) or option.kind is int


def _whole(option: Option) -> str:
    least = f"{option.least or 0:g}"
    return f"a whole number from {least}" + (f" to {option.most:.0f}" if option.most else "")
