"""A figure of a run is the same wherever it is printed."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.runs import imported_runs
from support.runs.interrupted import MS, machine, run_of
from support.runs.prefixed import prefixed

from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import CLOSING, Status, reconcile
from onnxprof.compare.align import align
from onnxprof.compare.changes import compare
from onnxprof.publish.comparing import alignment_table, alignment_text, changes
from onnxprof.publish.comparing.alignment import Choice
from onnxprof.publish.overlays.chrome import chrome_trace
from onnxprof.publish.overlays.model_explorer import node_data
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.embed import page_data
from onnxprof.publish.pdf import timings
from onnxprof.publish.tables import run_summary
from onnxprof.publish.tables.runs import everything
from onnxprof.publish.tables.timings import timing_csv, timing_table
from onnxprof.publish.text import numbers
from onnxprof.records.run import Run
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run


def interrupted(seed: int = 0) -> Run:
    """Each fourth inference loses its core."""
    steps, plain = machine(seed)
    steps[0, ::4] += 3 * MS
    plain[::4] += 3 * MS
    return run_of(steps, plain)


def cut(seed: int = 0) -> Run:
    return prefixed(sample_run(seed=seed), [10_000, 700_000, 2_010_000], (0, 1, 3))


def shared_rows() -> Run:
    """Two steps of one layer, one that belongs to none."""
    run = interrupted()
    names = [layer.name for layer in run.table.nodes]
    steps = [dataclasses.replace(s, layers=(names[0],)) for s in run.steps[:2]]
    steps += [dataclasses.replace(run.steps[2], layers=())]
    return dataclasses.replace(run, steps=(*steps, *run.steps[3:]))


def nested() -> Run:
    """The steps of a branch stand beside the control-flow step, which has what is left."""
    run = interrupted()
    inner = {layer.name for layer in run.table.nodes[2:5]}
    outer = run.table.nodes[1].name
    layers = [
        dataclasses.replace(layer, parent=outer, subgraph="body") if layer.name in inner else layer
        for layer in run.table
    ]
    return dataclasses.replace(run, table=dataclasses.replace(run.table, layers=tuple(layers)))


def imported(folder: Path, times: bool) -> Run:
    return imported_runs.made(imported_runs.models_in(folder), times=times)


RUNS: dict[str, Callable[[Path], Run]] = {
    "trace": lambda _: interrupted(),
    "prefix": lambda _: cut(),
    "processes": lambda _: merge([interrupted(seed) for seed in range(3)]),
    "prefixes of processes": lambda _: merge([cut(seed) for seed in range(3)]),
    "nested": lambda _: nested(),
    "shared rows": lambda _: shared_rows(),
    "imported": lambda folder: imported(folder, times=True),
    "imported without latencies": lambda folder: imported(folder, times=False),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return RUNS[request.param](tmp_path)


def ns(ms: str | float | Decimal) -> int:
    return round(Decimal(ms) * 1_000_000)


def times(run: Run) -> dict[str, int]:
    """Of each row that has a time."""
    return {row.name: row.median_ns for row in reconcile(run).rows if row.median_ns is not None}


def shown(part: object, width: int = 400) -> list[str]:
    sink = io.StringIO()
    Console(file=sink, width=width, highlight=False).print(part)
    return sink.getvalue().splitlines()


def test_exports(run: Run) -> None:
    told = times(run)
    rows = csv.DictReader(io.StringIO(timing_csv([run])))
    assert {r["layer_name"]: ns(r["median_ms"]) for r in rows if r["median_ms"]} == told
    columns = timing_table([run]).to_pydict()
    pairs = zip(columns["layer_name"], columns["median_ms"], strict=True)
    assert {name: ns(ms) for name, ms in pairs if ms is not None} == told
    [whole] = json.loads(everything([run]))["runs"]
    found = {r["layer_name"]: r["median_ms"] for r in whole["rows"] if r["median_ms"] is not None}
    assert {name: ns(ms) for name, ms in found.items()} == told
    events = json.loads(chrome_trace([run]))["traceEvents"]
    slices = {event["name"]: round(event["dur"] * 1000) for event in events if event["ph"] == "X"}
    assert slices == {name: time for name, time in told.items() if name in slices}
    layers = {layer.name for layer in run.table.nodes}
    nodes = [n["value"] for g in json.loads(node_data(run)).values() for n in g["results"].values()]
    assert sorted(map(ns, nodes)) == sorted(t for name, t in told.items() if name in layers)
    assert summarise(run).layer_sum_ns == reconcile(run).layer_sum_ns


def test_terminal(run: Run) -> None:
    told = times(run)
    lines = shown(run_summary.summary(run, limit=None))
    for name, time in told.items():
        printed = f"{Decimal(time) / 1_000_000:.6f}"
        assert any(name in line and printed in line for line in lines), (name, printed)


def test_pages_and_pdf(run: Run) -> None:
    sums = reconcile(run)
    [page] = catalogue([run])
    [data] = page_data(page)["runs"]
    given = (Status.CONSTANT, Status.INPUT)
    body = [row for row in sums.rows if row.status not in given]
    known = [r for r in body if r.status is not Status.INTERRUPTIONS or r.median_ns is not None]
    assert data["m"] == [row.median_ns for row in known]
    assert data["lo"] == [row.p5_ns for row in known]
    assert data["hi"] == [row.p95_ns for row in known]
    assert sum(ns or 0 for ns in data["m"][:-1]) == sums.total_ns
    assert data["sums"] == sum(row.status in CLOSING for row in known)
    document = json.loads(timings.manuscript(run, sums).data)
    unit = numbers.unit_for(sums.total_ns)[1]
    printed = [row["times"][0] for row in (*document["rows"], *document["closing"])]
    wanted = ["" if r.median_ns is None else numbers.three(r.median_ns / unit) for r in known]
    assert printed == wanted


def test_align(run: Run) -> None:
    other = dataclasses.replace(run, request=dataclasses.replace(run.request, backend="other"))
    found = align([run, other])
    sums = reconcile(run)
    for row in found.rows:
        inside = [r.median_ns or 0 for r in sums.rows if r.layer and r.layer.name in row.layers]
        assert row.cells[0].ns == sum(inside)
    for kind, time in (
        (found.no_layer, sums.unattributed_ns),
        (found.interruptions, sums.interruptions_ns),
        (found.overhead, sums.overhead_ns if sums.is_whole else None),
        (found.total, sums.total_ns if sums.is_whole else None),
    ):
        assert kind.cells[0].ns == time
        assert kind.cells[1].ns == time
    printed = {r["row"]: r for r in csv.DictReader(io.StringIO(alignment_text.to_csv(found)))}
    ms = printed["layers"][f"{found.columns[0].label} ms"]
    assert ns(ms) == sums.layer_sum_ns - sums.unattributed_ns
    assert shown(alignment_table.table(found, Choice()))


def test_compare(run: Run) -> None:
    sums = reconcile(run)
    if not sums.is_whole or (run.origin and run.origin.averaged):
        pytest.skip("no differences can be tested")
    assert run.timings is not None
    slower = dataclasses.replace(run.timings, latency_ns=run.timings.latency_ns * 2)
    other = dataclasses.replace(run, timings=slower)
    told = compare([([run], [other])], 0.02)
    [pair] = told.pairs
    plain = json.loads(changes.to_json_text(told))["pairs"][0]
    for side, of in (("a", sums), ("b", reconcile(other))):
        assert ns(plain["latency"][f"{side}_ms"]) == of.total_ns
        assert ns(plain[f"overhead_{side}_ms"]) == of.overhead_ns
        if of.interruptions_ns is not None:
            assert ns(plain[f"interruptions_{side}_ms"]) == of.interruptions_ns
        for row in plain["rows"]:
            inside = [
                r.median_ns or 0 for r in of.rows if r.layer and r.layer.name in row["layers"]
            ]
            assert ns(row[f"{side}_ms"]) == (sum(inside) if row["layers"] else of.unattributed_ns)
    for row in (pair.latency, *pair.rows):
        assert row.ratio == pytest.approx((row.b_ns or 0) / (row.a_ns or 1))
    lines = shown(changes.table(told))
    assert any("(overhead)" in line for line in lines)


def test_a_side_of_several_runs_has_their_means() -> None:
    runs = [interrupted(seed) for seed in range(3)]
    [pair] = compare([(runs, runs[:1])], 0.02).pairs
    totals = [reconcile(run).total_ns for run in runs]
    assert pair.latency.a_ns == pytest.approx(np.mean(totals))
    overhead = np.mean([reconcile(run).overhead_ns for run in runs])
    assert pair.overhead_ns[0] == pytest.approx(overhead, abs=1)
