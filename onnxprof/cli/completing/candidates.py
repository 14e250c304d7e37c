"""What may stand at the cursor: commands, options, and values of options and arguments.

No runtime is imported, and no model or run is opened: a Tab takes no longer than `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxprof.cli.completing.values import FILES, values_of
from onnxprof.cli.completing.words import Candidate

#: The command of a group that may be left out, as in `sweep PLAN.toml`.
_IMPLIED = "run"
#: The command of a group by its name, imported.
Member = Callable[[Any, str], Any]


@dataclass(slots=True)
class _Place:
    """Where the words before the cursor lead."""

    command: Any
    path: list[str] = field(default_factory=list)
    given: int = 0
    """Arguments that stand there already."""
    option: Any = None
    """The option whose value the cursor is in."""
    only_arguments: bool = False
    """Behind `--`."""


def candidates(
    root: Any, words: Sequence[str], typed: str, member: Member
) -> tuple[list[Candidate], bool]:
    """(what begins with `typed`, whether files fit, too); `member` imports a group's command."""
    place = _reached(root, words, member)
    head, equals, _ = typed.partition("=")
    if place.option is None and equals and head.startswith("--") and not place.only_arguments:
        place.option = _option(place.command, head)
        found = list(_values(place))
        whole = [Candidate(f"{head}={each.value}", each.help) for each in found]
        return _fitting(whole, typed), FILES in found
    found = list(_found(place, typed, member))
    return _fitting(found, typed), FILES in found


def _fitting(found: Sequence[Candidate], typed: str) -> list[Candidate]:
    return [each for each in found if each.value.startswith(typed) and each is not FILES]


def _found(place: _Place, typed: str, member: Member) -> Iterator[Candidate]:
    if place.option is not None:
        yield from _values(place)
        return
    if typed.startswith("-") and not place.only_arguments:
        yield from _options(place.command)
        return
    inner = _members(place.command)
    yield from (Candidate(name, _summary(each)) for name, each in inner.items())
    if not inner or _IMPLIED in inner:
        command = member(place.command, _IMPLIED) if inner else place.command
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        if arguments:
            argument = arguments[min(place.given, len(arguments) - 1)]
            if place.given < len(arguments) or argument.nargs == -1:
                yield from values_of(argument, place.path)


def _members(command: Any) -> dict[str, Any]:
    """The commands of a group; those that are not imported yet have their help alone."""
    inner: dict[str, Any] = getattr(command, "commands", {})
    return inner


def _reached(root: Any, words: Sequence[str], member: Member) -> _Place:
    place = _Place(root)
    for word in words:
        if place.option is not None:
            place.option = None
        elif word == "--":
            place.only_arguments = True
        elif word.startswith("-") and not place.only_arguments:
            option = _option(place.command, word) if "=" not in word else None
            place.option = option if option is not None and _takes_value(option) else None
        else:
            _enter(place, word, member)
    return place


def _enter(place: _Place, word: str, member: Member) -> None:
    inner = _members(place.command)
    if word in inner:
        place.command = member(place.command, word)
        place.path.append(word)
    elif _IMPLIED in inner:
        place.command = member(place.command, _IMPLIED)
        place.path.append(_IMPLIED)
        place.given = 1
    else:
        place.given += 1


def _option(command: Any, name: str) -> Any:
    every = (each for each in command.params if each.param_type_name == "option")
    return next((each for each in every if name in each.opts), None)


def _takes_value(option: Any) -> bool:
    return not option.is_flag and not getattr(option, "count", False)


def _values(place: _Place) -> Iterator[Candidate]:
    if place.option is not None:
        yield from values_of(place.option, place.path)


def _options(command: Any) -> Iterator[Candidate]:
    for each in command.params:
        if each.param_type_name == "option" and not each.hidden:
            help_text = (each.help or "").split("\n")[0]
            for text in (*each.opts, *each.secondary_opts):
                yield Candidate(text, help_text)
    yield Candidate("--help", "Show this message and exit.")


def _summary(command: Any) -> str:
    text = command.help or ""
    return " ".join(text.split("\n\n")[0].split())
