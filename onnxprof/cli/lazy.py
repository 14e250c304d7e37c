"""A command group that imports a command when it is used, not when help lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from onnxprof.cli.sharing import share
from onnxprof.cli.values import spared


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
        """The parameters, see `onnxprof.cli.values`."""
        return spared(super().get_params, ctx)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises InterruptedCommandError on an interrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedCommandError from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command and replace its placeholder."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else member(self, name), rest


def lazy_group(table: Mapping[str, Lazy]) -> type[LazyGroup]:
    """The class to pass as `cls` to a `typer.Typer` that has these commands."""
    return type("LazyGroup", (LazyGroup,), {"table": table})


def member(group: Any, name: str) -> Any:
    """The command of a group, imported where it was not yet."""
    command = group.commands[name]
    if isinstance(command, _Placeholder):
        command = group.commands[name] = load(name, group.table[name])
    return command


def loaded(group: Any) -> dict[str, Any]:
    """The commands of a group, each imported; none for a command that has no others."""
    return {name: member(group, name) for name in getattr(group, "commands", {})}


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
    """Have a command and its subcommands convert plain values themselves, and share options."""
    for inner in getattr(command, "commands", {}).values():
        _spare(inner)
    command.get_params = partial(spared, command.get_params)
    if not hasattr(command, "commands") and not isinstance(command, _Placeholder):
        share(command)
