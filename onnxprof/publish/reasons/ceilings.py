"""Ceilings of a device: tables for 80 columns, CSV of the points, JSON of both; lists of sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.publish.text import numbers, sentences
from onnxprof.publish.text.csv import csv_of_records
from onnxprof.publish.text.safe import in_json, printable, shortened
from onnxprof.publish.text.warnings import warning_text
from onnxprof.reasons import ceilings as derived
from onnxprof.reasons import datasheet
from onnxprof.records.ceilings import Ceilings, Point
from onnxprof.records.run import RUNTIME
from onnxprof.store.encoding import to_json

#: The columns of the CSV and the keys of a point in JSON, in order.
COLUMNS = (
    *("kind", "size", "precision", "flops", "moved_bytes", "working_set_bytes", "short", "long"),
    *("rounds", "ns", "low_ns", "high_ns", "gflops", "gbps", "counts", "executed", "refused"),
)
LISTED = (
    *("created", "device", "backend", "provider", "threads", "runtime"),
    *("float32_gflops", "main_gbps", "stale"),
)
_UNITS = {"int8": "GOP/s"}
_LONGEST = 32
_CALLS = ("one more node", "an empty call", "a call over 8 KiB")


@dataclass(frozen=True, slots=True)
class _Row:
    """A ceiling as a line of a table."""

    name: str
    ceiling: derived.Ceiling | None
    unit: str
    note: str = ""
    """The size of a level; why nothing was measured."""


def tables(ceilings: Ceilings) -> Iterator[RenderableType]:
    """Headline, arithmetic, memory, calls, and what is to be said of them."""
    yield Text(printable(_title(ceilings)), style="bold")
    yield Text(printable(_measured(ceilings)))
    sheet = dict(ceilings.datasheet)
    yield _table("arithmetic", _rates(ceilings), sheet)
    yield _table("memory", _levels(ceilings), sheet)
    yield _calls(ceilings)
    yield from (Text(printable(note)) for note in _notes(ceilings))


def _title(ceilings: Ceilings) -> str:
    key = ceilings.key
    plain = key.provider in ("", ceilings.device.kind)
    backend = key.backend if plain else f"{key.backend}, {key.provider}"
    runtime = dict(ceilings.environment).get(RUNTIME, key.backend)
    threads = sentences.threads(key.threads)
    return f"Ceilings of {ceilings.device.name} through {runtime} ({backend}), {threads}"


def _measured(ceilings: Ceilings) -> str:
    good = sum(not point.refused for point in ceilings.points)
    clock = dict(ceilings.environment).get("cpu.frequency", "")
    parts = [f"Measured {ceilings.created}", f"{good} of {len(ceilings.points)} graphs ran"]
    if ceilings.seconds:
        parts.append(f"{ceilings.seconds:.0f} s")
    return ", ".join([*parts, *([f"clock {clock}"] if clock else [])])


def _rates(ceilings: Ceilings) -> list[_Row]:
    return [
        _Row(
            name, ceiling, _UNITS.get(name, "GFLOP/s"), "" if ceiling else _refusal(ceilings, name)
        )
        for name in derived.precisions(ceilings)
        for ceiling in [derived.compute(ceilings, name)]
    ]


def _refusal(ceilings: Ceilings, precision: str) -> str:
    """Why no graph of a precision ran: what the first one met."""
    said = (p.refused for p in ceilings.points if p.precision == precision and p.flops)
    return next((text for text in said if text), "")


def _levels(ceilings: Ceilings) -> list[_Row]:
    return [
        _Row(
            level.name, level.ceiling, "GB/s", numbers.size(level.bytes) if level.bytes else "more"
        )
        for level in derived.levels(ceilings)
    ]


def _table(heading: str, rows: Sequence[_Row], sheet: dict[str, str]) -> RenderableType:
    is_memory = heading == "memory"
    given = [row.name for row in rows if row.name in sheet]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    columns: list[tuple[str, Literal["left", "right"]]] = [(heading, "left")]
    columns += [("up to", "right")] if is_memory else []
    columns += [("GB/s" if is_memory else "GFLOP/s", "right"), ("95 % interval", "left")]
    columns += [("datasheet", "left")] if given else []
    for name, justify in [*columns, ("by", "left")]:
        table.add_column(name, justify=justify, no_wrap=name != "by")
    for row in rows:
        cells = [row.name, *([row.note] if is_memory else []), *_figures(row)]
        cells += [_beside(row, sheet)] if given else []
        table.add_row(*(Text(printable(cell)) for cell in (*cells, _by(row))))
    return table


def _figures(row: _Row) -> tuple[str, str]:
    found = row.ceiling
    if found is None:
        return ("-", "")
    ends = f"{numbers.figure(found.low, numbers.PLAIN, 1)} - "
    ends += numbers.figure(found.high, numbers.PLAIN, 1) if found.high < 1e9 else "?"
    return (numbers.figure(found.best, numbers.PLAIN, 1) + ("" if found.is_sure else "?"), ends)


def _beside(row: _Row, sheet: dict[str, str]) -> str:
    """The vendor's figure, and how much of it is attained."""
    text = sheet.get(row.name, "")
    if not text or row.ceiling is None:
        return text
    return f"{text} ({100 * row.ceiling.best / datasheet.giga(text):.0f} %)"


def _by(row: _Row) -> str:
    if row.ceiling is None:
        return "refused, see below" if row.unit != "GB/s" else "nothing ran"
    point = row.ceiling.slope.point
    mixed = " (with Cast)" if "Cast" in point.executed else ""
    return f"{point.kind} {point.size}{mixed}"


