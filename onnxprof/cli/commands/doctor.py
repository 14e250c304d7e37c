"""`onnxprof doctor`: which backends and devices work here, and what the others need."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import deliver_document, note

if TYPE_CHECKING:
    from onnxprof.cli.defaults.found import File


class Format(StrEnum):
    """How to print a diagnosis."""

    TABLE = "table"
    JSON = "json"


def doctor(
    format_: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = (
        Format.TABLE
    ),
    as_json: Json = False,
    conformance: Annotated[
        bool,
        typer.Option("--conformance", help="Run the tests that backends have; half a minute."),
    ] = False,
) -> None:
    """Say which backends and devices work here and, for those that do not, what to install.

    Exit code 0 if at least one backend works, else 1.
    """
    from onnxprof.api.publishing import folders_used
    from onnxprof.cli.defaults.found import in_force
    from onnxprof.doctor import diagnose, self_tests
    from onnxprof.publish.diagnosis.lines import lines
    from onnxprof.publish.json.tools import doctor as document
    from onnxprof.runtimes.overlay import kept

    file = in_force()
    _check(file)
    diagnosis = diagnose(folders_used(), kept())
    tests = self_tests() if conformance else ()
    if as_json or format_ is Format.JSON:
        deliver_document(document(diagnosis, tests, str(file.path) if file else ""))
    else:
        typer.echo("\n".join(lines(diagnosis, tests, str(file.path) if file else "")))
    if not diagnosis.works:
        note('No backend works here: pip install "onnxprof[cpu]"')
        raise typer.Exit(1)


def _check(file: File | None) -> None:
    """Look at every table of the file of defaults. Raises UsageError for what is wrong in it."""
    from onnxprof.cli.defaults.values import check_tables
    from onnxprof.cli.lazy import load
    from onnxprof.cli.main import COMMANDS

    if file is None:
        return
    check_tables(file, COMMANDS)
    for name in file.values:
        if name in COMMANDS:
            _check_command(file, [name], load(name, COMMANDS[name]))


def _check_command(file: File, path: list[str], command: Any) -> None:
    from onnxprof.cli.defaults.values import check_members, defaults_of, section_of
    from onnxprof.cli.lazy import loaded
    from onnxprof.cli.main import COMMANDS

    members = loaded(command)
    if not members:
        defaults_of(file, command, path, COMMANDS)
        return
    check_members(file, path, members)
    for name in section_of(file, path):
        _check_command(file, [*path, name], members[name])
