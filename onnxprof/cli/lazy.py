"""A command group that imports a command when it is used, not when help lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Lazy:
    """The place of a command, and its help line until it is imported."""

    module: str
    attribute: str
    """A function, or a `typer.Typer` of subcommands."""
    help: str
    is_made: bool = False
    """Whether `attribute` is a function that returns the command's function."""


class _Placeholder(TyperCommand):
    """A command in the group's list that is not imported yet; never invoked."""


class InterruptedCommandError(Exception):
    """A command was interrupted; on a KeyboardInterrupt typer would exit without a message."""


class LazyGroup(TyperGroup):
    """Lists the commands of `table` without importing them."""

    table: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.table.items():
            self.add_command(_Placeholder(name, help=entry.help), name)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, see `_spare`."""
        return _spared(super().get_params, ctx)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises InterruptedCommandError on an interrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedCommandError from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command and replace its placeholder."""
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, _Placeholder) and name is not None:
            command = load(name, self.table[name])
            self.commands[name] = command
        return name, command, rest


def lazy_group(table: Mapping[str, Lazy]) -> type[LazyGroup]:
    """The class to pass as `cls` to a `typer.Typer` that has these commands."""
    return type("LazyGroup", (LazyGroup,), {"table": table})


def load(name: str, entry: Lazy) -> Any:
    """Import a command. Its help is plain text, since importing rich takes most of the time."""
    target = getattr(import_module(entry.module), entry.attribute)
    if entry.is_made:
        target = target()
    if isinstance(target, typer.Typer):
        target.rich_markup_mode = None
        command: Any = get_group(target)
        command.name = name
    else:
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name)(target)
        command = get_command(app)
    _spare(command)
    return command


def _spare(command: Any) -> None:
    """Take values that are as declared without typer's coercion, which imports pydantic.

    That takes a fifth of the time of a short command.
    """
    for inner in getattr(command, "commands", {}).values():
        _spare(inner)
    command.get_params = partial(_spared, command.get_params)


def _spared(get_params: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    """A command's parameters, that for help included."""
    parameters = get_params(context)
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process, parameter, parameter.process_value)
    return parameters


def _process(parameter: Any, coerce: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    many = parameter.multiple or parameter.nargs != 1
    if value is None and not parameter.required:
        nothing = () if many else None
        callback = parameter.callback
        return nothing if callback is None else callback(context, parameter, nothing)
    return value if not many and _is_plain(parameter, value) else coerce(context, value)


def _is_plain(parameter: Any, value: Any) -> bool:
    """Whether coercion would leave a value alone: a default, or text that is to be text."""
    kind = _kind(parameter)
    known = kind is str or value == parameter.default
    return parameter.callback is None and type(value) is kind and known


def _kind(parameter: Any) -> type | None:
    """The plain type that a parameter is declared with; None for any other, and for choices."""
    declared: Any = getattr(parameter, "type_descriptor", None)
    special = getattr(declared, "parameter_info", None)
    if special is None or special.parser is not None:
        return None
    kind = declared.annotation
    return kind if kind in (str, int, float) else None
