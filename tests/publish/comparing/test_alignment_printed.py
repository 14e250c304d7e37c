"""Runs side by side as a terminal, Markdown, CSV and JSON have them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies as own
from support.compare.aligned import CONV, GEMM, RELU, changed, several, shown, three
from support.golden import check_golden

from onnxprof.compare.align import align
from onnxprof.compare.over_batches import over_batches
from onnxprof.compare.table import Cell, Row
from onnxprof.publish.comparing import alignment as shared
from onnxprof.publish.comparing import alignment_table, alignment_text
from onnxprof.publish.comparing import over_batches as alignment_batches
from onnxprof.publish.comparing.alignment import Choice, Sort
from onnxprof.publish.json import documents
from onnxprof.publish.text.safe import shortened, telling_cut
from onnxprof.testing import sample_run


def test_golden_files() -> None:
    found = align(three())
    for width in (80, 140):
        check_golden(f"align_{width}.txt", shown(alignment_table.table(found, Choice()), width))
    check_golden("align.md", alignment_text.markdown(found, Choice(limit=1)))
    check_golden("align.csv", alignment_text.to_csv(found))
    runs = [several(name, scale, b) for b in (1, 8) for name, scale in (("ort", 1), ("torch", 0.5))]
    batches = over_batches(runs)
    check_golden("align_batches.txt", shown(alignment_batches.table(batches, Choice())))
    check_golden("align_batches.md", alignment_batches.markdown(batches, Choice(limit=1)))
    check_golden("align_batches.csv", alignment_batches.to_csv(batches))


def test_names_of_systems_are_cut_only_where_there_is_no_room() -> None:
    names = ("onnxruntime-nightly", "openvino-nightly-2027")
    batches = over_batches([several(name, batch=b) for b in (1, 8) for name in names])
    cut = []
    for width in range(76, 120):
        lines = shown(alignment_batches.table(batches, Choice(), width), width).splitlines()
        rows = lines[1 : lines.index("Speed-up of openvino-nightly-2027, layer by layer")]
        assert max(map(len, rows)) <= width
        if any("…" in row.partition(" ms")[0] for row in rows):
            cut.append(width)
            assert max(map(len, rows)) == width - 1, "all of the console but a blank at its edge"
    assert 76 in cut
    assert 95 not in cut


def test_csv_adds_up_exactly() -> None:
    found = align(three())
    rows = list(csv.DictReader(io.StringIO(alignment_text.to_csv(found))))
    for column in found.columns:
        ns = {row["row"]: 0 for row in rows}
        for row in rows:
            ns[row["row"]] += round(float(row[f"{column.label} ms"] or 0) * 1e6)
        parts = ("block", "no layer", "interruptions", "overhead")
        assert sum(ns[part] for part in parts) == ns["total"] == column.total_ns


def test_json_has_everything() -> None:
    found = align(three())
    told = json.loads(documents.text(alignment_text.plain(found)))
    assert [column["label"] for column in told["columns"]] == ["ort", "torch", "openvino"]
    assert [column["parity"] for column in told["columns"]] == [True, None, False]
    assert told["blocks"][0]["cells"][1]["steps"] == [f"{CONV}_step", f"{RELU}_step"]
    assert told["blocks"][1]["cells"][2]["missing"] == {GEMM: "folded"}
    assert told["total"]["cells"][0]["ns"] == found.columns[0].total_ns
    batches = over_batches([several(), several("torch", 0.5)])
    plain = alignment_batches.plain_batches(batches)
    point = json.loads(documents.text(plain))["batches"][0]["points"][1]
    assert point["speedup"] == pytest.approx(1.0, abs=0.1)
    assert point["verdict"] == "faster"


def test_what_a_terminal_shows_adds_up() -> None:
    found = align(three())
    for choice in (Choice(), Choice(limit=1)):
        lines = list(alignment_table._lines(found, shared.pick(found, choice)))
        for i in range(3):
            blocks = [line.figures[i] or 0 for line in lines[:-5]]
            layers, *parts, total = (line.figures[i] for line in lines[-5:])
            assert sum(blocks) == layers
            assert len(parts) == 3
            assert layers + sum(parts) == total


@pytest.mark.parametrize("count", [2, 3, 6, 14])
@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_any_number_of_runs_fits_any_width(count: int, width: int) -> None:
    deep = "model/encoder/layers/31/attention/self/query/projection/weights/MatMul"
    runs = []
    for i in range(count):
        run = sample_run("net", backend=f"backend{i}", scale=1.0 + i)
        steps = (dataclasses.replace(run.steps[0], layers=(deep, f"{deep}/Add")), *run.steps[1:])
        runs.append(dataclasses.replace(run, steps=steps))
    text = shown(alignment_table.table(align(runs), Choice()), width)
    assert max(map(len, text.splitlines())) <= width
    table = text[text.index("───") :]
    assert "MatMul" in table or "+1" in table
    for i in range(count):
        assert f"backend{i}" in text
    if count > 1:
        assert f"{align(runs).total.cells[1].ratio:.2f}" in table


def test_order_and_choice() -> None:
    def row(name: str, *ns: int) -> Row:
        cells = [Cell(n, n / 100, n / ns[0] if i else None) for i, n in enumerate(ns)]
        return Row(found.rows[0].kind, tuple(cells), (name,), ("Op",))

    found = align([several(), several("torch")])
    rows = (row("a", 10, 11), row("b", 1, 6), row("c", 40, 20), row("d", 2, 2))
    found = dataclasses.replace(found, rows=rows)

    def order(choice: Choice) -> str:
        return "".join(row.layers[0] for row in shared.pick(found, choice).shown)

    assert order(Choice()) == "abcd"
    assert order(Choice(Sort.TIME)) == "cadb"
    assert order(Choice(Sort.RATIO)) == "badc"
    assert order(Choice(Sort.GAP)) == "cbad"
    assert order(Choice(limit=2)) == "ac"
    assert order(Choice(Sort.RATIO, limit=1)) == "b"
    assert order(Choice(min_share=0.06)) == "abc"
    picked = shared.pick(found, Choice(limit=2))
    assert shared.summed(picked.rest).cells[1].ns == 8


@pytest.mark.parametrize(
    ("layers", "longest", "text"),
    [
        (("conv1",), 20, "conv1"),
        (("conv1", "bn", "relu"), 20, "conv1 … relu"),
        (("/l1/0/conv", "/l1/0/relu"), 16, "/l1/0/… +1"),
        (("/l1/0/conv", "/l1/0/relu"), 17, "/l1/0/conv … relu"),
        (("a" * 30, "b"), 12, "aa…aaaaaa +1"),
        (("\x1b[31mred",), 40, "\\x1b[31mred"),
    ],
)
def test_names_of_blocks(layers: tuple[str, ...], longest: int, text: str) -> None:
    made = shared.layers_text(layers, longest)
    assert len(made) <= longest
    if text != "/l1/0/… +1":
        assert made == text


@pytest.mark.parametrize(
    ("operators", "longest", "text"),
    [
        (("Conv", "BatchNormalization", "Relu"), 40, "Conv+BatchNormalization+Relu"),
        (("Conv", "BatchNormalization", "Relu"), 20, "Conv+…+Relu"),
        (("Conv", "BatchNormalization"), 12, "Conv+…"),
        (("BatchNormalization",), 12, "Bat…lization"),
        (("Mul", "Mul", "Mul", "Add"), 20, "Mul×3+Add"),
        (("", "Add"), 20, "Add"),
        ((), 20, ""),
    ],
)
def test_chains_of_operators(operators: tuple[str, ...], longest: int, text: str) -> None:
    assert shared.operators_text(operators, longest) == text


@given(st.lists(own.text, min_size=1, max_size=5), st.integers(8, 60))
def test_texts_never_exceed_their_room(names: list[str], longest: int) -> None:
    assert len(shared.layers_text(names, longest)) <= longest
    assert len(shared.operators_text(names, longest)) <= longest


def test_ratios_in_print() -> None:
    told = [shared.number(ratio) for ratio in (0.0123, 0.5, 1.0, 12.34, 341.2, 1e9)]
    assert told == ["0.012", "0.50", "1.00", "12.3", "341", ">9999"]


def test_names_from_a_model_do_no_harm() -> None:
    run = several()
    evil = "<b>|@all\n\x1b[31m"
    steps = (dataclasses.replace(run.steps[0], layers=(evil,)), *run.steps[1:])
    found = align([dataclasses.replace(run, steps=steps), changed(run, backend=evil)])
    for text in (
        shown(alignment_table.table(found, Choice())),
        alignment_text.markdown(found, Choice()),
        shown(alignment_batches.table(over_batches([c.run for c in found.columns]), Choice())),
    ):
        assert "\x1b" not in text
    assert "<b>" not in alignment_text.markdown(found, Choice())
    assert "@all" not in alignment_text.markdown(found, Choice())


def test_wrong_outputs_are_marked_everywhere() -> None:
    found = align(three())
    text = shown(alignment_table.table(found, Choice()))
    assert "outputs ✗" in text
    assert "✗openvino" in text
    assert "~~" in alignment_text.markdown(found, Choice())


@pytest.mark.parametrize(
    "pattern", ["blocks/{}/expand/conv/Conv", "model/{}", "a-very-long-network/layer/conv_{}_Conv"]
)
def test_names_that_are_cut_stay_apart(pattern: str) -> None:
    named = [(pattern.format(i), f"{i}/BatchNormalization", "Relu") for i in range(9)]
    for longest in (20, 24, 30):
        told = shared.layer_names(named, longest)
        assert len(set(told)) == 9
        assert max(map(len, told)) <= longest


def test_a_cut_is_the_usual_one_where_that_tells_names_apart() -> None:
    names = [("short", 9), ("layers/one/conv", 9), ("layers/two/bias", 9)]
    assert telling_cut(names) is shortened
    alike = [(f"blocks/{i}/expand/conv/Conv", 14) for i in range(5)]
    assert len({telling_cut(alike)(*each) for each in alike}) == 5
