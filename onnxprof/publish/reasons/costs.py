"""What layers cost, as terminal table, CSV, JSON or Markdown.

An unknown figure is blank in CSV, null in JSON and `?` in the terminal; it is never zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnxprof.cost.count import total
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.numbers import scaled
from onnxprof.publish.text.safe import counted, in_json, in_markdown, printable
from onnxprof.records.cost import CostTotal, LayerCost, Limit, Role, limit
from onnxprof.records.layer import Layer, LayerTable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

#: Kinds of operations, as fields of `Operations`, and in words.
KINDS = {
    "macs": "multiply-accumulates",
    "adds": "additions",
    "multiplies": "products",
    "divisions": "quotients",
    "exponentials": "exponentials",
    "comparisons": "comparisons",
}
COLUMNS = (
    *("layer_name", "op_type", "domain", "parent", "flops", *KINDS),
    *("read_bytes", "written_bytes"),
    *(f"{role.value}_bytes" for role in Role),
    *("bytes_by_dtype", "flops_per_byte", "parameters", "times", "unknown", "bound", "left_out"),
)
#: What stands before a sum that is a limit.
WORDS = {
    Limit.EXACT: "",
    Limit.AT_LEAST: "at least ",
    Limit.AT_MOST: "at most ",
    Limit.NEITHER: "some ",
}
#: One table with its costs, which are in the order of its nodes.
Costed = tuple[LayerTable, Sequence[LayerCost]]
_SHOWN = 5


def rows(table: LayerTable, costs: Sequence[LayerCost]) -> Iterator[tuple[object, ...]]:
    """A row of `COLUMNS` for each layer; None where a figure is unknown."""
    for layer, cost in zip(table.nodes, costs, strict=True):
        work = cost.operations
        intensity = cost.intensity
        yield (
            *(layer.name, layer.op_type, layer.domain, layer.parent),
            *((None,) * 7 if work is None else (work.flops, *(getattr(work, k) for k in KINDS))),
            *(cost.read_bytes, cost.written_bytes),
            *(role_bytes(cost, role) for role in Role),
            ";".join(f"{name}={size}" for name, size in dtype_bytes(cost).items()),
            None if intensity is None else f"{intensity:.4g}",
            *(cost.parameters, cost.times, cost.unknown, cost.bound, cost.left_out),
        )


def role_bytes(cost: LayerCost | CostTotal, role: Role) -> int:
    """Bytes read and written of one role."""
    return sum(p.read_bytes + p.written_bytes for p in cost.traffic if p.role is role)


def dtype_bytes(cost: LayerCost | CostTotal) -> dict[str, int]:
    """Bytes read and written, by dtype."""
    found: dict[str, int] = {}
    for part in cost.traffic:
        moved = part.read_bytes + part.written_bytes
        found[part.dtype] = found.get(part.dtype, 0) + moved
    return found


def to_csv(costed: Sequence[Costed]) -> str:
    """A row a layer; several batches have a leading column `batch`."""
    if len(costed) == 1:
        return csv_text(COLUMNS, rows(*costed[0]))
    every = ((table.batch, *row) for table, costs in costed for row in rows(table, costs))
    return csv_text(("batch", *COLUMNS), every)


def to_json(costed: Sequence[Costed], model: str = "") -> str:
    """An object a batch: its layers, the sum, and sums by operator; a list of several."""
    made = [plain(table, costs, model) for table, costs in costed]
    text = json.dumps(made[0] if len(made) == 1 else made, indent=1, ensure_ascii=False)
    return in_json(text) + "\n"


def plain(table: LayerTable, costs: Sequence[LayerCost], model: str = "") -> dict[str, Any]:
    """The costs at one batch as dicts, lists and numbers."""
    return {
        "model": model,
        "batch": table.batch,
        "dims": dict(table.dims),
        "obstacle": table.obstacle,
        "total": _sum(total(costs)),
        "operators": {name: _sum(part) for name, part in by_operator(table.nodes, costs).items()},
        "layers": [_layer(cost) for cost in costs],
    }


def _layer(cost: LayerCost) -> dict[str, Any]:
    flops = None if cost.operations is None else cost.operations.flops
    return {**asdict(cost), "flops": flops, "flops_per_byte": cost.intensity}


def _sum(cost: CostTotal) -> dict[str, Any]:
    return {
        **asdict(cost),
        "flops": cost.operations.flops,
        "read_bytes": cost.read_bytes,
        "written_bytes": cost.written_bytes,
        "flops_per_byte": cost.intensity,
    }


def by_operator(layers: Sequence[Layer], costs: Sequence[LayerCost]) -> dict[str, CostTotal]:
    """Sums by operator, the one with most FLOPs first, then by bytes."""
    groups: dict[str, list[LayerCost]] = {}
    for layer, cost in zip(layers, costs, strict=True):
        name = f"{layer.domain}.{layer.op_type}" if layer.domain else layer.op_type
        groups.setdefault(name, []).append(cost)
    sums = {name: total(group) for name, group in groups.items()}
    order = sorted(sums.items(), key=lambda item: (-item[1].operations.flops, -item[1].bytes))
    return {name: part for name, part in order if part.layers or part.parameters}


def to_markdown(costed: Sequence[Costed], model: str = "") -> str:
    """The table of layers under a heading, with the sum as its last row."""
    return "\n".join(_markdown(table, costs, model) for table, costs in costed)


def _markdown(table: LayerTable, costs: Sequence[LayerCost], model: str) -> str:
    heads = ("layer", "operator", "MACs", "FLOPs", "bytes", "FLOPs a byte", "parameters")
    named = zip(table.nodes, costs, strict=True)
    body = [(layer.name, layer.op_type, *_figures(cost)) for layer, cost in named]
    body.append(("total", "", *_total_figures(total(costs))))
    title = f"## {in_markdown(model)}{' ' if model else ''}{in_markdown(table.sizes)}"
    lines = [title, "", f"| {' | '.join(heads)} |", f"| --- | --- |{' ---: |' * 5}"]
    lines += [f"| {' | '.join(in_markdown(cell) for cell in row)} |" for row in body]
    return "\n".join([*lines, ""])


def to_table(table: LayerTable, costs: Sequence[LayerCost], title: str = "") -> Table:
    """A row a layer, for 80 columns."""
    grid = _grid("layer", title)
    for layer, cost in zip(table.nodes, costs, strict=True):
        name = f"{layer.parent} > {layer.name}" if layer.parent else layer.name
        _add(grid, name, layer.op_type, _figures(cost))
    return grid


def sums_table(table: LayerTable, costs: Sequence[LayerCost]) -> Table:
    """A row an operator, and the sum."""
    grid = _grid("operator", "", "layers")
    for name, part in by_operator(table.nodes, costs).items():
        _add(grid, name, str(part.layers), _total_figures(part))
    whole = total(costs)
    grid.add_section()
    _add(grid, "total", str(whole.layers), _total_figures(whole))
    return grid


def _grid(first: str, title: str, second: str = "operator") -> Table:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(
        title=Text(printable(title)) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=True,
    )
    grid.add_column(first, overflow="fold", ratio=3)
    grid.add_column(
        second, overflow="fold", max_width=12, justify="left" if second == "operator" else "right"
    )
    for heading in ("MACs", "FLOPs", "bytes", "FLOP/B", "params"):
        grid.add_column(heading, justify="right", no_wrap=True)
    return grid


def _add(grid: Table, *cells: Any) -> None:
    from rich.text import Text

    first, second, figures = cells
    grid.add_row(*(Text(printable(cell)) for cell in (first, second, *figures)))


def _figures(cost: LayerCost) -> tuple[str, ...]:
    """MACs, FLOPs, bytes, intensity and parameters, marked where they are limits."""
    work, runs = cost.operations, limit(cost.times is None, bool(cost.bound))
    operations = ("?", "?")
    if work is not None:
        operations = (_marked(work.macs, runs), _marked(work.flops, runs))
    moved = _marked(cost.bytes, limit(cost.at_least, bool(cost.bound)), "B")
    cells = (*operations, moved, _intensity(cost.intensity))
    shown = tuple(f"({cell})" if cell and cost.left_out else cell for cell in cells)
    return (*shown, _marked(cost.parameters, Limit.EXACT))


def _total_figures(cost: CostTotal) -> tuple[str, ...]:
    work, bounded = cost.operations, cost.bounded
    macs = limit(cost.operations_at_least, bool(bounded.macs))
    return (
        _marked(work.macs, macs),
        _marked(work.flops, cost.operations_limit),
        _marked(cost.bytes, cost.bytes_limit, "B"),
        _intensity(cost.intensity),
        _marked(cost.parameters, Limit.EXACT),
    )


def _marked(value: int, mark: Limit, unit: str = "") -> str:
    """A figure with its mark; a known zero is blank, as in a table of many."""
    return (
        f"{mark}{scaled(value, unit)}" if value or mark in (Limit.AT_LEAST, Limit.NEITHER) else ""
    )


def _intensity(value: float | None) -> str:
    return f"{value:.3g}" if value else ""


def parts(costed: Sequence[Costed], name: str) -> Iterator[RenderableType]:
    """Each table with its sums by operator and in words."""
    for table, its in costed:
        sizes = "".join(f", {axis} {size}" for axis, size in table.dims)
        yield to_table(table, its, f"{name}, batch {table.batch}{sizes}")
        yield sums_table(table, its)
        yield summary(its)


def summary(costs: Sequence[LayerCost]) -> str:
    """The sum in words: operations by kind, bytes by role and dtype, and what is not known."""
    whole = total(costs)
    work = whole.operations
    kinds = [
        f"{scaled(getattr(work, kind))} {words}"
        for kind, words in KINDS.items()
        if getattr(work, kind)
    ]
    lines = [
        f"operations: {WORDS[whole.operations_limit]}{scaled(work.flops, 'FLOP')}"
        + (f", of {', '.join(kinds)}" if kinds else ""),
        f"bytes: {WORDS[whole.bytes_limit]}{scaled(whole.bytes, 'B')}; {_by_role(whole)}",
        *_by_dtype(whole),
        *listed("not known", whole.unknown),
        *listed("at most", whole.bounds),
        *listed("left out", [(c.layer, c.left_out) for c in costs if c.left_out]),
    ]
    return "\n".join(printable(line) for line in lines)


def _by_dtype(whole: CostTotal) -> Iterator[str]:
    """The line of dtypes, without those of which no byte is known to move; none without any."""
    moved = [(name, size) for name, size in dtype_bytes(whole).items() if size]
    if moved:
        yield "by dtype: " + ", ".join(f"{name} {scaled(size, 'B')}" for name, size in moved)


def _by_role(whole: CostTotal) -> str:
    parts = []
    for role in Role:
        read = sum(p.read_bytes for p in whole.traffic if p.role is role)
        written = sum(p.written_bytes for p in whole.traffic if p.role is role)
        if read or written:
            ways = [f"{scaled(read, 'B')} read"] if read else []
            ways += [f"{scaled(written, 'B')} written"] if written else []
            parts.append(f"{role.value} {' and '.join(ways)}")
    return "; ".join(parts) or "none"


def listed(head: str, found: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The first reasons, each with the first of its layers."""
    if not found:
        return
    yield f"{head}: {counted(len(found), 'layer', 'layers')}"
    reasons: dict[str, list[str]] = {}
    for layer, reason in found:
        reasons.setdefault(reason, []).append(layer)
    for reason, layers in [*reasons.items()][:_SHOWN]:
        more = f" and {counted(len(layers) - 1, 'other', 'others')}" if len(layers) > 1 else ""
        yield f"  {layers[0]}{more}: {reason}"
    if len(reasons) > _SHOWN:
        yield f"  and {counted(len(reasons) - _SHOWN, 'other reason', 'other reasons')}"
