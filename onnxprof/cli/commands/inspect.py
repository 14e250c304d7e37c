"""`onnxprof inspect`: every layer of a model, with its shapes at a batch size."""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from onnxprof.cost.symbolic import SymbolicCost
    from onnxprof.model.file import ModelFile
    from onnxprof.model.sources.policy import Resolved
    from onnxprof.records.cost import LayerCost
    from onnxprof.records.layer import LayerTable

#: In place of a format: the document of `--json`.
_DOCUMENT = "document"


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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
    alive: Annotated[
        bool, typer.Option("--alive", help="What is in memory while each layer runs.")
    ] = False,
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic axis.")
    ] = None,
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
    from functools import partial

    from onnxprof.cli.options import memory_limit, parse_batches, parse_dims
    from onnxprof.errors import UsageError
    from onnxprof.processes.confined import Limits, confined

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    chosen = _choose(layout, format, output, as_json, alive or symbolic)
    if layout == "classic" and cost:
        raise UsageError("the classic layout shows no costs", remedy="Leave --layout out")
    if symbolic:
        chosen = _DOCUMENT if as_json else chosen
        return _symbolic(model, cost, batches, dims, chosen, output, timeout, memory)
    work = partial(_seen, _resolved(model), batches, dims, cost)
    seen = confined(work, Limits(timeout, memory_limit(memory)), "reading it", model)
    _tell_obstacles(seen.tables, seen.name, batches)
    for doubt in seen.doubts:
        note(f"note: {seen.name}: {doubt}")
    if seen.unsized:
        note(f"note: {seen.name}: {seen.unsized}")
    if as_json:
        return deliver_document(_document(seen, cost, alive), output)
    if chosen == "xlsx":
        return deliver(_book(seen, layout, cost), output)
    if cost:
        return _write_costs(seen, chosen, output)
    if alive:
        return _write_alive(seen, chosen, output)
    fed = seen.fed if chosen in ("table", "json") else {}
    _write(seen.tables, seen.name, layout, chosen, output, seen.parameters, fed)


def _resolved(model: str) -> Resolved:
    from onnxprof.cli.progress import fetching
    from onnxprof.model.sources.resolve import resolve

    with fetching() as progress:
        found = resolve(model, progress)
    detail(f"{model} is {found.path}")
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """Facts of a model that the output shows."""

    name: str
    tables: list[LayerTable]
    parameters: int
    fed: dict[str, str]
    costs: list[tuple[LayerCost, ...]]
    """One for each table, where they were asked for."""
    doubts: tuple[str, ...]
    """Reasons why shapes alone do not prove a batch, see `onnxprof.model.file.doubt`."""
    unsized: str = ""
    """The axes whose sizes costs need, with an option that gives them."""


def _seen(file: Resolved, batches: tuple[int, ...], dims: dict[str, int], cost: bool) -> _Seen:
    """Open and inspect the file: the work that an untrusted file can make long."""
    from onnxprof.model.file import doubt, open_found, with_defaults
    from onnxprof.model.layers import inspect

    opened = open_found(file)
    sizes = with_defaults(opened, dims)
    tables = _distinct([inspect(opened, size, sizes) for size in batches])
    doubts = dict.fromkeys(doubt(opened, table.batch, sizes) for table in tables)
    open_points = tuple(text for text in doubts if text)
    fed = {} if cost else _fed(opened, tables[0])
    counted = _counted(tables) if cost else []
    unsized = _unsized(opened, sizes) if cost else ""
    return _Seen(opened.name, tables, opened.parameters, fed, counted, open_points, unsized)


def _unsized(model: ModelFile, sizes: dict[str, int]) -> str:
    """Which axes have no size, and what to add, as `profile` says it; empty where all have one."""
    from onnxprof.errors import UsageError
    from onnxprof.model.suggestion import refuse_missing

    try:
        refuse_missing(model, sizes)
    except UsageError as error:
        return f"{error.what}. {error.remedy}"
    return ""


def _counted(tables: Sequence[LayerTable]) -> list[tuple[LayerCost, ...]]:
    from onnxprof.cost.count import costs

    return [costs(table) for table in tables]


