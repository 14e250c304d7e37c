"""What a file of defaults gives the options of a command, each key and type checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.cli.defaults.found import File
from onnxprof.errors import UsageError, did_you_mean

#: The one option that stands above all tables: it holds for every command that has it.
EVERYWHERE = ("store",)
#: Options whose relative paths are meant from the folder of the file.
_PATHS = ("store", "out", "output", "inputs", "apply")
#: Options with a variable of their own, which the file does not overrule.
_VARIABLES = {"store": folders.STORE}
#: Options that change what a script reads or does without being asked.
_NEVER = ("json", "help", "verbose", "version")


def options_of(command: Any) -> dict[str, Any]:
    """The options of a command that a file may set, by their long names without dashes."""
    names = {
        text.removeprefix("--"): parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.expose_value
        for text in parameter.opts
        if text.startswith("--")
    }
    return {name: option for name, option in names.items() if name not in _NEVER}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a file gives a command, by the names of its parameters."""

    file: File
    values: dict[str, Any]
    keys: Mapping[str, tuple[str, ...]]
    """Where in the file each of them stands."""

    def where(self, parameter: str) -> str:
        """The place of a parameter's value, for messages."""
        return self.file.where(*self.keys[parameter])


def defaults_of(
    file: File, command: Any, path: Sequence[str], commands: Mapping[str, Any]
) -> Defaults:
    """The defaults of a command.

    `path` are the words of the command, `commands` those of the first level. Raises UsageError,
    with the line, for what the file has wrong there.
    """
    check_tables(file, commands)
    options = options_of(command)
    section = section_of(file, path)
    given: dict[str, tuple[tuple[str, ...], Any]] = {
        name: ((name,), file.values[name])
        for name in EVERYWHERE
        if name in file.values and name in options
    }
    given |= {name: ((*path, name), value) for name, value in section.items()}
    values, places = {}, {}
    for name, (keys, value) in given.items():
        option = _option(file, options, keys)
        checked = _value(file, option, keys, value)
        if not _is_overruled(name):
            values[option.name], places[option.name] = checked, tuple(keys)
    return Defaults(file, values, places)


def section_of(file: File, path: Sequence[str]) -> Mapping[str, Any]:
    """The table of a command or group; empty where the file has none.

    Raises UsageError where something else stands in its place.
    """
    section = file.values
    for depth, word in enumerate(path):
        inner = section.get(word, {})
        if not isinstance(inner, Mapping):
            keys = path[: depth + 1]
            raise UsageError(
                f"{'.'.join(keys)} is no table",
                where=file.where(*keys),
                remedy=f"Write [{'.'.join((*file.above, *keys))}]",
            )
        section = inner
    return section


def check_tables(file: File, commands: Mapping[str, Any]) -> None:
    """Raise UsageError for a key at the top of the file that is no command."""
    for name in file.values:
        if name not in commands and name not in EVERYWHERE:
            raise _unknown(file, (name,), [*EVERYWHERE, *commands], "no command or option")


def check_members(file: File, path: Sequence[str], members: Mapping[str, Any]) -> None:
    """Raise UsageError for a key in the table of a group that is none of its commands."""
    for name in section_of(file, path):
        if name not in members:
            raise _unknown(file, (*path, name), list(members), "no command")


def _option(file: File, options: Mapping[str, Any], keys: Sequence[str]) -> Any:
    if keys[-1] not in options:
        command = " ".join(keys[:-1])
        raise _unknown(file, keys, list(options), f"no option of {command}")
    return options[keys[-1]]


def _unknown(file: File, keys: Sequence[str], known: Sequence[str], what: str) -> UsageError:
    name = keys[-1]
    hint = did_you_mean(name, known)
    listed = ", ".join(known) or "nothing"
    return UsageError(
        f"{name!r} is {what}", where=file.where(*keys), remedy=f"{hint}Allowed: {listed}"
    )


def _is_overruled(name: str) -> bool:
    return bool(os.environ.get(_VARIABLES.get(name, ""), "").strip())


def _value(file: File, option: Any, keys: Sequence[str], value: Any) -> Any:
    """The value as a command line would give it. Raises UsageError for one of a wrong type."""
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise _wrong(file, keys, "true or false")
    if option.multiple:
        texts = _texts(value)
        if texts is None:
            raise _wrong(file, keys, "a list of texts")
        return [_placed(file, text) for text in texts] if keys[-1] in _PATHS else texts
    text = _text(value)
    if text is None:
        raise _wrong(file, keys, "a text or a number")
    return _placed(file, text) if keys[-1] in _PATHS else text


def _wrong(file: File, keys: Sequence[str], wanted: str) -> UsageError:
    return UsageError(f"{keys[-1]} is not {wanted}", where=file.where(*keys))


def _texts(value: Any) -> list[str] | None:
    """Several values: a list, one alone, or a table such as `dim = { sequence = 128 }`."""
    if isinstance(value, Mapping):
        value = [f"{name}={size}" for name, size in value.items()]
    every = value if isinstance(value, list) else [value]
    texts = [text for item in every if (text := _single(item)) is not None]
    return texts if len(texts) == len(every) else None


def _text(value: Any) -> str | None:
    """One value; a list, such as that of batch sizes, is joined by commas."""
    texts = _texts(value) if isinstance(value, list) else None
    return ",".join(texts) if texts else _single(value)


def _single(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _placed(file: File, text: str) -> str:
    """A relative path, from the folder of the file."""
    if not text or "://" in text or text.startswith("~") or text == "-":
        return text
    return str(file.path.absolute().parent / Path(text))
