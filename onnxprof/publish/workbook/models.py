"""A model's layers and their costs as workbooks, a sheet a batch size."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.publish.reasons import costs
from onnxprof.publish.tables import layers
from onnxprof.publish.workbook.book import sheet_of_csv, workbook
from onnxprof.records.layer import LayerTable


def layers_book(tables: Sequence[LayerTable], layout: str = "full", model: str = "") -> bytes:
    """The workbook of `inspect`."""
    return workbook(
        sheet_of_csv(_name(model, table), layers.to_csv([table], layout)) for table in tables
    )


def costs_book(costed: Sequence[costs.Costed], model: str = "") -> bytes:
    """The workbook of `inspect --cost`."""
    return workbook(
        sheet_of_csv(_name(model, table), costs.to_csv([(table, each)])) for table, each in costed
    )


def _name(model: str, table: LayerTable) -> str:
    end = f"batch {table.batch}"
    return f"{model[: 30 - len(end)]} {end}".strip()
