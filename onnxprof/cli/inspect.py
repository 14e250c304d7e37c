"""`onnxprof inspect`: every layer of a model, with its shapes at a batch size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxprof.modelfile import ModelFile
    from onnxprof.records import LayerTable


def inspect(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An ONNX file, zoo:NAME, hub:NAME or hf:…")
    ],
    batch: Annotated[str, typer.Option(help="Batch sizes, as in 1,8.")] = "1",
    layout: Annotated[str, typer.Option(help="full or classic (six columns).")] = "full",
    format: Annotated[
        str, typer.Option(help="table, csv, json or md; by default that of the output file.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic axis.")
    ] = None,
) -> None:
    """List every layer with its operator, tensors, dtypes and shapes at a batch size."""
    from onnxprof.cli.options import parse_batches, parse_dims
    from onnxprof.inspector import inspect as inspect_model
    from onnxprof.modelfile import with_defaults

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    chosen = _choose(layout, format, output)
    opened = _opened(model)
    dims = with_defaults(opened, dims)
    tables = _distinct([inspect_model(opened, size, dims) for size in batches])
    _tell_obstacles(tables, opened, batches)
    _tell_doubts(tables, opened, dims)
    fed = _fed(opened, tables[0]) if chosen in ("table", "json") else {}
    _write(tables, opened.name, layout, chosen, output, opened.parameters, fed)


def _opened(model: str) -> ModelFile:
    from rich.console import Console

    from onnxprof.cli.fetching import fetching
    from onnxprof.modelfile import open_model

    with fetching(Console(stderr=True)) as progress:
        return open_model(model, progress)


def _fed(model: ModelFile, table: LayerTable) -> dict[str, str]:
    """What each input would be fed with; a bad declaration is told instead."""
    from onnxprof.contracts import ModelError
    from onnxprof.inputs import declared, feeds
    from onnxprof.modelfile import declared_fills

    try:
        return {name: str(feed) for name, feed in feeds(table, declared_fills(model)).items()}
    except ModelError as error:
        return dict.fromkeys((tensor.name for tensor in declared(table)), f"nothing: {error}")


def _choose(layout: str, given: str, output: Path | None) -> str:
    from onnxprof.cli.output import TABLES, file_format
    from onnxprof.contracts import UsageError

    if layout not in ("full", "classic"):
        raise UsageError(f"no layout {layout!r}", remedy="Choose full or classic")
    if given and given not in TABLES:
        raise UsageError(f"no format {given!r}", remedy=f"Choose {', '.join(TABLES)}")
    return file_format(given, output, TABLES, "table")


def _distinct(tables: Sequence[LayerTable]) -> list[LayerTable]:
    """Two batches that both fell back to the model's own give one table."""
    return list({table.batch: table for table in tables}.values())


def _tell_obstacles(
    tables: Sequence[LayerTable], model: ModelFile, batches: tuple[int, ...]
) -> None:
    from onnxprof.publish.text import printable

    for table in tables:
        if table.obstacle:
            asked = ", ".join(str(b) for b in batches if b != table.batch)
            note = f"note: {model.name} stays at batch {table.batch} ({asked} asked): "
            typer.echo(printable(note + table.obstacle), err=True)
    for note in dict.fromkeys(note for table in tables for note in table.notes):
        rest = "the sizes that the file declares are not used"
        typer.echo(printable(f"note: {model.name}: {note}; {rest}"), err=True)


def _tell_doubts(tables: Sequence[LayerTable], model: ModelFile, dims: Mapping[str, int]) -> None:
    """What shapes cannot tell of another batch than the file's own."""
    from onnxprof.modelfile import doubt
    from onnxprof.publish.text import printable

    doubts = (doubt(model, table.batch, dims) for table in tables)
    for text in dict.fromkeys(text for text in doubts if text):
        typer.echo(printable(f"note: {model.name}: {text}"), err=True)


def _write(
    tables: Sequence[LayerTable],
    name: str,
    layout: str,
    chosen: str,
    output: Path | None,
    parameters: int,
    fed: dict[str, str],
) -> None:
    from onnxprof.publish import layertable

    if chosen == "table":
        text = _terminal(tables, name, layout, parameters, output, fed)
    elif chosen == "csv":
        text = layertable.to_csv(tables, layout)
    elif chosen == "json":
        text = layertable.to_json(tables, layout, name, fed)
    else:
        text = layertable.to_markdown(tables, layout, name)
    if output is not None:
        _save(text, output)
    elif text:
        typer.echo(text.encode("utf-8", "backslashreplace"), nl=False)


def _terminal(
    tables: Sequence[LayerTable],
    name: str,
    layout: str,
    parameters: int,
    output: Path | None,
    fed: dict[str, str],
) -> str:
    """Print the tables, or give their text where it goes to a file."""
    import io

    from rich.console import Console

    from onnxprof.cli.output import stdout_console
    from onnxprof.publish import layertable
    from onnxprof.publish.text import printable

    buffer = io.StringIO()
    console = Console(file=buffer, width=120) if output else stdout_console(soft_wrap=False)
    for table in tables:
        console.print(layertable.to_table(table, layout, f"{name}, batch {table.batch}"))
        console.print(layertable.summary(table, parameters), highlight=False)
    for given, what in fed.items():
        console.print(printable(f"{given} is fed {what}"), highlight=False, markup=False)
    return buffer.getvalue()


def _save(text: str, output: Path) -> None:
    from onnxprof.contracts import UsageError

    try:
        output.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(output)) from None
