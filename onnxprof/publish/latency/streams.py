"""Several inferences at a time in words and as records."""

from __future__ import annotations

from typing import Any

from onnxprof.analysis.statistics.percentiles import concurrent_ns, concurrent_rate, percentiles
from onnxprof.publish.latency.percentiles import listed_text, percentile_records
from onnxprof.publish.text.numbers import rate
from onnxprof.publish.text.safe import printable
from onnxprof.publish.text.sentences import threads
from onnxprof.records.run import Run
from onnxprof.records.timings import Concurrency


def streams_text(run: Run) -> str:
    """Throughput and latency under the load, in a sentence; empty where none was asked for."""
    load = run.concurrency
    if load is None:
        return ""
    if load.failure or (items := items_per_s(run)) is None:
        return f"{load_text(run, load)}: not measured: {printable(load.failure or 'no samples')}."
    alone = single_items_per_s(run)
    times = f", {items / alone:.2f} times those of one ({rate(alone)})" if alone else ""
    under = listed_text(percentiles(concurrent_ns(load)))
    return f"{load_text(run, load)}: {rate(items)} items/s{times}; latency {under}."


def load_text(run: Run, load: Concurrency) -> str:
    """`4 at a time, 1 thread each`; on another device than a CPU threads do not matter."""
    each = f", {threads(load.threads)} each" if run.device.kind == "cpu" else ""
    return f"{load.streams} at a time{each}"


def items_per_s(run: Run) -> float | None:
    """Items, which are inferences times the batch, a second under the load; None without one."""
    found = concurrent_rate(run.concurrency) if run.concurrency else None
    return None if found is None else found * run.request.batch


def single_items_per_s(run: Run) -> float | None:
    """Items a second of one inference after another: un-profiled ones over the time of them all.

    So it is counted as those of the load are: what interrupts an inference is in both.
    """
    timings = run.timings
    whole = 0 if timings is None else int(timings.latency_ns.sum())
    if timings is None or not whole:
        return None
    return run.request.batch * timings.latency_ns.size * 1e9 / whole


def streams_record(run: Run) -> dict[str, Any] | None:
    """The derived figures of the load; None where none was asked for."""
    load = run.concurrency
    if load is None:
        return None
    samples = concurrent_ns(load)
    return {
        "streams": load.streams,
        "threads": load.threads,
        "items_per_s": items_per_s(run),
        "single_items_per_s": single_items_per_s(run),
        "percentiles": percentile_records(percentiles(samples)),
        "failure": load.failure,
    }