def _fed(model: ModelFile, table: LayerTable) -> dict[str, str]:
    """The values that each input would get, in words; the error for an invalid declaration."""
    from onnxprof.errors import ModelError
    from onnxprof.model.feeds import declared, feeds
    from onnxprof.model.file import declared_fills

    try:
        return {name: str(feed) for name, feed in feeds(table, declared_fills(model)).items()}
    except ModelError as error:
        return dict.fromkeys((tensor.name for tensor in declared(table)), f"nothing: {error}")


def _choose(layout: str, given: str, output: Path | None, as_json: bool, no_book: bool) -> str:
    from onnxprof.cli.books import check_book
    from onnxprof.errors import UsageError

    if layout not in ("full", "classic"):
        raise UsageError(f"no layout {layout!r}", remedy="Choose full or classic")
    if layout == "classic" and as_json:
        raise UsageError("--json has all columns", remedy="Leave --layout out")
    chosen = file_format(given, output, TABLES if no_book else BOOKS, "table", as_json)
    return check_book(chosen, output)


def _document(seen: _Seen, cost: bool, alive: bool) -> Mapping[str, Any]:
    from onnxprof.publish.json import inspected

    if cost:
        return inspected.costed(list(zip(seen.tables, seen.costs, strict=True)), seen.name)
    if alive:
        return inspected.alive(seen.tables, seen.name, _channel_block())
    return inspected.inspected(seen.tables, seen.name, seen.parameters, seen.fed)


def _book(seen: _Seen, layout: str, cost: bool) -> bytes:
    from onnxprof.publish.workbook.models import costs_book, layers_book

    if cost:
        return costs_book(list(zip(seen.tables, seen.costs, strict=True)), seen.name)
    return layers_book(seen.tables, layout, seen.name)


def _distinct(tables: Sequence[LayerTable]) -> list[LayerTable]:
    """The tables without repeats, which arise where batches fall back to the file's own."""
    return list({table.batch: table for table in tables}.values())


def _tell_obstacles(tables: Sequence[LayerTable], name: str, batches: tuple[int, ...]) -> None:
    for table in tables:
        if table.obstacle:
            asked = ", ".join(str(b) for b in batches if b != table.batch)
            note(f"note: {name} stays at batch {table.batch} ({asked} asked): {table.obstacle}")
    for text in dict.fromkeys(text for table in tables for text in table.notes):
        rest = "the sizes that the file declares are not used"
        note(f"note: {name}: {text}; {rest}")


def _write(
    tables: Sequence[LayerTable],
    name: str,
    layout: str,
    chosen: str,
    output: Path | None,
    parameters: int,
    fed: dict[str, str],
) -> None:
    from onnxprof.publish.tables import layers

    if chosen == "table":
        parts = _parts(tables, name, layout, parameters, fed)
        if output is None:
            return display(*parts)
        text = plain_text(*parts, width=120)
    elif chosen == "csv":
        text = layers.to_csv(tables, layout)
    elif chosen == "json":
        text = layers.to_json(tables, layout, name, fed)
    else:
        text = layers.to_markdown(tables, layout, name)
    deliver(text, output)


def _symbolic(
    model: str,
    cost: bool,
    batches: tuple[int, ...],
    dims: dict[str, int],
    chosen: str,
    output: Path | None,
    timeout: float,
    memory: float,
) -> None:
    """Costs in the free axes; their sums at the sizes given."""
    from functools import partial

    from onnxprof.cli.options import memory_limit
    from onnxprof.errors import UsageError
    from onnxprof.processes.confined import Limits, confined
    from onnxprof.publish.reasons import symbolic_costs as tables

    if not cost:
        raise UsageError("--symbolic goes with --cost", remedy="Add --cost")
    work = partial(_expressed, _resolved(model), dims)
    limits = Limits(timeout, memory_limit(memory))
    name, found, note_text = confined(work, limits, "reading it", model)
    if note_text:
        note(f"note: {name}: {note_text}")
    points = _points(found, batches)
    if chosen == "csv":
        return deliver(tables.to_csv(found), output)
    if chosen == _DOCUMENT:
        from onnxprof.publish.json.inspected import symbolic

        return deliver_document(symbolic(found, name, points), output)
    if chosen == "json":
        return deliver(tables.to_json(found, name, points), output)
    if chosen == "md":
        return deliver(tables.to_markdown(found, name), output)
    axes = ", ".join(axis.name for axis in found.axes) or "no free axes"
    parts = (tables.to_table(found, f"{name}, in {axes}"), tables.summary(found, points))
    if output is None:
        return display(*parts)
    deliver(plain_text(*parts, width=120), output)


