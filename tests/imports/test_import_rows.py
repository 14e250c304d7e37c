"""benchmarks/zoo/published_rows.py: rows of a published layer table beside a network's layers."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from support.published import dlperf_clone

from onnxprof import zoo
from onnxprof.imports.dlperf import tables

SCRIPT = ROOT / "benchmarks" / "zoo" / "published_rows.py"
ROWS = runpy.run_path(str(SCRIPT))
LENET = ROWS["table_of"]("lenet")


def published(layers: list[dict[str, Any]]) -> tables.Published:
    return tables.parse(json.dumps(layers).encode())


def renamed(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Other names of layers and tensors, in the same places."""

    def of(name: str) -> str:
        return f"their_{name}"

    return [
        layer
        | {"name": of(layer["name"])}
        | {key: list(map(of, layer[key])) for key in ("inputs", "outputs") if key in layer}
        for layer in layers
    ]


def pairs(layers: list[dict[str, Any]]) -> tuple[dict[str, Any], bool]:
    rows, named = ROWS["aligned"](published(layers), LENET)
    return {row.published.name: row for row in rows}, named


def test_every_row_lines_up_by_name() -> None:
    rows, named = pairs(dlperf_clone.layers())
    assert (len(rows), named) == (21, True)
    assert all(row.same for row in rows.values())
    assert rows["Plus112"].ours == "Plus112"
    assert rows["Parameter6"].ours == "Parameter6"


def test_other_names_line_up_by_order() -> None:
    rows, named = pairs(renamed(dlperf_clone.layers()))
    assert (len(rows), named) == (21, False)
    assert {name: row.ours for name, row in rows.items()} == {
        f"their_{name}": name for name in (layer["name"] for layer in dlperf_clone.layers())
    }
    assert all(row.same for row in rows.values())


def test_a_layer_that_ours_lacks_is_left_over_with_what_it_is_given() -> None:
    layers = renamed(dlperf_clone.layers())
    at = next(i for i, layer in enumerate(layers) if layer["name"] == "their_ReLU32")
    shapes = {"input_shapes": [[1, 8, 28, 28], [8]], "output_shapes": [[1, 8, 28, 28]]}
    more = {"name": "more", "type": "ElementWise", "input_dimensions": shapes}
    more |= {"inputs": ["their_Plus30_Output_0", "slope"], "outputs": ["scaled"]}
    given = {"input_shapes": [[8]], "output_shapes": [[8]]}
    slope = {"name": "slope", "type": "ConstantInput", "input_dimensions": given}
    rows, _ = pairs([*layers[:at], slope, more, *layers[at:]])
    left = [name for name, row in rows.items() if not row.ours]
    assert len(left) == 2
    assert "slope" in left or "their_Parameter6" in left
    assert all(row.same for row in rows.values() if row.ours)


def test_another_shape_is_paired_and_told() -> None:
    layers = dlperf_clone.layers()
    pool = next(layer for layer in layers if layer["name"] == "Pooling66")
    pool["input_dimensions"]["output_shapes"] = [[1, 8, 13, 13]]
    rows, _ = pairs(layers)
    assert (rows["Pooling66"].ours, rows["Pooling66"].same) == ("Pooling66", False)
    why = ROWS["explained"](list(rows.values()), published(layers), "MNIST")
    assert {words: [row.published.name for row in of] for words, of in why.items()} == {
        "": ["Pooling66"]
    }


def test_a_shortcut_that_stands_elsewhere_goes_by_what_it_reads() -> None:
    ours = ROWS["table_of"]("resnet18").nodes
    node = tables.Node

    def theirs(name: str, kind: str, source: str, layer: Any) -> tables.Node:
        shape = tuple(layer.outputs[0].shape)
        kernel = [tuple(t.shape) for t in layer.inputs[1:2]]
        given = (source, f"{name}.w") if kind == "Conv" else (source,)
        return node(name, kind, given, (name,), (shape, *kernel), (shape,))

    by_name = {layer.name: layer for layer in ours}
    pool, conv = "stem/pool/MaxPool", "stage1/0/branch/conv1/Conv"
    listed = [
        theirs("conv", "Conv", "pool", by_name[conv]),
        theirs("pool", "Pooling", "x", by_name[pool]),
    ]
    found = dict(ROWS["in_order"](listed, ours))
    assert {name: layer.name for name, layer in found.items()} == {"pool": pool}
    ROWS["_read_alike"](found, listed, ours)
    assert {name: layer.name for name, layer in found.items()} == {"pool": pool, "conv": conv}


def test_each_of_the_thirty_has_a_network() -> None:
    assert len(ROWS["NETWORKS"]) == 30
    assert set(ROWS["NETWORKS"].values()) <= set(zoo.names())


def test_the_script_prints_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dlperf_clone.clone(tmp_path)
    monkeypatch.setattr(sys, "argv", ["published_rows.py", str(tmp_path), "--model", "MNIST"])
    assert ROWS["main"]() == 0
    assert "| MNIST | lenet | names | 21 | 21 | 21 |  |" in capsys.readouterr().out
