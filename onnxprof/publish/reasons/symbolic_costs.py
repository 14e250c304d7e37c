"""What layers cost in the sizes of free axes, as terminal table, CSV, JSON or Markdown.

Expressions are Python's; an unknown one is blank in CSV and null in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.cost.count import total
from onnxprof.cost.symbolic import SymbolicCost, SymbolicLayer, sum_of
from onnxprof.publish.reasons.costs import KINDS, WORDS, listed
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.numbers import scaled
from onnxprof.publish.text.safe import in_json, in_markdown, printable
from onnxprof.records.cost import limit

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

COLUMNS = (
    *("layer_name", "op_type", "domain", "parent", "flops", *KINDS, "read_bytes"),
    *("written_bytes", "parameters", "times", "unknown", "bound", "left_out"),
)


def rows(cost: SymbolicCost) -> Iterator[tuple[object, ...]]:
    """A row of `COLUMNS` for each layer."""
    for one in cost.layers:
        layer, work = one.sized.layer, one.work
        kinds = (None,) * 7 if work is None else (work.flops, *work.kinds())
        yield (
            *(layer.name, layer.op_type, layer.domain, layer.parent),
            *(None if kind is None else str(kind) for kind in kinds),
            *map(str, _bytes(one)),
            one.parameters,
            None if one.times.count is None else str(one.times.count),
            *(one.unknown, one.bound, one.left_out),
        )


def _bytes(one: SymbolicLayer) -> tuple[object, object]:
    moved = one.moved.values()
    return sum_of(read for read, _ in moved), sum_of(written for _, written in moved)


def to_csv(cost: SymbolicCost) -> str:
    """A row a layer."""
    return csv_text(COLUMNS, rows(cost))


def to_json(cost: SymbolicCost, model: str, points: Sequence[Mapping[str, int]]) -> str:
    """The axes, the sum, each layer, and the sums at some sizes."""
    whole = plain(cost, model, points)
    return in_json(json.dumps(whole, indent=1, ensure_ascii=False)) + "\n"


def plain(cost: SymbolicCost, model: str, points: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    """The same as dicts, lists, texts and numbers."""
    return {
        "model": model,
        "axes": [axis.name for axis in cost.axes],
        "names_in_file": {axis.name: axis.source or axis.name for axis in cost.axes},
        "total": dict(_totals(cost)),
        "at_least": bool(cost.unknown()),
        "at_most": bool(cost.bounds()),
        "evaluated": [{"sizes": dict(point), **_evaluated(cost, point)} for point in points],
        "layers": [dict(zip(COLUMNS, row, strict=True)) for row in rows(cost)],
    }


def _totals(cost: SymbolicCost) -> Iterator[tuple[str, str]]:
    work, (read, written) = cost.work(), cost.bytes()
    yield "flops", str(work.flops)
    yield from zip(KINDS, map(str, work.kinds()), strict=True)
    yield "read_bytes", str(read)
    yield "written_bytes", str(written)


def _evaluated(cost: SymbolicCost, point: Mapping[str, int]) -> dict[str, int]:
    sums = total(cost.at(point))
    return {"macs": sums.operations.macs, "flops": sums.operations.flops, "bytes": sums.bytes}


def to_markdown(cost: SymbolicCost, model: str) -> str:
    """The table of layers under a heading, with the sum as its last row."""
    heads = ("layer", "operator", "MACs", "FLOPs", "bytes read", "bytes written")
    body: list[tuple[object, ...]] = [
        (row[0], row[1], row[5], row[4], row[11], row[12]) for row in rows(cost)
    ]
    sums = dict(_totals(cost))
    names = ("macs", "flops", "read_bytes", "written_bytes")
    body.append(("total", "", *(sums[name] for name in names)))
    lines = [f"## {in_markdown(model)}", "", f"| {' | '.join(heads)} |", "|" + " --- |" * 6]
    lines += [f"| {' | '.join(in_markdown(str(cell or '')) for cell in row)} |" for row in body]
    return "\n".join([*lines, ""])


def parts(
    cost: SymbolicCost, name: str, points: Sequence[Mapping[str, int]]
) -> tuple[RenderableType, ...]:
    """The table under the model's name and free axes, and the sums in words."""
    axes = ", ".join(axis.name for axis in cost.axes) or "no free axes"
    return to_table(cost, f"{name}, in {axes}"), summary(cost, points)


def to_table(cost: SymbolicCost, title: str) -> Table:
    """A row for each layer that computes or moves something, for 80 columns."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(
        title=Text(printable(title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=True,
    )
    grid.add_column("layer", overflow="fold", ratio=2)
    grid.add_column("cost", overflow="fold", ratio=4)
    for one in cost.layers:
        if lines := list(_lines(one)):
            name, operator = one.name, one.sized.layer.op_type
            grid.add_row(Text(printable(f"{name}\n {operator}", keep="\n")), Text("\n".join(lines)))
    return grid


def _lines(one: SymbolicLayer) -> Iterator[str]:
    """Multiply-accumulates, FLOPs and bytes where there are any, and what is not known."""
    if one.left_out:
        yield f"left out: {printable(one.left_out)}"
    if one.work is not None:
        if one.work.macs != 0:
            yield printable(f"MACs  {one.work.macs}")
        if one.work.flops != 0:
            yield printable(f"FLOPs {one.work.flops}")
    read, written = _bytes(one)
    if read != 0 or written != 0:
        yield printable(f"bytes {sum_of((read, written))}")
    if one.unknown:
        yield printable(f"not known: {one.unknown}")
    if one.bound:
        yield printable(f"at most: {one.bound}")


def summary(cost: SymbolicCost, points: Sequence[Mapping[str, int]]) -> str:
    """The sums as expressions, and their values at some sizes."""
    work, (read, written) = cost.work(), cost.bytes()
    missing, bounds = cost.unknown(), cost.bounds()
    figures = {"MACs": work.macs, "FLOPs": work.flops, "bytes": read + written}
    lines = []
    for name, size in figures.items():
        words = _limit_words(cost, size)
        lines.append(f"{name} {words}: {size}" if words else f"{name}: {size}")
    for point in points:
        sums = _evaluated(cost, point)
        sizes = ", ".join(f"{name} {size}" for name, size in point.items())
        values = (
            (sums["macs"], f"{scaled(sums['macs'])} MACs"),
            (sums["flops"], scaled(sums["flops"], "FLOP")),
            (sums["bytes"], scaled(sums["bytes"], "B")),
        )
        every = ", ".join(f"{_limit_words(cost, n)} {text}".strip() for n, text in values)
        lines.append(f"at {sizes or 'any size'}: {every}")
    lines += [f"{a.name} is the axis {a.source!r}" for a in cost.axes if a.source]
    lines += [f"sizes of {a.name}: multiples of {a.step}" for a in cost.axes if a.step > 1]
    lines += [*listed("not known", missing), *listed("at most", bounds)]
    return "\n".join(printable(line) for line in lines)


def _limit_words(cost: SymbolicCost, size: object) -> str:
    """What stands beside a sum that is a limit; nothing of a sum of zero is the most it can be."""
    return WORDS[limit(bool(cost.unknown()), bool(cost.bounds()) and size != 0)].rstrip()
