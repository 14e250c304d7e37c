"""The executed graph beside the file's: what is said of each layer, in each form."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.habits.documents import checked

from onnxprof.analysis.optimised import Fate, Optimised, optimised
from onnxprof.errors import StoreError
from onnxprof.publish.json.inspected import optimized
from onnxprof.publish.optimised import dot, records, table
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.testing import sample_run


def node(name: str, op_type: str, given: str, made: str) -> Layer:
    tensors = (Tensor(given, "float32", (1, 4)),), (Tensor(made, "float32", (1, 4)),)
    return Layer(name, LayerKind.NODE, op_type, op_type, "", 17, tensors[0], tensors[1])


def step(name: str, op_type: str, *layers: str, verdict: str = "verified") -> Step:
    how = Confidence.EXACT if layers else Confidence.NONE
    return Step(name, op_type, "CPU", layers, how, verdict=verdict if layers else "")


LAYERS = (
    node("conv", "Conv", "x", "a"),
    node("relu", "Relu", "a", "b"),
    node("shape", "Shape", "b", "s"),
    node("drop", "Dropout", "b", "c"),
    node('odd "name"\\', "Gemm", "c", "y"),
)
STEPS = (
    step("ReorderInput of x", "ReorderInput"),
    step("conv", "Conv", "conv", "relu"),
    step("odd", "Gemm", LAYERS[-1].name),
)


def run_of(steps: tuple[Step, ...] = STEPS) -> Run:
    run = sample_run()
    assert run.timings is not None
    shares = np.array([[1], [6], [2]], np.int64)[: len(steps)]
    count = run.timings.step_ns.shape[1]
    times = shares * np.full(count, int(run.timings.latency_ns.mean()) // 10)
    timings = replace(run.timings, step_ns=times, traced_ns=times.sum(axis=0) + 1000)
    made = replace(run, table=LayerTable(LAYERS, 1), steps=steps, folded=("shape",))
    return replace(made, timings=timings)


@pytest.fixture
def found() -> Optimised:
    return optimised(run_of())


def text_of(found: Optimised, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        for part in table.parts(found):
            console.print(part, markup=False, highlight=False)
    return captured.get()


def test_each_layer_has_one_fate(found: Optimised) -> None:
    assert found.fates() == {
        Fate.FUSED: 2, Fate.ALONE: 1, Fate.FOLDED: 1, Fate.NOT_EXECUTED: 1,
    }  # fmt: skip
    assert found.fates().total() == found.layers
    assert found.inserted == {"ReorderInput": 1}
    shares = [part.share or 0 for part in found.parts]
    assert 0.8 < sum(shares) < 1
    assert shares[1] == max(shares)


def test_the_table_fits_eighty_columns_and_has_every_layer(found: Optimised) -> None:
    text = text_of(found)
    assert max(map(len, text.splitlines())) <= 80
    for name in ("conv", "relu", "shape", "drop", "(inserted)", "(left out)"):
        assert name in text
    assert "5 layers of the file run as 2 steps: 1 on their own, 2 fused with others." in text
    assert "1 layer is computed while loading." in text
    assert "1 step was inserted, " in text
    assert text.splitlines()[0].startswith("sample, batch 1, fake cpu")


def test_a_refuted_step_is_not_taken_for_an_inserted_one() -> None:
    steps = (*STEPS[:2], Step("odd", "Gemm", "CPU", (), Confidence.NONE, verdict="refuted: no"))
    found = optimised(run_of(steps))
    assert found.inserted == {"ReorderInput": 1}
    assert found.fates()[Fate.UNKNOWN] == 2
    assert "(not known)" in text_of(found)


def test_csv_has_a_row_for_each_layer_and_each_inserted_step(found: Optimised) -> None:
    rows = list(csv.DictReader(io.StringIO(records.to_csv(found))))
    assert [(row["layer"], row["fate"], row["position"]) for row in rows] == [
        ("", "inserted", "1"),
        ("conv", "fused", "2"),
        ("relu", "fused", "2"),
        (LAYERS[-1].name, "alone", "3"),
        ("shape", "folded", ""),
        ("drop", "not executed", ""),
    ]
    assert {row["executed_as"] for row in rows[1:3]} == {"Conv"}
    assert all(0 < float(row["share"]) < 1 for row in rows[:4])


def test_json_has_the_steps_in_order_and_the_rest(found: Optimised) -> None:
    document = checked(json.dumps(optimized(records.body(found))), "optimized")
    assert (document["model"], document["backend"], document["layers"]) == ("sample", "fake", 5)
    assert document["counts"] == {
        "alone": 1, "fused": 2, "folded": 1, "not executed": 1, "unknown": 0, "inserted": 1,
    }  # fmt: skip
    assert [len(step["layers"]) for step in document["steps"]] == [0, 2, 1]
    assert document["steps"][1]["layers"][1] == {"layer": "relu", "operator": "Relu"}
    assert [gone["layer"] for gone in document["without_step"]] == ["shape", "drop"]
    assert document["options"] == []


def test_a_drawing_has_each_layer_once_in_the_box_of_its_step(found: Optimised) -> None:
    text = dot.to_dot(found)
    assert text.startswith("digraph optimised {")
    assert text.count("[shape=box") == 6
    assert text.count("subgraph cluster_") == 2
    assert "l0 -> l1;" in text
    assert "l1 -> l2;" in text
    assert 'label="Gemm\\nodd \\"name\\"\\\\"' in text
    assert text.count("{") == text.count("}")


def test_names_of_a_model_cannot_break_out() -> None:
    evil = replace(LAYERS[0], name='a"];\n evil [label="\x1b[31m')
    run = replace(run_of(), table=LayerTable((evil, *LAYERS[1:]), 1))
    steps = (STEPS[0], step("s", "Conv", evil.name), STEPS[2])
    text = dot.to_dot(optimised(replace(run, steps=steps)))
    assert "\x1b" not in text
    assert '\\"];\\\\n evil' in text


def test_options_stand_in_the_title() -> None:
    run = run_of()
    asked = replace(run.request, optimization_level="basic", session_options=(("a", "1"),))
    assert "optimisation level basic, a=1" in table.title(optimised(replace(run, request=asked)))


def test_a_failed_run_has_no_executed_graph() -> None:
    with pytest.raises(StoreError, match="this run has no times: broke"):
        optimised(replace(run_of(), timings=None, failure="broke"))
