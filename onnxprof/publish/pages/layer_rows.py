"""The layer table of a model: its first rows for the page, all of them for the page's script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.embed import Pool, embedded, tensor_names
from onnxprof.publish.tables.layers import to_csv
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Layer, LayerTable

#: Rows that a long table of a page shows before more are asked for.
WINDOW = 200
#: Rows of the layer table that a page has before the table is opened.
FIRST = 50
#: The files beside the page that have all rows.
SCRIPT, CSV = "layers.js", "layers.csv"


def files(page: ModelPage) -> Iterator[tuple[str, str]]:
    """All rows at the batch size that the page shows first, for its script and as CSV."""
    yield SCRIPT, f"onnxprof.layers(0,{embedded(columns(page.table))});\n"
    yield CSV, to_csv([page.table])


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
