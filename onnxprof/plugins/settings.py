"""Options of a runtime, as backends list them: what values they take, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from onnxprof.errors import UsageError, did_you_mean

#: Options by name, as texts.
Pairs = tuple[tuple[str, str], ...]

SESSION, PROVIDER, LEVEL = "--session-option", "--provider-option", "--optimization-level"
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Kind:
    """The values that an option takes."""

    words: str
    """What may be given: `1 or 0`."""
    read: Callable[[str], str | None]
    """A value in the one spelling that is stored; None for what the option does not take."""


def _switch(text: str) -> str | None:
    low = text.strip().lower()
    return "1" if low in _ON else "0" if low in _OFF else None


#: On or off, by any of the usual words; stored as 1 and 0.
SWITCH = Kind("1 or 0", _switch)


def whole(least: int = 0, most: int | None = None) -> Kind:
    """Whole numbers."""
    upper = "" if most is None else f" to {most}"

    def read(text: str) -> str | None:
        if not _WHOLE.fullmatch(text.strip()):
            return None
        number = int(text)
        return str(number) if number >= least and (most is None or number <= most) else None

    return Kind(f"a whole number from {least}{upper}", read)


def choice(*names: str) -> Kind:
    """One of a few names, in any case."""
    by_lower = {name.lower(): name for name in names}
    *others, last = names
    words = f"{', '.join(others)} or {last}" if others else last
    return Kind(words, lambda text: by_lower.get(text.strip().lower()))


def matching(pattern: str, words: str) -> Kind:
    """Texts of a form."""
    form = re.compile(pattern)
    return Kind(words, lambda text: text if form.fullmatch(text) else None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Options that no user may set."""

    pattern: str
    """Part of a name, as a regular expression; case does not matter."""
    reason: str
    remedy: str = ""

    def meets(self, name: str) -> bool:
        """Whether the option is one of them."""
        return re.search(self.pattern, name, re.IGNORECASE) is not None


#: What names a file or a library, by whatever runtime.
FILES = Refusal(
    r"path|file|folder|(^|[._])dir([._]|$)|librar|plugin|\.so$|custom_op",
    "a measurement reads and writes nothing outside its own folder, and loads no code",
)


def checked(
    given: Pairs, known: Mapping[str, Kind], refusals: Sequence[Refusal], flag: str, runtime: str
) -> Pairs:
    """The options with their values in the stored spelling, sorted by name.

    Raises UsageError for options that are refused, unknown, given twice or given a wrong value.
    """
    taken: dict[str, str] = {}
    for name, text in given:
        value = read(name, text, known, refusals, flag, runtime)
        if taken.setdefault(name, value) != value:
            raise UsageError(f"{flag} gives {name!r} two values", remedy="Give it one")
    return tuple(sorted(taken.items()))


def read(
    name: str,
    text: str,
    known: Mapping[str, Kind],
    refusals: Sequence[Refusal],
    flag: str,
    runtime: str,
) -> str:
    """The stored spelling of one option's value. Raises UsageError, see `checked`."""
    if name not in known:
        raise next(refused(name, refusals, flag), None) or _unknown(name, known, flag, runtime)
    value = known[name].read(text)
    if value is None:
        raise UsageError(f"{flag} {name}={text}", remedy=f"{name} takes {known[name].words}")
    return value


def refused(name: str, refusals: Sequence[Refusal], flag: str) -> Iterator[UsageError]:
    """The error for an option that is refused, if it is."""
    for each in refusals:
        if each.meets(name):
            yield UsageError(f"{flag} {name} is refused: {each.reason}", remedy=each.remedy)


def _unknown(name: str, known: Mapping[str, Kind], flag: str, runtime: str) -> UsageError:
    hint = did_you_mean(name, known)
    return UsageError(
        f"{flag} {name}: {runtime} has no such option, or onnxprof does not know it",
        remedy=f"{hint}docs/backends.md lists them",
    )


def refuse_level(level: str, runtime: str, why: str) -> None:
    """Raise UsageError for a level of optimisation, where the runtime has none."""
    if level:
        raise UsageError(
            f"{LEVEL} {level}: {runtime} {why}", remedy=f"Leave out {LEVEL}, or use --backend ort"
        )


def refuse_provider_options(given: Pairs, runtime: str, remedy: str) -> None:
    """Raise UsageError for options of providers, where the runtime has no providers."""
    if given:
        raise UsageError(
            f"{PROVIDER} {given[0][0]}: {runtime} has no options of providers", remedy=remedy
        )
