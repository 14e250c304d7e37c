from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console
from support.networks import models
from support.places import DATA

from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.publish.tables import layers
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

REFERENCE = DATA / "lenet_layers.csv"


def table_of(made, folder, batch=1, dims=None) -> LayerTable:
    return inspect(open_model(str(models.save(made, folder))), batch, dims or {})


def terminal(table: LayerTable, layout: str = "full", width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(layers.to_table(table, layout, "title"))
    return out.getvalue()


@pytest.mark.parametrize("batch", ["N", 1])
def test_lenet_is_the_reference_byte_for_byte(tmp_path, batch):
    table = table_of(models.lenet(batch), tmp_path)
    assert layers.to_csv([table], "classic").encode() == REFERENCE.read_bytes()


@pytest.mark.parametrize("batch", ["N", 1])
def test_classic_shape_operand_is_resolved_at_the_batch(tmp_path, batch):
    rows = layers.classic_rows(table_of(models.lenet(batch), tmp_path, 8))
    row = next(r for r in rows if r[0] == "Pooling160_Output_0_reshape0_shape")
    assert row[1:] == ("ConstantInput", "", "", "[[8,256]]", "[[8,256]]")
    assert rows[-1][-1] == "[[8,10]]"
    # the Reshape of weights alone keeps its target
    assert rows[2][4] == "[[16,4,4,10],[256,10]]"


def test_classic_marks_what_is_unknown(tmp_path):
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu"), models.node("NonZero", ["y"], ["z"], "nz")],
        [models.value("x", ["N", "width"])],
        [models.value("z", None, models.INT64)],
    )
    rows = layers.classic_rows(table_of(made, tmp_path, 2))
    assert rows[1][-1] == "[[2,width]]"
    assert rows[2][-1] == "[[2,?]]"


def test_full_csv_has_every_field(tmp_path):
    table = table_of(models.lenet(1), tmp_path, 2)
    rows = list(csv.DictReader(io.StringIO(layers.to_csv([table]))))
    assert tuple(rows[0]) == layers.FULL
    operand = next(r for r in rows if r["layer_name"] == "Pooling160_Output_0_reshape0_shape")
    assert (operand["kind"], operand["value"]) == ("shape_operand", "[2,256]")
    assert operand["output_shapes"] == "[[2]]"
    conv = next(r for r in rows if r["layer_name"] == "Convolution28")
    assert (conv["op_type"], conv["opset"], conv["domain"]) == ("Conv", "11", "")
    assert "kernel_shape=[5,5]" in conv["attributes"]
    assert conv["input_dtypes"] == "float32;float32"


def test_several_batches_are_named(tmp_path):
    model = open_model(str(models.save(models.linear(), tmp_path)))
    tables = [inspect(model, 1), inspect(model, 8)]
    rows = list(csv.DictReader(io.StringIO(layers.to_csv(tables, "classic"))))
    assert [r["batch"] for r in rows] == ["1"] * 4 + ["8"] * 4
    made = json.loads(layers.to_json(tables, model="m"))
    assert [t["batch"] for t in made] == [1, 8]
    assert made[1]["layers"][-1]["outputs"] == [{"name": "y", "dtype": "float32", "shape": [8, 3]}]
    assert layers.to_markdown(tables).count("\n| layer_name |") == 2


def test_one_batch_is_one_object(tmp_path):
    made = json.loads(layers.to_json([table_of(models.class_token(), tmp_path, 4)]))
    assert made["batch"] == 1
    assert "cat (Concat)" in made["obstacle"]


def hostile(name: str) -> LayerTable:
    tensor = Tensor(name, "float32", (1,))
    return LayerTable(
        (Layer(name, LayerKind.NODE, "Relu", "Relu", "", 1, (tensor,), (tensor,)),), 1
    )


@pytest.mark.parametrize("layout", ["full", "classic"])
def test_terminal_obeys_no_name(layout):
    shown = terminal(hostile("\x1b]0;owned\x07[bold red]x[/] \u202egnp"), layout, 200)
    assert "\x1b]0" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "[bold red]x[/]" in shown
    assert r"\x1b]0;owned\x07" in shown


def test_markdown_cell_cannot_break_the_table():
    text = layers.to_markdown([hostile("a|b\nc<i>")])
    row = text.splitlines()[-1]
    assert row.startswith(r"| a\|b\\nc\<i> |")


def test_csv_keeps_names_faithfully():
    name = 'a,"b"\n=1+1'
    row = next(csv.DictReader(io.StringIO(layers.to_csv([hostile(name)]), newline="")))
    assert row["layer_name"] == name


@pytest.mark.parametrize("layout", ["full", "classic"])
def test_terminal_table_fits_80_columns(tmp_path, layout):
    made = models.linear()
    made.graph.node[0].name = "a/very/long/scope/" * 12
    shown = terminal(table_of(made, tmp_path), layout)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "…" not in shown


def test_summary_counts(tmp_path):
    table = table_of(models.custom_domain(), tmp_path)
    text = layers.summary(table, 1234567)
    assert "2 layers, 1 input or constant, 1,234,567 parameters, batch 1" in text
    assert "1 output of symbolic or unknown shape" in text
