"""Costs as terminal table, CSV, JSON and Markdown, as numbers and as expressions."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from support.networks.written_layers import layer
from support.places import ROOT

from onnxprof.cost.count import costs, total
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.publish.reasons import costs as tables
from onnxprof.publish.reasons import symbolic_costs
from onnxprof.records.cost import Limit
from onnxprof.records.layer import Layer, LayerTable


def conv(batch: int = 1) -> LayerTable:
    """A convolution, a view, an operator that nobody knows, and one that data decide."""
    return LayerTable(
        (
            layer("Conv", [(batch, 3, 8, 8), (4, 3, 3, 3)], [(batch, 4, 6, 6)], name="stem"),
            layer("Flatten", [(batch, 4, 6, 6)], [(batch, 144)], name="flat"),
            layer("Strange", [(batch, 144)], [(batch, 9)], name="odd [bold]|x"),
            layer("TopK", [(batch, 9), "int64 1"], [(batch, 2), f"int64 {batch},2"], name="best"),
        ),
        batch,
    )


def shown(*parts: object, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True)
    for part in parts:
        console.print(part, markup=False, highlight=False)
    return out.getvalue()


def test_a_row_a_layer_in_csv_and_unknown_is_blank():
    table = conv()
    found = list(csv.DictReader(io.StringIO(tables.to_csv([(table, costs(table))]))))
    assert tuple(found[0]) == tables.COLUMNS
    stem, flat, odd, best = found
    assert stem["macs"] == str(144 * 27)
    assert stem["flops"] == str(2 * 144 * 27)
    assert stem["read_bytes"] == str(4 * (192 + 108))
    assert stem["weights_bytes"] == "0"
    assert stem["bytes_by_dtype"] == f"float32={4 * (192 + 108 + 144)}"
    assert flat["flops"] == "0"
    assert flat["read_bytes"] == "0"
    assert odd["flops"] == ""
    assert odd["macs"] == ""
    assert odd["flops_per_byte"] == ""
    assert odd["unknown"] == "Strange is not modelled: it is not known here"
    assert best["comparisons"] == "9"
    assert "data" in best["bound"]
    assert best["bytes_by_dtype"] == "float32=44;int64=24"


def test_several_batches_have_a_column():
    both = [(conv(1), costs(conv(1))), (conv(4), costs(conv(4)))]
    found = list(csv.DictReader(io.StringIO(tables.to_csv(both))))
    assert [row["batch"] for row in found] == ["1"] * 4 + ["4"] * 4
    assert int(found[4]["macs"]) == 4 * int(found[0]["macs"])


def test_json_has_layers_sums_and_null_for_unknown():
    table = conv()
    whole = json.loads(tables.to_json([(table, costs(table))], "net"))
    assert whole["model"] == "net"
    assert whole["batch"] == 1
    assert whole["layers"][0]["operations"]["macs"] == 3888
    assert whole["layers"][2]["operations"] is None
    assert whole["layers"][2]["flops"] is None
    assert whole["total"]["at_least"] is True
    assert whole["total"]["flops"] == 2 * 3888 + 9
    assert list(whole["operators"]) == ["Conv", "TopK", "Strange", "Flatten"]
    assert isinstance(json.loads(tables.to_json([(table, costs(table))] * 2)), list)


def test_the_terminal_has_eighty_columns_and_marks_limits():
    table = conv()
    found = costs(table)
    text = shown(tables.to_table(table, found, "net, batch 1"), tables.sums_table(table, found))
    assert max(map(len, text.splitlines())) <= 80
    line = next(row for row in text.splitlines() if "odd" in row)
    assert "Strange" in line
    assert line.count("?") == 2
    assert "≤9" in next(row for row in text.splitlines() if "best" in row)
    assert "~7.79 k" in next(row for row in text.splitlines() if "total" in row)
    assert "[bold]" in text


def test_the_summary_says_at_least_and_names_what_is_missing():
    words = tables.summary(costs(conv()))
    assert "operations: some 7.79 kFLOP, of 3.89 k multiply-accumulates, 9 comparisons" in words
    assert "not known: 1 layer\n  odd [bold]|x: Strange is not modelled" in words
    assert "at most: 1 layer\n  best: the order" in words
    assert "by dtype: float32" in words
    whole = LayerTable(conv().layers[:2], 1)
    assert "at least" not in tables.summary(costs(whole))


@pytest.mark.parametrize("name", sorted({*tables.COLUMNS, *symbolic_costs.COLUMNS}))
def test_the_document_names_every_column(name):
    assert f"`{name}`" in (ROOT / "docs" / "cost.md").read_text("utf-8")


def test_long_lists_of_reasons_are_cut():
    odd = tuple(layer(f"Strange{i // 2}", [(4,)], [(4,)], name=f"odd{i}") for i in range(14))
    words = tables.summary(costs(LayerTable(odd, 1)))
    assert "not known: 14 layers\n  odd0 and 1 other: Strange0 is not modelled" in words
    assert "  and 2 other reasons" in words
    assert "odd10" not in words


def test_bytes_alone_may_be_at_least():
    picks = LayerTable((layer("Gather", [(9, 4), "int64 3"], [(None, 4)], name="pick"),), 1)
    words = tables.summary(costs(picks))
    assert "operations: 0 FLOP" in words
    assert "bytes: at least 24 B" in words


def counted_loop(*inside: Layer) -> LayerTable:
    """A Loop of at most 1,000 runs, with these layers in its body."""
    inputs = ["int64 ", None, (1, 4)]
    loop = layer("Loop", inputs, [(1, 4)], values={0: (1000,)}, name="loop")
    return LayerTable((loop, *(replace(one, parent="loop") for one in inside)), 1)


def test_a_sum_of_bounds_is_a_bound_in_bytes_too():
    table = counted_loop(layer("Relu", [(1, 4)], [(1, 4)], name="relu"))
    assert total(costs(table)).bytes_limit is Limit.AT_MOST
    words = tables.summary(costs(table))
    assert "operations: at most 4.00 kFLOP" in words
    assert "bytes: at most 32.0 kB" in words
    assert "≤32.0 kB" in shown(tables.sums_table(table, costs(table)))


def test_a_bound_and_an_unknown_part_make_neither_limit():
    odd = layer("Strange", [(1, 4)], [(1, 4)], name="odd")
    table = counted_loop(layer("Relu", [(1, 4)], [(1, 4)], name="relu"))
    table = replace(table, layers=(*table.layers, odd))
    words = tables.summary(costs(table))
    assert "operations: some 4.00 kFLOP" in words
    assert "bytes: some 32.0 kB" in words
    whole = shown(tables.sums_table(table, costs(table))).splitlines()
    assert any("total" in line and "~4.00 k" in line for line in whole)


def test_a_sum_of_nothing_is_said_in_plain_words():
    view = LayerTable((layer("Identity", [(1, 4)], [(1, 4)], name="same"),), 1)
    assert tables.summary(costs(view)) == "operations: 0 FLOP\nbytes: 0 B; none"


def test_expressions_say_that_they_are_bounds():
    table = counted_loop(layer("Relu", [(1, 4)], [(1, 4)], name="relu"))
    made = symbolic(lambda sizes: replace(table, batch=sizes["batch"]), {"batch": 1})
    words = symbolic_costs.summary(made, [{"batch": 1}])
    assert "MACs: 0\nFLOPs at most: 4000" in words
    assert "at batch 1: 0 MACs, at most 4.00 kFLOP, at most 32.0 kB" in words
    assert "at most: 1 layer" in words
    assert "at most: the loop may end" in shown(symbolic_costs.to_table(made, "net"))


def test_markdown_is_escaped_and_has_the_sum():
    text = tables.to_markdown([(conv(), costs(conv()))], "n|et")
    assert "## n\\|et batch 1" in text
    assert "odd \\[bold\\]\\|x" in text
    assert "| total |  | ≥3.89 k | \\~7.79 k |" in text


def test_a_name_of_several_lines_stays_in_its_row_of_markdown():
    name = "a\n| x |\r\x1b[31m\u202eb"
    table = LayerTable((layer("Relu", [(1, 4)], [(1, 4)], name=name),), 1)
    text = tables.to_markdown([(table, costs(table))], name)
    made = symbolic(lambda sizes: replace(table, batch=sizes["batch"]), {"batch": 1})
    for lines in (text.splitlines(), symbolic_costs.to_markdown(made, name).splitlines()):
        assert len(lines) == 6  # heading, blank, heads, rule, the layer, the sum
        assert not any(c in line for line in lines for c in "\r\x1b\u202e")


@pytest.fixture
def expressed() -> SymbolicCost:
    return symbolic(lambda sizes: conv(sizes["batch"]), {"batch": 1})


def test_expressions_in_csv_and_json(expressed):
    stem, flat, odd, _ = csv.DictReader(io.StringIO(symbolic_costs.to_csv(expressed)))
    assert stem["macs"] == "3888*batch"
    assert stem["flops"] == "7776*batch"
    assert stem["read_bytes"] == "768*batch + 432"
    assert stem["written_bytes"] == "576*batch"
    assert flat["flops"] == "0"
    assert odd["flops"] == ""
    points = [{"batch": 1}, {"batch": 8}]
    whole = json.loads(symbolic_costs.to_json(expressed, "net", points))
    assert whole["axes"] == ["batch"]
    assert whole["at_least"] is True
    assert whole["total"]["macs"] == "3888*batch"
    assert whole["evaluated"][1]["macs"] == 8 * 3888
    assert whole["layers"][2]["flops"] is None
    # what is printed can be evaluated
    assert eval(whole["total"]["read_bytes"], {}, {"batch": 8}) == sum(
        cost.read_bytes for cost in expressed.at({"batch": 8})
    )


def test_expressions_in_the_terminal_and_in_markdown(expressed):
    words = symbolic_costs.summary(expressed, [{"batch": 8}])
    text = shown(symbolic_costs.to_table(expressed, "net, in batch"), words)
    assert max(map(len, text.splitlines())) <= 80
    assert "MACs  3888*batch" in text
    assert "bytes 1344*batch + 432" in text
    assert "not known: Strange is not modelled" in text
    assert "MACs some: 3888*batch" in text
    assert "at batch 8: some 31.1 k MACs" in text
    assert "flat" not in text.split("MACs some")[0]  # it computes and moves nothing
    assert "3888\\*batch" in symbolic_costs.to_markdown(expressed, "net")
