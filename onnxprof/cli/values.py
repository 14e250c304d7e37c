"""Command-line values whose conversion is plain, taken without typer's, which imports pydantic.

That import takes a quarter of the time of a short command. A value that is not plain, and so every
value that is refused, goes to typer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin

_NOT_PLAIN = object()
_WHOLE = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,15})?")


def spared(get_params: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    """A command's parameters, that for help included, which convert plain values themselves."""
    parameters = get_params(context)
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process, parameter, parameter.process_value)
    return parameters


def _process(parameter: Any, coerce: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    if value is None and not parameter.required:
        many = parameter.multiple or parameter.nargs != 1
        plain: Any = () if many else None
    else:
        plain = _plain(parameter, value)
    if plain is _NOT_PLAIN:
        _refuse_choice(parameter, context, value)
        return _bounded(parameter, context, coerce(context, value))
    callback = parameter.callback
    return plain if callback is None else callback(context, parameter, plain)


def _refuse_choice(parameter: Any, context: Any, value: Any) -> None:
    """Raise BadParameter for a text that is none of a parameter's choices, with the closest."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if not (isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str)):
        return
    known = [each.value for each in kind]
    if value not in known:
        import typer

        from onnxprof.errors import choices, did_you_mean

        meant = f"no such value: {value!r}. {did_you_mean(value, known)}Choose {choices(known)}"
        raise typer.BadParameter(meant, context, parameter)


def _bounded(parameter: Any, context: Any, value: Any) -> Any:
    """The value. Raises BadParameter for a float that no command can use, such as inf."""
    if isinstance(value, float):
        import typer

        from onnxprof.jobs.options import LARGEST

        if value > LARGEST:
            what = f"{value:g} is more than {LARGEST:.0f}."
            raise typer.BadParameter(what, context, parameter)
    return value


def _plain(parameter: Any, value: Any) -> Any:
    """What conversion makes of a value; _NOT_PLAIN where that is left to typer."""
    declared: Any = getattr(parameter, "type_descriptor", None)
    special = getattr(declared, "parameter_info", None)
    if special is None or special.parser is not None:
        return _NOT_PLAIN
    kind = declared.annotation
    if get_origin(kind) is not list:
        return _single(kind, special, value)
    if type(value) not in (list, tuple) or not value:
        return _NOT_PLAIN
    items = [_single(get_args(kind)[0], special, item) for item in value]
    return _NOT_PLAIN if any(item is _NOT_PLAIN for item in items) else items


def _single(kind: Any, special: Any, value: Any) -> Any:
    if kind in (int, float):
        number = _number(kind, value)
        return number if _is_within(special, number) else _NOT_PLAIN
    if type(value) is kind and kind in (str, bool):
        return value
    if not isinstance(kind, type) or not isinstance(value, str):
        return _NOT_PLAIN
    if issubclass(kind, StrEnum):
        return kind(value) if value in {each.value for each in kind} else _NOT_PLAIN
    return Path(value) if kind is Path and _is_any_path(special, value) else _NOT_PLAIN


def _number(kind: type, value: Any) -> Any:
    if type(value) is kind:
        return value
    form = _WHOLE if kind is int else _DECIMAL
    return kind(value) if type(value) is str and form.fullmatch(value) else _NOT_PLAIN


def _is_within(special: Any, number: Any) -> bool:
    if number is _NOT_PLAIN:
        return False
    least, most = special.min, special.max
    return (least is None or number >= least) and (most is None or number <= most)


def _is_any_path(special: Any, value: str) -> bool:
    """Whether a path is declared without conditions, but for being readable where it exists."""
    asked = (special.exists, special.writable, special.resolve_path, special.allow_dash)
    free = special.file_okay and special.dir_okay and special.path_type is None
    return free and not any(asked) and (os.access(value, os.R_OK) or not os.path.exists(value))
