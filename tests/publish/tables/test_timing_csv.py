"""The per-layer CSV, its Arrow form, and the words and tables for terminals."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from rich.console import Console, RenderableType
from support import strategies
from support.golden import check_golden
from support.runs.ceilings import ceilings
from support.sites import wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.tables import identity, run_summary
from onnxprof.publish.tables import runs as runlist
from onnxprof.publish.tables import timings as timing_csv
from onnxprof.publish.text import numbers, sentences
from onnxprof.publish.text.safe import printable
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.layer import Tensor
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run

HEADER = (
    "model,device,backend,batch,layer_name,layer_type,op_type,input_names,output_names,"
    "input_shapes,output_shapes,status,step,median_ms,p5_ms,p95_ms,samples,share,caveat,"
    "flops,bytes,intensity,bound,fraction_of_ceiling,alive_bytes,"
    "run,created,threads,granularity,timer,provider,dims,onnxprof_version,runtime_version,"
    "model_sha256,half_width,caveats,wrong,options"
)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def shown(renderable: RenderableType, width: int = 80) -> str:
    sink = io.StringIO()
    Console(file=sink, width=width, highlight=False).print(renderable)
    return sink.getvalue()


def failed(run: Run) -> Run:
    return dataclasses.replace(run, timings=None, failure="killed at 2 GiB")


def renamed(name: str) -> Run:
    run = sample_run(name)
    first = dataclasses.replace(run.table.layers[2], name=name)
    layers = (*run.table.layers[:2], first, *run.table.layers[3:])
    steps = (dataclasses.replace(run.steps[0], layers=(name,)), *run.steps[1:])
    table = dataclasses.replace(run.table, layers=layers)
    return dataclasses.replace(run, table=table, steps=steps)


def test_golden_file() -> None:
    made = timing_csv.timing_csv([sample_run(), sample_run(batch=8, fused=False)])
    check_golden("timing.csv", made)


def test_header_is_as_agreed() -> None:
    assert timing_csv.timing_csv([]) == HEADER + "\r\n"


@given(strategies.runs(failures=False, least=1))
@settings(max_examples=50)
def test_printed_medians_add_up_exactly(run: Run) -> None:
    rows = parsed(timing_csv.timing_csv([run]))
    *above, total = [Decimal(row["median_ms"] or 0) for row in rows]
    assert rows[-1]["layer_name"] == "(total)"
    assert sum(above, Decimal(0)) == total
    assert len(rows) >= len(run.table) + 2


@given(strategies.runs(failures=False, least=1))
@settings(max_examples=50)
def test_any_name_survives_the_quoting(run: Run) -> None:
    rows = parsed(timing_csv.timing_csv([run]))
    assert [row["layer_name"] for row in rows[: len(run.table)]] == [
        printable(layer.name, keep="\n") for layer in run.table
    ]
    assert {row["model"] for row in rows} == {printable(run.request.model_name, keep="\n")}


def test_several_runs_share_a_header_and_failed_ones_are_left_out() -> None:
    runs = [sample_run(), failed(sample_run(batch=2)), sample_run(batch=8)]
    rows = parsed(timing_csv.timing_csv(runs))
    assert [row["batch"] for row in rows if row["layer_name"] == "(total)"] == ["1", "8"]


def test_shapes() -> None:
    tensors = [Tensor("a", "", (1, "N", None)), Tensor("b"), Tensor("c", "", ())]
    assert timing_csv.shapes_text(tensors) == "[[1,N,?],?,[]]"
    assert timing_csv.shapes_text([]) == "[]"


def test_table_and_parquet_hold_the_same_rows() -> None:
    runs = [sample_run("\ud800"), failed(sample_run())]
    table = pq.read_table(io.BytesIO(timing_csv.timing_parquet(runs)))
    assert tuple(table.column_names) == timing_csv.EVERY_COLUMN == tuple(HEADER.split(","))
    rows = table.to_pylist()
    assert [row["layer_name"] for row in rows][-2:] == ["(overhead)", "(total)"]
    assert sum(row["median_ms"] or 0 for row in rows[:-1]) == pytest.approx(rows[-1]["median_ms"])
    assert timing_csv.timing_table([]).num_rows == 0


def test_everything_is_json_with_samples() -> None:
    good, bad = json.loads(runlist.everything([sample_run(), failed(sample_run())]))["runs"]
    assert len(good["timings"]["step_ns"][0]) == 50
    assert good["rows"][-1]["layer_name"] == "(total)"
    assert (bad["timings"], bad["rows"], bad["failure"]) == (None, [], "killed at 2 GiB")


@pytest.mark.parametrize("limit", [0, 1, 2, 3, None])
@pytest.mark.parametrize("scale", [0.02, 1.0, 900.0])
def test_the_terminal_table_adds_up_as_printed(limit: int | None, scale: float) -> None:
    run = sample_run(scale=scale)
    text = shown(run_summary.layers(reconcile(run), run, limit))
    rows = [line.split() for line in text.splitlines() if " %" in line]
    printed = [
        Decimal(next(cell for cell in row if "." in cell and cell[0] in "-0123456789"))
        for row in rows
    ]
    assert sum(printed[:-1], Decimal(0)) == printed[-1]
    assert (limit in (None, 3)) == ("more row" not in text)


def test_the_summary_fits_80_columns_and_obeys_no_name() -> None:
    run = renamed("/[bold]x[/bold]/\x1b[31m/" + "deep/" * 40 + "Conv_quant")
    text = shown(
        run_summary.summary(
            dataclasses.replace(
                run, warnings=(RunWarning(WarningKind.FIXED_BATCH, 1, "\x07layer [red]x"),)
            )
        )
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]x[/bold]/\\x1b[31m" in text
    assert "Conv_quant" in text
    assert "\\x07layer [red]x" in text


def test_a_failed_run_says_why() -> None:
    text = shown(run_summary.summary(failed(sample_run())))
    assert "failed: killed at 2 GiB" in text
    assert "ms" not in text


def test_reconciliation_line() -> None:
    run = sample_run()
    assert sentences.reconciliation_text(reconcile(run), run) == (
        "2.205 ms measured (±0.4 %, 80 samples); 3 steps add up to 2.138 ms; 3.1 % runtime"
        " overhead; trace timer (at no measurable cost); 18.4 % belongs to no layer"
    )


def test_reconciliation_line_of_an_inflating_timer() -> None:
    run = sample_run()
    assert run.timings
    timings = dataclasses.replace(run.timings, step_ns=run.timings.step_ns * 2)
    run = dataclasses.replace(run, timings=timings)
    assert "93.7 % more than the latency" in sentences.reconciliation_text(reconcile(run), run)


@pytest.mark.parametrize("kind", WarningKind)
@pytest.mark.parametrize("value", [0.0, 0.25, 12.0, float("inf")])
def test_every_warning_has_words(kind: WarningKind, value: float) -> None:
    text = warning_text(RunWarning(kind, value, "layer"))
    assert text.endswith(".")
    assert kind.value not in text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (870, "870 ns"),
        (45_910, "45.91 µs"),
        (1_154_000, "1.154 ms"),
        (115_400_000, "115.4 ms"),
        (2_041_000_000, "2.041 s"),
        (-45_910, "-45.91 µs"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert numbers.duration(ns) == text


def test_the_list_groups_runs_and_names_failures() -> None:
    runs = [sample_run(batch=1), sample_run("evil[red]\x1b"), failed(sample_run(batch=8))]
    text = shown(runlist.list_table([summarise(run) for run in runs]))
    assert text.index("evil[red]\\x1b, fake on cpu:fake, 2 threads") < text.index("sample, fake")
    assert "failed: killed at 2 GiB" in text
    assert max(map(len, text.splitlines())) <= 80


def test_warnings_are_plain_sentences() -> None:
    told = [warning_text(RunWarning(kind, 0.041, "x", 0.03)) for kind in WarningKind]
    run = sample_run()
    told.append(sentences.reconciliation_text(reconcile(run), run))
    for odd in ("they still moved", "leave", "latency over", "inflation", "excludes 1", "straddle"):
        assert not any(odd in text for text in told), odd


def fitting(run: Run) -> Run:
    """The run on the device of the scripted ceilings."""
    facts = (("runtime", "fakert 1.0"), ("cpu", "Fake CPU"))
    return dataclasses.replace(run, environment=facts)


def test_what_bounds_a_step_is_in_csv_json_and_parquet() -> None:
    run = fitting(sample_run())
    made = timing_csv.timing_csv([run], lambda _: ceilings())
    first = next(row for row in parsed(made) if row["step"] == "/block/conv_0_step")
    assert (first["bound"], first["flops"] != "", first["bytes"] != "") == ("overhead", True, True)
    assert 0 < float(first["fraction_of_ceiling"]) < 1
    table = timing_csv.timing_table([run], lambda _: ceilings()).to_pylist()
    row = next(row for row in table if row["step"] == "/block/conv_0_step")
    assert row["fraction_of_ceiling"] == pytest.approx(float(first["fraction_of_ceiling"]), 1e-5)
    whole = json.loads(runlist.everything([run], lambda _: ceilings()))["runs"][0]
    assert whole["roofline"]["steps"][0]["bound"] == "overhead"
    bounds = whole["roofline"]["bounds"]
    assert bounds["fused_in_sequence_ms"] <= bounds["in_sequence_ms"] <= bounds["measured_ms"]


def test_without_ceilings_bounds_are_blank_and_work_is_not() -> None:
    rows = parsed(timing_csv.timing_csv([sample_run()]))
    first = next(row for row in rows if row["status"] == "timed")
    assert first["bytes"] != ""
    assert (first["bound"], first["fraction_of_ceiling"]) == ("", "")
    whole = json.loads(runlist.everything([sample_run()]))["runs"][0]
    assert whole["roofline"]["bounds"] is None


@pytest.mark.parametrize("width", [80, 120])
def test_a_summary_says_what_bounds_each_row(width: int) -> None:
    text = shown(run_summary.summary(fitting(sample_run()), ceilings=ceilings()), width)
    assert max(map(len, text.splitlines())) <= width
    if width == 80:
        check_golden("summary_why_80.txt", text)


def asked_with(run: Run, **changes: object) -> Run:
    """The run, with other things asked for."""
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **changes))  # type: ignore[arg-type]


def test_the_last_columns_tell_any_two_runs_apart() -> None:
    plain = sample_run()
    runs = [
        plain,
        asked_with(plain, dims=(("width", 32), ("height", 16))),
        asked_with(plain, threads=8),
        asked_with(plain, provider="xnnpack"),
        dataclasses.replace(plain, created="2026-01-02T03:04:06Z"),
    ]
    totals = [row for row in parsed(timing_csv.timing_csv(runs)) if row["status"] == "total"]
    known = [tuple(row[name] for name in identity.COLUMNS) for row in totals]
    assert len(set(known)) == len(runs)
    assert [row["dims"] for row in totals[:2]] == ["", "height=16;width=32"]
    assert len({(row["run"], row["created"]) for row in totals}) == len(runs)


def test_versions_warnings_and_wrong_outputs_stand_on_every_row() -> None:
    run = dataclasses.replace(
        wrong_run(),
        environment=(("onnxprof", "0.1.0"), ("runtime", "onnxruntime 1.32.0")),
        warnings=(
            RunWarning(WarningKind.PARITY_FAILED, 0.25, "<out>"),
            RunWarning(WarningKind.DRIFT, 0.1),
            RunWarning(WarningKind.DRIFT, 0.2),
        ),
    )
    for row in parsed(timing_csv.timing_csv([run])):
        assert (row["onnxprof_version"], row["runtime_version"]) == ("0.1.0", "onnxruntime 1.32.0")
        assert (row["caveats"], row["model_sha256"]) == ("parity_failed;drift", "ab" * 32)
        assert row["wrong"].startswith("<out> not as the reference")
        assert float(row["half_width"]) == pytest.approx(reconcile(run).half_width, 1e-5)


@pytest.mark.parametrize("samples", [0, 5])
def test_fewer_than_six_samples_have_no_half_width(samples: int) -> None:
    run = sample_run()
    assert run.timings
    timings = dataclasses.replace(
        run.timings,
        latency_ns=run.timings.latency_ns[:samples],
        latency_block=run.timings.latency_block[:samples],
    )
    assert identity.half_width(dataclasses.replace(run, timings=timings)) is None
    assert identity.half_width(failed(run)) is None
