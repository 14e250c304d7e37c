"""`onnxprof doctor`: which backends and devices work here, and what the others need."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import deliver_document, note


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
    from onnxprof.cli.defaults.whole import check_all
    from onnxprof.doctor import diagnose, self_tests
    from onnxprof.publish.diagnosis.lines import lines
    from onnxprof.publish.json.tools import doctor as document

    file = in_force()
    check_all(file)
    diagnosis = diagnose(folders_used())
    tests = self_tests() if conformance else ()
    if as_json or format_ is Format.JSON:
        deliver_document(document(diagnosis, tests, str(file.path) if file else ""))
    else:
        typer.echo("\n".join(lines(diagnosis, tests, str(file.path) if file else "")))
    if not diagnosis.works:
        note('No backend works here: pip install "onnxprof[cpu]"')
        raise typer.Exit(1)
