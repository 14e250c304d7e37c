"""A layer table as terminal table, CSV, JSON or Markdown, in the full or the classic layout.

The classic layout has six columns: graph inputs and initializers are `ConstantInput` with
blank names, and a Reshape's shape operand shows its resolved target as its shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from onnxprof.publish.tables.grid import Column, Grid
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.safe import (
    counted,
    in_json,
    printable,
    shape_text,
    tensor_text,
)
from onnxprof.records.layer import Dim, Layer, LayerKind, LayerTable, Tensor

CLASSIC = (
    "layer_name",
    "layer_type",
    "input_names",
    "output_names",
    "input_shapes",
    "output_shapes",
)
FULL = (
    "layer_name",
    "kind",
    "layer_type",
    "op_type",
    "domain",
    "opset",
    "input_names",
    "input_dtypes",
    "input_shapes",
    "output_names",
    "output_dtypes",
    "output_shapes",
    "attributes",
    "value",
    "given_name",
    "parent",
)
Row = tuple[str, ...]


def reshape_targets(table: LayerTable) -> dict[str, tuple[Dim, ...]]:
    """Shape operand of each Reshape to its target as resolved (0 and -1 replaced).

    An operand of several Reshapes has the target of the first. Where inference knows no shape,
    the target is the operand's own values.
    """
    targets: dict[str, tuple[Dim, ...]] = {}
    for layer in table.nodes:
        if layer.op_type == "Reshape" and not layer.domain and len(layer.inputs) > 1:
            operand, shape = layer.inputs[1], layer.outputs[0].shape
            if shape is None and operand.value is not None:
                shape = operand.value
            if shape is not None:
                targets.setdefault(operand.name, shape)
    return targets


def classic_rows(table: LayerTable) -> list[Row]:
    """Rows in the classic layout, with the columns of CLASSIC."""
    targets = reshape_targets(table)
    return [_classic(layer, targets) for layer in table]


def _classic(layer: Layer, targets: Mapping[str, tuple[Dim, ...]]) -> Row:
    if layer.kind is not LayerKind.NODE:
        shapes = _shapes(layer.outputs, targets)
        return (layer.name, "ConstantInput", "", "", shapes, shapes)
    return (
        layer.name,
        layer.layer_type,
        _names(layer.inputs),
        _names(layer.outputs),
        _shapes(layer.inputs, targets),
        _shapes(layer.outputs, {}),
    )


def _names(tensors: Sequence[Tensor]) -> str:
    return ";".join(t.name for t in tensors)


def _shapes(tensors: Sequence[Tensor], targets: Mapping[str, tuple[Dim, ...]]) -> str:
    shapes = (targets.get(t.name, t.shape) for t in tensors)
    return f"[{','.join(shape_text(s) for s in shapes)}]"


def full_rows(table: LayerTable) -> list[Row]:
    """Rows in the full layout, with the columns of FULL; lists are joined by `;`."""
    return [_full(layer) for layer in table]


def _full(layer: Layer) -> Row:
    value = layer.outputs[0].value if layer.kind is LayerKind.SHAPE_OPERAND else None
    return (
        layer.name,
        layer.kind.value,
        layer.layer_type,
        layer.op_type,
        layer.domain,
        str(layer.opset) if layer.opset else "",
        _names(layer.inputs),
        ";".join(t.dtype for t in layer.inputs),
        _shapes(layer.inputs, {}),
        _names(layer.outputs),
        ";".join(t.dtype for t in layer.outputs),
        _shapes(layer.outputs, {}),
        ";".join(f"{name}={value}" for name, value in layer.attributes),
        "" if value is None else json.dumps(value, separators=(",", ":")),
        layer.given_name,
        layer.parent,
    )


def rows(table: LayerTable, layout: str) -> tuple[Row, list[Row]]:
    """Headings and rows of a layout."""
    return (CLASSIC, classic_rows(table)) if layout == "classic" else (FULL, full_rows(table))


def to_csv(tables: Sequence[LayerTable], layout: str = "full") -> str:
    """The tables as CSV; several tables have a leading column `batch`."""
    head = CLASSIC if layout == "classic" else FULL
    if len(tables) == 1:
        return csv_text(head, rows(tables[0], layout)[1])
    every = ((str(table.batch), *row) for table in tables for row in rows(table, layout)[1])
    return csv_text(("batch", *head), every)


def to_json(
    tables: Sequence[LayerTable],
    layout: str = "full",
    model: str = "",
    fed: Mapping[str, str] | None = None,
) -> str:
    """The table as a JSON object, or several tables as a list of objects.

    `fed` describes the values for each input by name.
    """
    made = [{**plain(table, layout, model), "fed": dict(fed or {})} for table in tables]
    whole = made[0] if len(made) == 1 else made
    return in_json(json.dumps(whole, indent=1, ensure_ascii=False)) + "\n"


def plain(table: LayerTable, layout: str = "full", model: str = "") -> dict[str, Any]:
    """A table as dicts, lists and numbers."""
    if layout == "classic":
        layers = [dict(zip(CLASSIC, row, strict=True)) for row in classic_rows(table)]
    else:
        layers = [_layer(layer) for layer in table]
    return {
        "model": model,
        "batch": table.batch,
        "dims": dict(table.dims),
        "obstacle": table.obstacle,
        "layers": layers,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind.value,
        "layer_type": layer.layer_type,
        "op_type": layer.op_type,
        "domain": layer.domain,
        "opset": layer.opset or None,
        "inputs": [_tensor(t) for t in layer.inputs],
        "outputs": [_tensor(t) for t in layer.outputs],
        "attributes": dict(layer.attributes),
        "given_name": layer.given_name,
        "parent": layer.parent,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    out: dict[str, Any] = {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}
    if tensor.value is not None:
        out["value"] = list(tensor.value)
    return out


def to_markdown(tables: Sequence[LayerTable], layout: str = "full", model: str = "") -> str:
    """The tables as Markdown, each under a heading."""
    return "\n".join(_markdown(table, layout, model) for table in tables)


def _markdown(table: LayerTable, layout: str, model: str) -> str:
    head, body = rows(table, layout)
    lines = [f"## {_cell(model)}{' ' if model else ''}{_cell(table.sizes)}", ""]
    lines += [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(_cell(text) for text in row)} |" for row in body]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    escaped = printable(text)
    for mark in "\\|*_`<":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped.replace("](", "]\\(")


def to_table(table: LayerTable, layout: str = "full", title: str = "") -> Grid:
    """A terminal table that folds long names and reads at 80 columns."""
    columns, cells = _CLASSIC_GRID if layout == "classic" else _FULL_GRID
    named = [(heading.replace("_", "_\n"), ratio, least) for heading, ratio, least in columns]
    return Grid(printable(title), named, cells(table))


def _full_cells(table: LayerTable) -> list[Row]:
    return [
        (_name_cell(layer), printable(_type_cell(layer), keep="\n"), _tensor_cell(layer))
        for layer in table
    ]


def _name_cell(layer: Layer) -> str:
    name = f"{layer.parent} > {layer.name}" if layer.parent else layer.name
    given = (printable(f" {name}={value}") for name, value in layer.attributes)
    return "\n".join((printable(name), *given))


def _type_cell(layer: Layer) -> str:
    """Layer type (where it differs from the operator), domain, and operator with opset version."""
    if not layer.op_type:
        return layer.layer_type
    domain = f"{layer.domain}\n" if layer.domain else ""
    operator = f"{layer.op_type}-{layer.opset}" if layer.opset else layer.op_type
    coarse = "" if layer.layer_type == layer.op_type else f"{layer.layer_type}\n"
    return f"{coarse}{domain}{operator}"


def _tensor_cell(layer: Layer) -> str:
    """A line per tensor; without the name in rows of inputs and constants, named already."""
    if layer.kind is not LayerKind.NODE:
        return "\n".join(
            printable(tensor_text(t).removeprefix(t.name + " ")) for t in layer.outputs
        )
    before = (f"in  {printable(tensor_text(t))}" for t in layer.inputs)
    after = (f"out {printable(tensor_text(t))}" for t in layer.outputs)
    return "\n".join((*before, *after))


def _classic_cells(table: LayerTable) -> list[Row]:
    return [
        (
            printable(name),
            printable(kind),
            printable(inputs).replace(";", "\n"),
            printable(outputs).replace(";", "\n"),
            shapes.replace("],[", "],\n["),
            made.replace("],[", "],\n["),
        )
        for name, kind, inputs, outputs, shapes, made in classic_rows(table)
    ]


_Grid = tuple[tuple[Column, ...], Callable[[LayerTable], list[Row]]]
_FULL_GRID: _Grid = (
    (("layer", 2, None), ("type", None, 12), ("tensors", 3, None)),
    _full_cells,
)
_CLASSIC_GRID: _Grid = (
    tuple((n, None, 13) if n == "layer_type" else (n, 1, None) for n in CLASSIC),
    _classic_cells,
)


def summary(table: LayerTable, parameters: int) -> str:
    """One line: numbers of layers, other rows and parameters, the batch, unknown shapes."""
    layers = len(table.nodes)
    parts = [
        counted(layers, "layer", "layers"),
        counted(len(table) - layers, "input or constant", "inputs and constants"),
        counted(parameters, "parameter", "parameters"),
        printable(table.sizes),
    ]
    if unknown := sum(not t.is_static for layer in table.nodes for t in layer.outputs):
        parts.append(f"{counted(unknown, 'output', 'outputs')} of symbolic or unknown shape")
    return ", ".join(parts)


def parts(
    tables: Sequence[LayerTable],
    name: str,
    layout: str,
    parameters: int,
    fed: Mapping[str, str],
) -> Iterator[Grid | str]:
    """Each table with its summary line, then the values that the inputs get."""
    for table in tables:
        yield to_table(table, layout, printable(f"{name}, {table.sizes}"))
        yield summary(table, parameters)
    for given, what in fed.items():
        yield printable(f"{given} is fed {what}")