def _expressed(file: Resolved, dims: dict[str, int]) -> tuple[str, SymbolicCost, str]:
    """(name, costs as expressions, why the batch is none of their axes)."""
    from onnxprof.model.costs import symbolic_costs
    from onnxprof.model.file import open_found

    opened = open_found(file)
    found = symbolic_costs(opened, dims)
    return opened.name, found, f"its batch is fixed: {found.obstacle}" if found.obstacle else ""


def _points(found: SymbolicCost, batches: tuple[int, ...]) -> list[dict[str, int]]:
    """The sizes at which sums are shown: those of `--dim` or the usual ones, at each batch."""
    usual = {axis.name: axis.base for axis in found.axes}
    if "batch" not in usual:
        return [usual]
    return [{**usual, "batch": batch} for batch in batches]


def _write_costs(seen: _Seen, chosen: str, output: Path | None) -> None:
    from onnxprof.publish.reasons import costs

    costed = list(zip(seen.tables, seen.costs, strict=True))
    if chosen == "table":
        parts = _cost_parts(seen)
        if output is None:
            return display(*parts)
        text = plain_text(*parts, width=120)
    elif chosen == "csv":
        text = costs.to_csv(costed)
    elif chosen == "json":
        text = costs.to_json(costed, seen.name)
    else:
        text = costs.to_markdown(costed, seen.name)
    deliver(text, output)


def _cost_parts(seen: _Seen) -> Iterator[RenderableType]:
    """Each table with its sums by operator and in words."""
    from onnxprof.publish.reasons import costs

    for table, counted in zip(seen.tables, seen.costs, strict=True):
        sizes = "".join(f", {name} {size}" for name, size in table.dims)
        yield costs.to_table(table, counted, f"{seen.name}, batch {table.batch}{sizes}")
        yield costs.sums_table(table, counted)
        yield costs.summary(counted)


def _channel_block() -> int:
    """How many channels lie together in memory on this machine's processor."""
    from onnxprof.analysis.memory.prediction import channel_block
    from onnxprof.machine.cpu import cpu_device

    return channel_block(cpu_device().features)


def _write_alive(seen: _Seen, chosen: str, output: Path | None) -> None:
    from onnxprof.analysis.memory.alive import alive_in_table
    from onnxprof.publish.reasons import alive

    block = _channel_block()
    if chosen == "csv":
        return deliver(alive.to_csv(seen.tables), output)
    if chosen == "json":
        return deliver(alive.to_json(seen.tables, seen.name, block), output)
    if chosen == "md":
        return deliver(alive.to_markdown(seen.tables, seen.name), output)
    parts: list[RenderableType] = []
    for table in seen.tables:
        found = alive_in_table(table)
        parts.append(alive.to_table(found, f"{seen.name}, batch {table.batch}"))
        parts.append(alive.summary(table, found, block))
    return display(*parts) if output is None else deliver(plain_text(*parts, width=120), output)


def _parts(
    tables: Sequence[LayerTable], name: str, layout: str, parameters: int, fed: dict[str, str]
) -> Iterator[RenderableType]:
    """Each table with its summary line, then the values that the inputs get."""
    from onnxprof.publish.tables import layers
    from onnxprof.publish.text.safe import printable

    for table in tables:
        yield layers.to_table(table, layout, f"{name}, batch {table.batch}")
        yield layers.summary(table, parameters)
    for given, what in fed.items():
        yield printable(f"{given} is fed {what}")
