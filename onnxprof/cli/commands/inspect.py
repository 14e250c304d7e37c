"""`onnxprof inspect`: every layer of a model, with its shapes at a batch size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import (
    BOOKS,
    TABLES,
    deliver,
    deliver_document,
    detail,
    display,
    file_format,
    note,
    plain_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from onnxprof.api.reading import Expressed, Seen
    from onnxprof.model.sources.policy import Resolved

_Dims = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=SIZE", help="Size of a free axis: 128; 1,16; or past+new."),
]
_Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")]
_Phase = Annotated[
    str,
    typer.Option(
        metavar="KIND:SIZE",
        help="Of a model with states: at the sizes of prefill:512, decode:512 or steps:16.",
    ),
]


def inspect(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An ONNX file, zoo:NAME, hub:NAME or hf:…")
    ],
    batch: Annotated[str, typer.Option(help="Batch sizes, as in 1,8.")] = "1",
    layout: Annotated[str, typer.Option(help="full or classic (six columns).")] = "full",
    format: Annotated[
        str, typer.Option(help="table, csv, json, md or xlsx; else as the output file's name ends.")
    ] = "",
    as_json: Json = False,
    output: _Output = None,
    alive: Annotated[
        bool, typer.Option("--alive", help="What is in memory while each layer runs.")
    ] = False,
    dim: _Dims = None,
    phase: _Phase = "",
    cost: Annotated[
        bool, typer.Option("--cost", help="Show what each layer costs: operations, bytes.")
    ] = False,
    symbolic: Annotated[
        bool, typer.Option("--symbolic", help="With --cost: as expressions in the free axes.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which reading the model is given up.")
    ] = 900.0,
    memory: Annotated[
        float, typer.Option(min=0, help="GiB that reading it may use; 0 for what is free.")
    ] = 0.0,
) -> None:
    """List every layer with its operator, tensors, dtypes and shapes at a batch size.

    With --cost its multiply-accumulates, FLOPs, bytes, arithmetic intensity and parameters.
    """
    from onnxprof.api.reading import express, look
    from onnxprof.cli.options import memory_limit, parse_batches
    from onnxprof.model.dims.grammar import parse
    from onnxprof.processes.limits import Limits
    from onnxprof.sequences.grammar import single

    batches, dims = parse_batches(batch), tuple(parse(dim or []).items())
    phase = single(phase)
    chosen = _choose(layout, format, output, as_json, alive or symbolic)
    _refuse_alone(layout, cost, symbolic)
    limits = Limits(timeout, memory_limit(memory))
    if symbolic:
        made = express(_resolved(model), dims, limits, model, phase=phase)
        return _write_symbolic(made, batches, chosen, output, as_json)
    seen = look(_resolved(model), batches, dims, cost, limits, model, phase=phase)
    for text in seen.notes(batches):
        note(f"note: {text}")
    if as_json:
        return deliver_document(_document(seen, cost, alive), output)
    if chosen == "xlsx":
        return deliver(_book(seen, layout, cost), output)
    if cost:
        return _write_costs(seen, chosen, output)
    if alive:
        return _write_alive(seen, chosen, output)
    return _write(seen, layout, chosen, output)


def _resolved(model: str) -> Resolved:
    from onnxprof.cli.progress import fetching
    from onnxprof.model.sources.resolve import resolve

    with fetching() as progress:
        found = resolve(model, progress)
    detail(f"{model} is {found.path}")
    return found


def _choose(layout: str, given: str, output: Path | None, as_json: bool, no_book: bool) -> str:
    from onnxprof.cli.books import check_book
    from onnxprof.errors import UsageError, did_you_mean

    if layout not in ("full", "classic"):
        hint = did_you_mean(layout, ("full", "classic"))
        raise UsageError(f"no layout {layout!r}", remedy=f"{hint}Choose full or classic")
    if layout == "classic" and as_json:
        raise UsageError("--json has all columns", remedy="Leave --layout out")
    chosen = file_format(given, output, TABLES if no_book else BOOKS, "table", as_json)
    return check_book(chosen, output)


def _refuse_alone(layout: str, cost: bool, symbolic: bool) -> None:
    """Raise UsageError where --cost is not for the layout, or --symbolic stands without it."""
    from onnxprof.errors import UsageError

    if layout == "classic" and cost:
        raise UsageError("the classic layout shows no costs", remedy="Leave --layout out")
    if symbolic and not cost:
        raise UsageError("--symbolic goes with --cost", remedy="Add --cost")


def _document(seen: Seen, cost: bool, alive: bool) -> Mapping[str, Any]:
    from onnxprof.publish.json import inspected

    if cost:
        costed = list(zip(seen.tables, seen.costs, strict=True))
        return inspected.costed(costed, seen.name, seen.phase)
    if alive:
        return inspected.alive(seen.tables, seen.name, _channel_block(), seen.phase)
    return inspected.inspected(seen.tables, seen.name, seen.parameters, seen.fed, seen.phase)


def _book(seen: Seen, layout: str, cost: bool) -> bytes:
    from onnxprof.publish.workbook.models import costs_book, layers_book

    if cost:
        return costs_book(list(zip(seen.tables, seen.costs, strict=True)), seen.name)
    return layers_book(seen.tables, layout, seen.name)


def _write(seen: Seen, layout: str, chosen: str, output: Path | None) -> None:
    tables, name = seen.tables, seen.name
    from onnxprof.publish.tables import layers

    if chosen == "table":
        parts = layers.parts(tables, seen.title, layout, seen.parameters, seen.fed)
        if output is None:
            return display(*parts)
        text = plain_text(*parts, width=120)
    elif chosen == "csv":
        text = layers.to_csv(tables, layout)
    elif chosen == "json":
        text = layers.to_json(tables, layout, name, seen.fed)
    else:
        text = layers.to_markdown(tables, layout, seen.title)
    deliver(text, output)


def _write_symbolic(
    made: Expressed, batches: tuple[int, ...], chosen: str, output: Path | None, as_json: bool
) -> None:
    """Costs in the free axes; their sums at the sizes given."""
    from onnxprof.publish.reasons import symbolic_costs as tables

    name, found, points = made.name, made.cost, made.points(batches)
    if made.note:
        note(f"note: {name}: {made.note}")
    if as_json:
        from onnxprof.publish.json.inspected import symbolic

        return deliver_document(symbolic(found, name, points, made.phase), output)
    if chosen == "csv":
        return deliver(tables.to_csv(found), output)
    if chosen == "json":
        return deliver(tables.to_json(found, name, points), output)
    if chosen == "md":
        return deliver(tables.to_markdown(found, made.title), output)
    parts = tables.parts(found, made.title, points)
    if output is None:
        return display(*parts)
    deliver(plain_text(*parts, width=120), output)


def _write_costs(seen: Seen, chosen: str, output: Path | None) -> None:
    from onnxprof.publish.reasons import costs

    costed = list(zip(seen.tables, seen.costs, strict=True))
    if chosen == "table":
        parts = costs.parts(costed, seen.title)
        if output is None:
            return display(*parts)
        text = plain_text(*parts, width=120)
    elif chosen == "csv":
        text = costs.to_csv(costed)
    elif chosen == "json":
        text = costs.to_json(costed, seen.name)
    else:
        text = costs.to_markdown(costed, seen.title)
    deliver(text, output)


def _channel_block() -> int:
    """How many channels lie together in memory on this machine's processor."""
    from onnxprof.analysis.memory.prediction import channel_block
    from onnxprof.machine.cpu import cpu_device

    return channel_block(cpu_device().features)


def _write_alive(seen: Seen, chosen: str, output: Path | None) -> None:
    from onnxprof.analysis.memory.alive import alive_in_table
    from onnxprof.publish.reasons import alive

    block = _channel_block()
    if chosen == "csv":
        return deliver(alive.to_csv(seen.tables), output)
    if chosen == "json":
        return deliver(alive.to_json(seen.tables, seen.name, block), output)
    if chosen == "md":
        return deliver(alive.to_markdown(seen.tables, seen.title), output)
    parts: list[RenderableType] = []
    for table in seen.tables:
        found = alive_in_table(table)
        parts.append(alive.to_table(found, f"{seen.title}, {table.sizes}"))
        parts.append(alive.summary(table, found, block))
    return display(*parts) if output is None else deliver(plain_text(*parts, width=120), output)
