"""Chrome traces and Model Explorer's node data: golden files, the formats' rules, the names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support import strategies
from support.golden import check_golden
from typer.testing import CliRunner

from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.cli.commands.stored.runs import app
from onnxprof.errors import UsageError
from onnxprof.publish.overlays.chrome import chrome_trace
from onnxprof.publish.overlays.model_explorer import files, node_data, node_places
from onnxprof.records.layer import Layer, LayerKind, LayerTable
from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def test_golden_files() -> None:
    check_golden("trace.json", chrome_trace([sample_run(), sample_run(batch=8, fused=False)]))
    check_golden("node_data.json", node_data(sample_run()))


def events(*runs: Run) -> list[dict[str, Any]]:
    return json.loads(chrome_trace(runs))["traceEvents"]


def check_events(told: list[dict[str, Any]]) -> None:
    """The Trace Event Format's rules for the phases that we use."""
    fields = {"M": {"args"}, "X": {"ts", "dur", "cat", "args"}, "i": {"ts", "s", "cat", "args"}}
    for event in told:
        assert set(event) == {"name", "ph", "pid", "tid"} | fields[event["ph"]]
        assert isinstance(event["name"], str)
        assert all(type(event[key]) is int for key in ("pid", "tid"))
        assert isinstance(event["args"], dict)
        if event["ph"] != "M":
            assert event["ts"] >= 0
            assert event.get("dur", 0) >= 0
    assert json.dumps(told, allow_nan=False)


@given(strategies.runs(failures=False, least=1))
def test_every_trace_keeps_the_rules_and_lies_end_to_end(run: Run) -> None:
    told = events(run)
    check_events(told)
    sums = reconcile(run)
    slices = [event for event in told if event["ph"] == "X"]
    end = 0
    for event in slices:
        assert round(event["ts"] * 1000) == end
        end += round(event["dur"] * 1000)
    times = [row.median_ns for row in sums.rows[:-1] if row.median_ns is not None]
    assert end == sum(ns for ns in times if ns > 0)
    assert len(slices) == sum(ns >= 0 for ns in times)
    assert len(told) - len(slices) - sum(e["ph"] == "M" for e in told) == sum(
        ns < 0 for ns in times
    )


@given(strategies.runs(failures=False, least=1))
def test_node_data_holds_each_named_layer_once(run: Run) -> None:
    for graph in json.loads(node_data(run)).values():
        assert set(graph) == {"results", "gradient"}
        assert {stop["stop"] for stop in graph["gradient"]} >= {0, 1}
        assert all(type(r["value"]) is float for r in graph["results"].values())


def test_runs_are_processes_and_failed_ones_are_left_out() -> None:
    lost = dataclasses.replace(sample_run(), timings=None, failure="killed")
    wrong = (RunWarning(WarningKind.PARITY_FAILED, 0.5, "y"),)
    told = events(lost, sample_run(), dataclasses.replace(sample_run(batch=8), warnings=wrong))
    names = [e["args"]["name"] for e in told if e["name"] == "process_name"]
    assert names == [
        "sample · fake · cpu:fake · batch 1 · 2 threads",
        "sample · fake · cpu:fake · batch 8 · 2 threads",
    ]
    labels = [(e["pid"], e["args"]["labels"]) for e in told if e["name"] == "process_labels"]
    assert labels == [(2, "wrong outputs")]


def test_steps_stand_in_execution_order_not_in_table_order() -> None:
    run = sample_run(fused=False)
    assert run.timings is not None
    turned = dataclasses.replace(
        run,
        steps=run.steps[::-1],
        timings=dataclasses.replace(run.timings, step_ns=run.timings.step_ns[::-1]),
    )
    slices = [e for e in events(turned) if e["ph"] == "X"]
    assert [e["args"].get("step") for e in slices[:-1]] == [s.name for s in turned.steps]
    assert [e["cat"] for e in slices] == ["unattributed", "timed", "timed", "timed", "overhead"]


def test_steps_on_one_row_stand_where_the_first_is() -> None:
    run = sample_run(fused=False)
    conv = run.steps[0].layers
    again = (run.steps[1], dataclasses.replace(run.steps[0]), *run.steps[2:])
    steps = (*again[:3], dataclasses.replace(again[3], layers=conv))
    slices = [e for e in events(dataclasses.replace(run, steps=steps)) if e["ph"] == "X"]
    assert slices[1]["args"]["step"] == f"{steps[1].name} + reorder_1"
    assert len(slices) == 4


