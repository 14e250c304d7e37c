"""Percentiles and concurrent inferences in words, with the samples behind them; and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.reconcile import reconcile
from onnxprof.cli.output import plain_text
from onnxprof.publish.latency.amount import amount_text
from onnxprof.publish.latency.percentiles import of_run, percentiles_text
from onnxprof.publish.latency.streams import items_per_s, streams_record, streams_text
from onnxprof.publish.latency.tail import COLUMNS, tail_rows
from onnxprof.publish.pdf import timings
from onnxprof.publish.tables.run_summary import facts, summary
from onnxprof.publish.tables.runs import everything
from onnxprof.publish.text.numbers import duration, rate
from onnxprof.publish.text.warnings import warning_texts
from onnxprof.records.run import Run
from onnxprof.records.timings import Concurrency
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

MS = 1_000_000


def with_latencies(count: int) -> Run:
    run = sample_run()
    assert run.timings is not None
    samples = np.linspace(2 * MS, 3 * MS, count).astype(np.int64)
    timings = replace(run.timings, latency_ns=samples, latency_block=np.zeros(count, np.int32))
    return replace(run, timings=timings)


def loaded(streams: int = 2, batch: int = 1, count: int = 100) -> Run:
    samples = ((2 * MS,) * count,) * streams
    return replace(sample_run(batch=batch), concurrency=Concurrency(streams, 1, samples))


def test_percentiles_that_are_known_and_those_that_are_not() -> None:
    assert percentiles_text(with_latencies(101)) == (
        "Percentiles: p50 2.500 ms, p90 2.900 ms, p95 2.950 ms of 101 samples; not known from so"
        " few: p99 (needs 368), p99.9 (needs 3,688)."
    )
    assert percentiles_text(with_latencies(4001)) == (
        "Percentiles: p50 2.500 ms, p90 2.900 ms, p95 2.950 ms, p99 2.990 ms, p99.9 2.999 ms"
        " of 4,001 samples."
    )


@pytest.mark.parametrize(("count", "samples"), [(1, "1 sample"), (5, "5 samples")])
def test_a_handful_of_samples_has_no_percentile(count: int, samples: str) -> None:
    text = percentiles_text(with_latencies(count))
    assert text == f"Percentiles: none is known from {samples}; p50 needs 6."


def test_a_run_without_a_latency_has_none() -> None:
    run = sample_run()
    assert run.timings is not None
    bare = replace(run, timings=replace(run.timings, latency_ns=run.timings.latency_ns[:0]))
    for each in (bare, replace(run, timings=None, failure="lost")):
        assert of_run(each) == ()
        assert percentiles_text(each) == ""


def test_the_summary_has_the_median_as_p50() -> None:
    run = sample_run()
    assert run.timings is not None
    text = plain_text(summary(run))
    assert f"Percentiles: p50 {duration(median_ns(run.timings.latency_ns))}," in text
    assert "at a time" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_throughput_beside_that_of_one_stream() -> None:
    run = loaded(streams=3, batch=4)
    assert run.timings is not None
    assert items_per_s(run) == pytest.approx(3 * 4 * 500)
    text = streams_text(run)
    assert text.startswith("3 at a time, 1 thread each: 6,000 items/s, ")
    one = 4 * 80 / (run.timings.latency_ns.sum() / 1e9)
    assert f", {6000 / one:.2f} times those of one ({rate(one)})" in text
    assert "; latency p50 2.000 ms, p90 2.000 ms, p95 2.000 ms of 300 samples; not known" in text
    assert "3 at a time" in plain_text(summary(run))


def test_threads_are_not_named_where_they_do_not_matter() -> None:
    run = loaded()
    on_gpu = replace(run, device=replace(run.device, kind="cuda"))
    assert streams_text(on_gpu).startswith("2 at a time: ")


def test_streams_that_failed_say_why() -> None:
    run = replace(sample_run(), concurrency=Concurrency(4, 2, failure="out of \x1bmemory"))
    assert streams_text(run) == "4 at a time, 2 threads each: not measured: out of \\x1bmemory."
    assert items_per_s(run) is None
    record = streams_record(run)
    assert record is not None
    assert (record["items_per_s"], record["failure"]) == (None, "out of \x1bmemory")
    assert {each["ms"] for each in record["percentiles"]} == {None}


def test_json_has_both() -> None:
    plain, busy = json.loads(everything([sample_run(), loaded()]))["runs"]
    assert [each["percentile"] for each in plain["percentiles"]] == [50, 90, 95, 99, 99.9]
    known = [each["ms"] is not None for each in plain["percentiles"]]
    assert known == [True, True, True, False, False]
    assert plain["percentiles"][-1]["samples_needed"] == 3688
    assert plain["streams"] is None
    assert "concurrency" not in plain
    assert busy["streams"]["items_per_s"] == pytest.approx(1000)
    assert busy["concurrency"]["latency_ns"] == [[2 * MS] * 100] * 2


def asking(**changes) -> Run:
    run = sample_run()
    return replace(run, request=replace(run.request, **changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"iterations": 1000, "warmup": 1}, "1,000 iterations, warm-up of 1 inference"),
        (
            {"duration": 2.5, "warmup": 0, "streams": 2},
            "warm-up of 0 inferences, 2.5 s of sampling at least, then 2 at a time",
        ),
    ],
)
def test_the_facts_of_a_run_have_the_amount(changes, text: str) -> None:
    run = asking(**changes)
    assert amount_text(run.request) == text
    shown = " ".join(plain_text(facts(run)).split())
    assert ("amount" in shown) == bool(text)
    assert text in shown


@pytest.mark.parametrize(
    ("changes", "few", "unsteady"),
    [
        ({}, "fitted into the budget: too few", "Use a larger --budget."),
        ({"iterations": 9}, "were asked for: too few", "Use more --iterations."),
        ({"iterations": 9, "warmup": 2}, "Use more --iterations.", "Use a larger --warmup."),
        ({"duration": 9.0}, "Use a longer --duration.", "Use a longer --duration."),
    ],
)
def test_warnings_name_the_option_that_decided_the_amount(changes, few: str, unsteady: str) -> None:
    warnings = (
        RunWarning(WarningKind.FEW_SAMPLES, 9.0),
        RunWarning(WarningKind.UNSTEADY_WARMUP, 0.1),
    )
    first, second = warning_texts(replace(asking(**changes), warnings=warnings))
    assert few in first
    assert second.endswith(unsteady)


def test_a_pages_rows_have_the_samples_and_what_is_known_from_them() -> None:
    (alone,) = tail_rows(with_latencies(101))
    known = [text.replace("\u00a0", " ") for text in alone]
    assert known[:6] == ["one at a time", "101", "2.50 ms", "2.90 ms", "2.95 ms", ""]
    assert len(alone) == len(COLUMNS) + 3
    assert COLUMNS[3:] == (("p99", 368), ("p99.9", 3688))
    _, under = tail_rows(loaded(streams=3, batch=4))
    assert under[:2] == ["3 at a time, 1 thread each", "300"]
    assert under[-1].startswith("6,000 (")
    _, failed = tail_rows(
        replace(sample_run(), concurrency=Concurrency(4, 2, failure="out of memory"))
    )
    assert failed[1:] == ["0", *[""] * len(COLUMNS), "not measured: out of memory"]
    assert tail_rows(replace(sample_run(), timings=None, failure="lost")) == []


def test_a_pdf_has_percentiles_with_their_samples_and_streams() -> None:
    run = sample_run(batch=8)
    samples = ((2_000_000,) * 50,) * 2
    busy = replace(run, concurrency=Concurrency(2, 1, samples))
    facts = dict(json.loads(timings.manuscript(busy, reconcile(busy)).data)["facts"])
    plain = {name: text.replace("\u200b", "") for name, text in facts.items()}
    assert plain["Percentiles"].startswith("p50 ")
    assert "80 samples" in plain["Percentiles"]
    assert plain["Streams"].startswith("2 at a time, 1 thread each: 8,000 items/s")
    assert "of 100 samples" in plain["Streams"]
    assert "Streams" not in dict(json.loads(timings.manuscript(run, reconcile(run)).data)["facts"])
