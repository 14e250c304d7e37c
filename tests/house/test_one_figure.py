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
from support import inturn
from support.runs import imported_runs
from support.runs.interrupted import MS, machine, run_of
from support.runs.prefixed import prefixed

from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import CLOSING, Status, reconcile
from onnxprof.compare.align import align
from onnxprof.compare.changes import compare
from onnxprof.compare.over_batches import over_batches, speedup
from onnxprof.publish.comparing import alignment_table, alignment_text, changes
from onnxprof.publish.comparing import over_batches as batch_tables
from onnxprof.publish.comparing.alignment import Choice, number
from onnxprof.publish.json import documents
from onnxprof.publish.overlays.chrome import chrome_trace
from onnxprof.publish.overlays.model_explorer import node_data
from onnxprof.publish.pages import pair as pair_pages
from onnxprof.publish.pages import side_by_side
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.embed import page_data
from onnxprof.publish.pdf import timings
from onnxprof.publish.tables import gpu, run_summary
from onnxprof.publish.tables.runs import everything, list_csv, list_json
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
    ends = [(row.p5_ns, row.median_ns, row.p95_ns) for row in known]
    assert data["lo"] == [None if low is None else m - low for low, m, _ in ends]
    assert data["hi"] == [None if high is None else high - m for _, m, high in ends]
    assert sum(ns or 0 for ns in data["m"][:-1]) == sums.total_ns
    assert data["sums"] == sum(row.status in CLOSING for row in known)
    unit = numbers.unit_for(sums.total_ns)[1]
    rows, closing = timings.printed_rows(sums, run.table)
    printed = [row.times[0] for row in (*rows, *closing)]
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
    plain = json.loads(documents.text(changes.plain(told)))["pairs"][0]
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


def on_a_gpu() -> Run:
    """Its own clock for the steps, the host's beside it."""
    run = interrupted()
    assert run.timings is not None
    host = run.timings.step_ns // 3
    return dataclasses.replace(run, timings=dataclasses.replace(run.timings, host_ns=host))


def test_a_gpus_own_tables() -> None:
    run = on_a_gpu()
    rows = list(csv.DictReader(io.StringIO(gpu.steps_csv([run]))))
    assert {row["layers"]: ns(row["device_ms"]) for row in rows} == {
        name: time for name, time in times(run).items() if not name.startswith("(")
    }
    for row in rows:
        factor = ns(row["host_ms"]) / ns(row["device_ms"])
        assert float(row["host_over_device"]) == pytest.approx(factor, rel=1e-3)


def test_lists(run: Run) -> None:
    sums = reconcile(run)
    [listed] = json.loads(list_json([summarise(run)]))
    [row] = csv.DictReader(io.StringIO(list_csv([summarise(run)])))
    for figures in (listed, row):
        assert ns(figures["layer_sum_ms"]) == sums.layer_sum_ns
        if sums.is_whole:
            assert ns(figures["median_ms"]) == sums.total_ns


def test_forms_of_an_alignment(run: Run) -> None:
    """Each form has the cells' times, and ratios of these."""
    other = dataclasses.replace(run, request=dataclasses.replace(run.request, backend="other"))
    found = align([run, other])
    plain = alignment_text.plain(found)
    table = csv.DictReader(io.StringIO(alignment_text.to_csv(found)))
    marked = alignment_text.markdown(found, Choice())
    lines = shown(alignment_table.table(found, Choice()))
    for row, block, line in zip(found.rows, plain["blocks"], table, strict=False):
        for cell, told, column in zip(row.cells, block["cells"], found.columns, strict=True):
            assert told["ns"] == cell.ns
            assert ns(line[f"{column.label} ms"] or 0) == (cell.ns or 0)
            if cell.ratio is not None:
                first = row.cells[0].ns or 1
                assert cell.ratio == told["ratio"] == (cell.ns or 0) / first
                assert f"| {number(cell.ratio)}" in marked
                assert any(number(cell.ratio) in text for text in lines)


def other_system(run: Run, scale: int) -> Run:
    """The same on another backend, so many times as slow."""
    assert run.timings is not None
    changed = {
        name: getattr(run.timings, name) * scale
        for name in ("latency_ns", "traced_ns", "step_ns", "prefix_ns", "empty_ns")
    }
    request = dataclasses.replace(run.request, backend="other")
    changed_timings = dataclasses.replace(run.timings, **changed)
    return dataclasses.replace(run, request=request, timings=changed_timings)