def test_an_inflated_run_has_a_moment_for_its_overhead() -> None:
    run = sample_run()
    assert run.timings is not None
    fast = dataclasses.replace(run.timings, latency_ns=run.timings.latency_ns // 2)
    told = events(dataclasses.replace(run, timings=fast))
    check_events(told)
    assert told[-1]["ph"] == "i"
    assert told[-1]["name"].startswith("(overhead): -")


def node(
    name: str, given: str, op_type: str = "Relu", parent: str = "", subgraph: str = ""
) -> Layer:
    kind = LayerKind.NODE
    inside = {"parent": parent, "subgraph": subgraph}
    return Layer(name, kind, op_type, op_type, "", 17, given_name=given, **inside)


def run_of(*layers: Layer, graph: str = "main_graph") -> Run:
    run = sample_run()
    steps = tuple(
        Step(y.name, y.op_type, "", (y.name,), run.steps[0].confidence) for y in layers[:3]
    )
    model = dataclasses.replace(run.model, graph_name=graph)
    return dataclasses.replace(run, model=model, table=LayerTable(layers, 1), steps=steps)


def test_nodes_are_called_as_the_adapter_calls_them() -> None:
    """The expected ids were told by model-explorer-onnx 0.4.2 on such graphs."""
    run = run_of(
        *(node("a", ""), node("same", "same"), node("c", "", "Sigmoid"), node("same#2", "same")),
        *(node("same_1", "same_1"), node("same#3", "same"), node("loop", "loop", "Loop")),
        node("still", "", "Identity", "loop", "body"),
        node("double", "double", "Add", "loop", "body"),
        node("choose", "choose", "If"),
        node("left", "side", "Mul", "choose", "then_branch"),
        node("deeper", "deeper", "If", "choose", "then_branch"),
        node("deepest", "deepest", "Neg", "deeper", "then_branch"),
        node("right", "side", "Add", "choose", "else_branch"),
    )
    places = node_places(run)
    ids = ["node", "same", "node_1", "same_1", "same_1_1", "same_2", "loop", "choose"]
    assert [node for graph, node in places.values() if graph == "main_graph"] == ids
    assert (places["still"], places["double"]) == (("loop/body", "node"), ("loop/body", "double"))
    assert places["left"] == ("choose/then_branch", "side")
    assert places["right"] == ("choose/else_branch", "side")
    assert "deepest" not in places


def test_a_nameless_graph() -> None:
    run = run_of(node("a", "a"), node("b", "b"), node("c", "c"), graph="")
    (graph,) = json.loads(node_data(run))
    assert graph == "<main>"


def test_values_are_those_of_the_table() -> None:
    run = run_of(node("a", "a"), node("b", "b"), node("c", "c"))
    results = json.loads(node_data(run))["main_graph"]["results"]
    rows = {r.name: r.median_ns for r in reconcile(run).rows if r.status is Status.TIMED}
    assert {name: round(r["value"] * 1e6) for name, r in results.items()} == rows


def test_files_have_names_of_their_own() -> None:
    made = files([sample_run(), sample_run(), sample_run("a/b", 8)])
    assert list(made) == [
        "sample-fake-cpu-fake-b1-t2-2026-01-02T03-04-05Z.json",
        "sample-fake-cpu-fake-b1-t2-2026-01-02T03-04-05Z-2.json",
        "a-b-fake-cpu-fake-b8-t2-2026-01-02T03-04-05Z.json",
    ]


def export(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 8):
        store.save(sample_run("resnet50", batch))
    return store.root


def test_export_for_chrome(root: Path) -> None:
    told = json.loads(export("--store", root, "--format", "chrome").stdout)
    assert told["displayTimeUnit"] in ("ms", "ns")
    check_events(told["traceEvents"])


def test_export_for_model_explorer(root: Path, tmp_path: Path) -> None:
    asked = ("--store", root, "--format", "model-explorer")
    one = export(*asked, "--batch", 8)
    assert list(json.loads(one.stdout)) == ["<main>"]
    export(*asked, "--batch", 8, "-o", tmp_path / "one.json")
    assert (tmp_path / "one.json").read_text() == one.stdout
    refused = export(*asked).exception
    assert isinstance(refused, UsageError)
    assert "2 match" in str(refused)
    assert export(*asked, "-o", tmp_path / "overlays").exit_code == 0
    assert len(list((tmp_path / "overlays").glob("resnet50-*.json"))) == 2
    newest = export(*asked, "-o", tmp_path / "newest.json")
    assert "2 runs match" in newest.output
    assert list(json.loads((tmp_path / "newest.json").read_text())) == ["<main>"]
