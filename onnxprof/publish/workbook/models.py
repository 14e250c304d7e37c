"""A model's layers and their costs as workbooks, a sheet a batch size."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.publish.reasons import costs
from onnxprof.publish.tables import layers
from onnxprof.publish.workbook.book import sheet_of_csv, workbook
from onnxprof.records.layer import LayerTable


def layers_book(tables: Sequence[LayerTable], layout: str = "full", model: str = "") -> bytes:
    """The workbook of `inspect`."""
    names = _names(model, tables)
    return workbook(
        sheet_of_csv(name, layers.to_csv([table], layout))
        for name, table in zip(names, tables, strict=True)
    )


def costs_book(costed: Sequence[costs.Costed], model: str = "") -> bytes:
    """The workbook of `inspect --cost`."""
    names = _names(model, [table for table, _ in costed])
    return workbook(
        sheet_of_csv(name, costs.to_csv([(table, each)]))
        for name, (table, each) in zip(names, costed, strict=True)
    )


def _names(model: str, tables: Sequence[LayerTable]) -> list[str]:
    """A sheet's name for each; sizes of axes, which are too long for one, are numbered."""
    ends = [f"batch {table.batch}" for table in tables]
    counted = [
        f"{end} ({ends[: i + 1].count(end)})" if ends.count(end) > 1 else end
        for i, end in enumerate(ends)
    ]
    return [f"{model[: 30 - len(end)]} {end}".strip() for end in counted]