def test_batch_by_batch(run: Run) -> None:
    if not reconcile(run).is_whole:
        pytest.skip("no latency")
    runs = [run, other_system(run, 2)]
    found = over_batches(runs)
    alike = align(runs)
    rows = list(csv.DictReader(io.StringIO(batch_tables.to_csv(found))))
    [points] = found.points
    for number_, point in enumerate(points):
        assert point is not None
        assert point.latency_ns == reconcile(runs[number_]).total_ns
        own = [row for row in rows if row["system"] == found.systems[number_]]
        assert [ns(row["ms"]) for row in own if not row["layers"]] == [point.latency_ns]
        blocks = [row.cells[number_].ns or 0 for row in alike.rows]
        assert [ns(row["ms"] or 0) for row in own if row["layers"]] == blocks
    faster = speedup(points[1].cell) if points[1] else None
    a, b = (reconcile(r).total_ns for r in runs)
    assert faster == pytest.approx(a / b - 1)
    rates = [float(row["inferences_per_s"]) for row in rows if not row["layers"]]
    assert faster == pytest.approx(rates[1] / rates[0] - 1, rel=1e-4)


def test_pages_of_several_systems(run: Run) -> None:
    if not reconcile(run).is_whole:
        pytest.skip("no latency")
    runs = [run, other_system(run, 2)]
    pages = catalogue(runs)
    found = align([entry.run for entry in pages[0].entries])
    [(_, text)] = side_by_side.scripts(pages[0])
    data = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    assert [[cell[0] for cell in row[3]] for row in data["rows"]] == [
        [cell.ns for cell in row.cells] for row in found.rows
    ]
    assert [cell[0] for cell in data["sums"][-1][1]] == [c.ns for c in found.total.cells]
    [pair], _ = pair_pages.pair_pages(pages)
    [row] = csv.DictReader(io.StringIO(pair_pages.pair_csv(pair)))
    assert {ns(row["a_ms"]), ns(row["b_ms"])} == {reconcile(r).total_ns for r in runs}
    ratio = ns(row["b_ms"]) / ns(row["a_ms"])
    assert float(row["times_as_fast"]) == pytest.approx(ratio, rel=1e-5)


def test_forms_of_a_comparison(run: Run) -> None:
    sums = reconcile(run)
    if not sums.is_whole or (run.origin and run.origin.averaged):
        pytest.skip("no differences can be tested")
    told = compare([([run], [other_system(run, 2)])], 0.02)
    [pair] = told.pairs
    every = (pair.latency, *pair.rows)
    rows = list(csv.DictReader(io.StringIO(changes.to_csv(told))))
    assert [(ns(row["a_ms"]), ns(row["b_ms"])) for row in rows] == [
        (round(row.a_ns or 0), round(row.b_ns or 0)) for row in every
    ]
    assert {row["ratio_of"] for row in rows} == {"times"}
    forms = shown(changes.table(told, limit=None)), changes.markdown(told).splitlines()
    for lines in forms:
        assert any("B / A" in line for line in lines)
        for row in every:
            ratio = f"{row.ratio:.3f}"
            assert any(
                row.name.replace("_", "") in line.replace("\\", "").replace("_", "")
                and ratio in line
                for line in lines
            )


def test_in_turn_the_times_are_the_runs_own_and_the_ratios_say_that_they_are_not() -> None:
    layers = (1_000_000, 300_000, 500_000)
    machine = inturn.Machine({"a": layers, "b": layers}, traced_cost_ns=300_000)
    runs = inturn.measured(machine, 3)
    told = compare([([runs[0]], [runs[1]])], 0.02, in_turn=True)
    [pair] = told.pairs
    plain = json.loads(documents.text(changes.plain(told)))
    for side, run in zip("ab", runs, strict=True):
        sums = reconcile(run)
        [figures] = plain["pairs"]
        assert ns(figures["latency"][f"{side}_ms"]) == sums.total_ns
        assert ns(figures[f"overhead_{side}_ms"]) == sums.overhead_ns
        own = times(run)
        for row in figures["rows"]:
            assert ns(row[f"{side}_ms"]) == sum(own[name] for name in row["layers"])
    assert plain["ratios_of"] == "neighbouring blocks"
    rows = csv.DictReader(io.StringIO(changes.to_csv(told)))
    assert {row["ratio_of"] for row in rows} == {"neighbouring blocks"}
    for text in ("\n".join(shown(changes.table(told))), changes.markdown(told)):
        assert "B / A" not in text
        assert "paired: B over A as the median of blocks" in text
        assert f"(paired {pair.latency.ratio:.3f}" in text