def _calls(ceilings: Ceilings) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("calls", no_wrap=True)
    table.add_column("µs", justify="right", no_wrap=True)
    node = derived.node_ns(ceilings)
    least = node.best if node else None
    values = (least, derived.call_ns(ceilings), derived.small_call_ns(ceilings))
    for name, ns in zip(_CALLS, values, strict=True):
        table.add_row(name, "-" if ns is None else f"{ns / 1e3:.2f}")
    return table


def _notes(ceilings: Ceilings) -> Iterator[str]:
    yield (
        "The best over shapes and sizes, each of what one more copy of a layer takes; a"
        " multiply-add is two operations, each byte read or written counts once, and what a write"
        " makes the caches read first (write-allocation) is not counted."
    )
    rows = [*_rates(ceilings), *_levels(ceilings)]
    if unsure := [row.name for row in rows if row.ceiling and not row.ceiling.is_sure]:
        yield (
            f"? {', '.join(unsure)}: every graph was disturbed by more than"
            f" {100 * derived.WIDEST:.0f} %; measure again on a quiet machine with --again."
        )
    for row in _rates(ceilings):
        if row.ceiling is None:
            yield f"{row.name} is refused: {row.note}"
    yield from (f"! {warning_text(warning)}" for warning in ceilings.warnings)


def records(ceilings: Ceilings) -> list[dict[str, Any]]:
    """A dict a point with the keys of COLUMNS; None for what was not measured."""
    return [dict(zip(COLUMNS, _cells(point), strict=True)) for point in ceilings.points]


def _cells(point: Point) -> tuple[object, ...]:
    facts = (point.kind, point.size, point.precision, point.flops, point.moved_bytes)
    counts = (point.working_set_bytes, point.short, point.long, len(point.long_ns))
    if not point.short_ns:
        return (*facts, *counts, *(None,) * 6, point.executed, point.refused)
    found = derived.slope(point)
    ends = (round(found.ns, 1), round(found.low_ns, 1), round(found.high_ns, 1))
    rates = [
        round(n / found.ns, 3) if found.ns > 0 else None for n in (point.flops, point.moved_bytes)
    ]
    return (*facts, *counts, *ends, *rates, found.is_sure, point.executed, "")


def to_csv(ceilings: Ceilings) -> str:
    """A row a point."""
    return csv_of_records(COLUMNS, records(ceilings))


def json_text(ceilings: Ceilings) -> str:
    """The same as `plain`, as JSON."""
    return in_json(json.dumps(plain(ceilings), indent=2, ensure_ascii=False)) + "\n"


def plain(ceilings: Ceilings) -> dict[str, Any]:
    """The ceilings that were derived, every point with its samples, and what they hold for."""
    facts = to_json(ceilings)
    samples = facts.pop("points")
    points = [
        record | {"short_ns": point["short_ns"], "long_ns": point["long_ns"]}
        for record, point in zip(records(ceilings), samples, strict=True)
    ]
    node = derived.node_ns(ceilings)
    made = {
        "arithmetic": [_in_json(row, "gflops") for row in _rates(ceilings)],
        "memory": [_in_json(row, "gbps") for row in _levels(ceilings)],
        "node_ns": node and round(node.best, 1),
        "call_ns": derived.call_ns(ceilings),
        "small_call_ns": derived.small_call_ns(ceilings),
    }
    return {**made, **facts, "points": points}


def _in_json(row: _Row, unit: str) -> dict[str, Any]:
    found = row.ceiling
    made: dict[str, Any] = {"name": row.name, unit: None, "low": None, "high": None}
    if found is not None:
        high = round(found.high, 3) if found.high < 1e9 else None
        made |= {unit: round(found.best, 3), "low": round(found.low, 3), "high": high}
        made |= {"sure": found.is_sure, "kind": found.slope.point.kind}
        made |= {"size": found.slope.point.size}
    elif row.unit != "GB/s":
        made["refused"] = row.note
    return made


def listed(sets: Iterable[tuple[Ceilings, str]]) -> list[dict[str, Any]]:
    """A dict a stored set with the keys of LISTED; with why it is stale, empty where it is not."""
    return [_listed(ceilings, why) for ceilings, why in sets]


def _listed(ceilings: Ceilings, why: str) -> dict[str, Any]:
    rate, key = derived.compute(ceilings, "float32"), ceilings.key
    main = derived.levels(ceilings)[-1].ceiling
    cells = (
        *(ceilings.created, key.device_id, key.backend, key.provider, key.threads),
        dict(ceilings.environment).get(RUNTIME, ""),
        rate and round(rate.best, 1),
        main and round(main.best, 1),
        why,
    )
    return dict(zip(LISTED, cells, strict=True))


def list_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Stored sets, oldest first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("created", "device", "backend", "threads", "GFLOP/s", "GB/s", "state"):
        figure = name in ("threads", "GFLOP/s", "GB/s")
        table.add_column(name, justify="right" if figure else "left", overflow="fold")
    for row in rows:
        backend = row["backend"]
        if row["provider"] not in ("", row["device"].partition(":")[0]):
            backend = f"{backend} ({row['provider']})"
        figures = (row["float32_gflops"], row["main_gbps"])
        cells = (
            row["created"][:10],
            shortened(row["device"], _LONGEST),
            backend,
            str(row["threads"]),
            *("-" if value is None else f"{value:g}" for value in figures),
            "stale" if row["stale"] else "fresh",
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
