"""Runs as a Chrome trace, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

The format is the JSON object form of the Trace Event Format (Duarte and Wang, Google, 2016):
`X` for a slice with `ts` and `dur` in microseconds, which may have decimals, `M` for names,
`i` for a moment. A run is a process with one thread. Its rows lie end to end at their medians in
execution order, then interruptions and overhead, so that the right edge is the un-profiled
median. What is negative (the overhead where the timer inflates the steps) has no width and is a
moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onnxprof.analysis.reconcile import CLOSING, Reconciliation, Status, TimedRow, reconcile
from onnxprof.publish.tables.timings import shapes_text
from onnxprof.publish.text import sentences
from onnxprof.records.layer import Layer, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.records.warning import WarningKind

Event = dict[str, Any]
_THREAD = 1


def chrome_trace(runs: Iterable[Run]) -> str:
    """One JSON object; failed runs are left out.

    Raises StoreError for a run whose times do not match its steps.
    """
    timed = [run for run in runs if run.timings is not None]
    events = [event for number, run in enumerate(timed, 1) for event in _events(run, number)]
    whole = {"displayTimeUnit": "ns", "otherData": {"from": "onnxprof"}, "traceEvents": events}
    return json.dumps(whole, indent=1) + "\n"


def run_label(run: Run) -> str:
    """A label that identifies a run: model, backend, device, batch and threads."""
    asked = run.request
    threads = sentences.threads(asked.threads)
    parts = (asked.model_name, asked.backend, asked.device_id, f"batch {asked.batch}", threads)
    return " · ".join(parts)


def _events(run: Run, number: int) -> Iterator[Event]:
    yield from _names(run, number)
    sums = reconcile(run)
    layers = {layer.name: layer for layer in run.table.nodes}
    at_ns = 0
    for row in _in_order(run, sums):
        yield _event(row, number, at_ns, _args(row, layers))
        at_ns += max(row.median_ns or 0, 0)
    for row in sums.rows:
        if row.status in (Status.INTERRUPTIONS, Status.OVERHEAD) and row.median_ns is not None:
            args = {"share": row.share, "total_us": sums.total_ns / 1000}
            yield _event(row, number, at_ns, args)
            at_ns += max(row.median_ns, 0)


def _names(run: Run, number: int) -> Iterator[Event]:
    wrong = any(warning.kind is WarningKind.PARITY_FAILED for warning in run.warnings)
    yield _metadata(number, "process_name", {"name": run_label(run)})
    yield _metadata(number, "process_sort_index", {"sort_index": number})
    if wrong:
        yield _metadata(number, "process_labels", {"labels": "wrong outputs"})
    timer = f"median of each step, {run.timer} timer"
    yield _metadata(number, "thread_name", {"name": timer})


def _metadata(number: int, name: str, args: Event) -> Event:
    return {"name": name, "ph": "M", "pid": number, "tid": _THREAD, "args": args}


def _in_order(run: Run, sums: Reconciliation) -> list[TimedRow]:
    """The rows that carry a time, by the place of their first step."""
    number = {id(step): i for i, step in reversed(list(enumerate(run.steps)))}
    timed = [r for r in sums.rows if r.status not in CLOSING and r.median_ns is not None]
    return sorted(timed, key=lambda row: _place(row, run.steps, number))


def _place(row: TimedRow, steps: tuple[Step, ...], number: Mapping[int, int]) -> tuple[int, int]:
    """The sort key of a row: position and index of its first step.

    Steps that share a row were merged into a new one, whose name begins with the first one's.
    """
    step = row.step
    if step is None:
        return 0, len(steps)
    if (known := number.get(id(step))) is not None:
        return step.position, known
    numbers = (i for i, one in enumerate(steps) if step.name.startswith(f"{one.name} + "))
    return step.position, next(numbers, len(steps))


def _event(row: TimedRow, number: int, at_ns: int, args: Event) -> Event:
    """A slice, or a moment for a negative time, as the overhead of an inflated run."""
    ns = row.median_ns or 0
    event = {"name": row.name, "cat": row.status.value, "ts": at_ns / 1000}
    if ns >= 0:
        event |= {"ph": "X", "dur": ns / 1000}
    else:
        event |= {"ph": "i", "s": "t", "name": f"{row.name}: {ns / 1000:g} µs"}
    return event | {"pid": number, "tid": _THREAD, "args": args}


def _args(row: TimedRow, layers: Mapping[str, Layer]) -> Event:
    step = row.step
    if step is None:
        return _figures(row)
    covered = [layers[name] for name in step.layers if name in layers]
    return {
        "step": step.name,
        "op_type": step.op_type,
        "provider": step.provider,
        "layers": list(step.layers),
        "layer_types": [layer.layer_type for layer in covered],
        "confidence": step.confidence.value,
        "evidence": step.evidence,
        "input_shapes": shapes_text(_inputs(covered)),
        "output_shapes": shapes_text(_outputs(covered) or step.outputs),
        **_figures(row),
    }


def _figures(row: TimedRow) -> Event:
    times = {"p5_us": row.p5_ns, "p95_us": row.p95_ns}
    limits = {name: ns / 1000 for name, ns in times.items() if ns is not None}
    return {"share": row.share, "samples": row.samples, **limits}


def _inputs(covered: list[Layer]) -> tuple[Tensor, ...]:
    return covered[0].inputs if covered else ()


def _outputs(covered: list[Layer]) -> tuple[Tensor, ...]:
    return covered[-1].outputs if covered else ()
