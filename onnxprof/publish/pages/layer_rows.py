"""The rows of long tables: which a page has, and the layer table's file for the page's script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from onnxprof.analysis.reconcile import Reconciliation, Status, TimedRow
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.embed import Pool, body_rows, embedded, tensor_names
from onnxprof.publish.tables.layers import to_csv
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Layer, LayerTable

#: Rows that a long table of a page shows before more are asked for.
WINDOW = 200
#: Rows of the timing table that a page opens with: those of the slowest steps.
OPENING = 30
#: Rows of the layer table that a page has before the table is opened.
FIRST = 50
#: The files beside the page that have all rows.
SCRIPT, CSV = "layers.js", "layers.csv"


def scripts(page: ModelPage) -> Iterator[tuple[str, str]]:
    """All rows at the batch size that the page shows first, for its script."""
    yield SCRIPT, f"onnxprof.layers(0,{embedded(columns(page.table))});\n"


def tables(page: ModelPage) -> Iterator[tuple[str, str]]:
    """The same rows as CSV."""
    yield CSV, to_csv([page.table])


def opening(result: Reconciliation) -> list[tuple[int, TimedRow]]:
    """The rows of the slowest steps, longest first, each with its place among all rows.

    Rows without a time come last, in the order of the file; fused ones are another step's.
    """
    rows = [pair for pair in enumerate(body_rows(result), 1) if not is_fused(pair[1])]
    return sorted(rows, key=lambda pair: -pair[1].rank_ns)[:OPENING]


def is_fused(row: TimedRow) -> bool:
    """Whether the row's time stands on another one."""
    return row.status is Status.FUSED


def fragment(name: str) -> str:
    """A name as it stands in the fragment of an address, spelled as the page's script does."""
    return quote(in_page(name), safe="!~*'()")


def operator(layer: Layer) -> str:
    """The operator with its domain, where that is not ONNX's own."""
    return f"{layer.domain}.{layer.op_type}" if layer.domain else layer.op_type


def columns(table: LayerTable) -> dict[str, Any]:
    """The table by columns; words, tensors and sets of attributes once, then by number."""
    words, attributes = Pool(), Pool()
    tensors = {name: i for i, name in enumerate(tensor_names(table))}
    return {
        "name": [in_page(layer.name) for layer in table],
        "type": [words.place(in_page(layer.layer_type)) for layer in table],
        "op": [words.place(in_page(operator(layer))) for layer in table],
        "in": [[tensors[t.name] for t in layer.inputs if layer.op_type] for layer in table],
        "out": [[tensors[t.name] for t in layer.outputs] for layer in table],
        "attrs": [attributes.place(_attributes(layer)) for layer in table],
        "words": list(words.places),
        "tensors": [in_page(name) for name in tensors],
        "attributes": list(attributes.places),
    }


def _attributes(layer: Layer) -> tuple[tuple[str, str], ...]:
    return tuple((in_page(key), in_page(str(value))) for key, value in layer.attributes)
