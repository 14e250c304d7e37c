"""`onnxprof scenarios`: stored loads, listed, shown, and as systems against models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import Json, Stores
from onnxprof.cli.output import (
    TABLES,
    deliver,
    deliver_document,
    display,
    file_format,
    note,
    plain_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from onnxprof.records.scenarios.run import ScenarioRun

app = typer.Typer(help="List and show loads, and systems against models.", no_args_is_help=True)

_FORMATS = {name: TABLES[name] for name in ("table", "csv", "json")}

Format = Annotated[
    str, typer.Option("--format", help="table, csv or json; by default that of the output file.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")]


@app.command("list")
def list_(
    store: Stores = None, format_: Format = "", output: Output = None, as_json: Json = False
) -> None:
    """List stored runs under load, newest last."""
    from onnxprof.publish.tables import scenarios as shown

    runs = _stored(store)
    _write(runs, [shown.list_table(runs)] if runs else [], format_, output, as_json)


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(metavar="[RUN]", help="An id or its first digits, or a .json file.")
    ] = "",
    store: Stores = None,
    format_: Format = "",
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Show one run under load, the newest that matches."""
    from onnxprof.publish.tables import scenarios as shown
    from onnxprof.store.beside.scenarios import newest

    _, run = newest(_roots(store), what)
    _write([run], shown.summary(run), format_, output, as_json)


@app.command()
def matrix(
    store: Stores = None, format_: Format = "", output: Output = None, as_json: Json = False
) -> None:
    """Set systems against models, a table for each scenario."""
    from onnxprof.publish.tables import scenarios as shown

    runs = _stored(store)
    _write(runs, shown.matrix_tables(runs), format_, output, as_json)


def _roots(store: list[str] | None) -> list[Path]:
    from onnxprof import folders

    return [folders.store(folder) for folder in store] if store else [folders.store()]


def _stored(store: list[str] | None) -> list[ScenarioRun]:
    from onnxprof.store.beside.scenarios import stored
    from onnxprof.store.folder import tell

    roots = _roots(store)
    found, problems = stored(roots)
    tell(problems, note)
    if not found:
        where = ", ".join(map(str, roots))
        note(f"No runs under load in {where}. `onnxprof scenario MODEL` makes one.")
    return [run for _, run in found]


def _write(
    runs: list[ScenarioRun],
    parts: Iterable[RenderableType],
    given: str,
    output: Path | None,
    as_json: bool,
) -> None:
    from onnxprof.publish.json.loads import scenarios
    from onnxprof.publish.tables import scenarios as shown

    chosen = file_format(given, output, _FORMATS, "table", as_json)
    if as_json:
        return deliver_document(scenarios(runs), output)
    if chosen == "table" and output is None:
        return display(*parts)
    text = plain_text(*parts) if chosen == "table" else ""
    if chosen != "table":
        text = shown.to_csv(runs) if chosen == "csv" else shown.json_text(runs)
    deliver(text, output)
