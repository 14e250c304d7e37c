"""How a run was measured, for who asks with `-v`: timer and why, cuts, where the time went."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from onnxprof.analysis.step_times import inflation
from onnxprof.analysis.warnings import INFLATION
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import counted, printable, shortened
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.timings import Timings

_LONGEST_NAME = 40


def measuring_texts(run: Run) -> list[str]:
    """Lines on how a run was measured; none for one that failed or that others measured."""
    if run.timings is None or run.origin is not None:
        return []
    name = f"{printable(run.request.model_name)} batch {run.request.batch}"
    return [f"{name}: {text}" for text in _texts(run, run.timings)]


def _texts(run: Run, timings: Timings) -> Iterator[str]:
    yield _timer_text(run, timings)
    if timings.prefix_steps:
        yield from _cut_texts(run, timings)
    if alone := [copies for copies in timings.repeats if copies]:
        yield (
            f"{counted(len(alone), 'short step', 'short steps')} timed alone, in"
            f" {min(alone):,} to {max(alone):,} copies"
        )
    yield f"time spent: {', '.join(_spent(timings))}"


def _timer_text(run: Run, timings: Timings) -> str:
    used, asked = timings.timer, run.request.timer
    if asked != Timer.AUTO.value:
        return f"timer {used}, as asked"
    head = f"timer {used}, chosen automatically"
    if used is Timer.CUPTI or not timings.traced_ns.size:
        return head
    cost = f"with the profiler on an inference takes {inflation(timings):.3f} times as long"
    rule = f"its times serve up to {INFLATION:g} times, and while they do not exceed the latency"
    return f"{head}: {cost}; {rule}"


def _cut_texts(run: Run, timings: Timings) -> Iterator[str]:
    held = timings.prefix_steps
    parts = counted(len(held) - 1, "segment", "segments")
    yield f"the executed graph of {counted(held[-1], 'step', 'steps')} was cut into {parts}"
    for first, last in pairwise(held):
        names = [run.steps[place].name for place in (first, last - 1) if place < len(run.steps)]
        ends = " to ".join(dict.fromkeys(shortened(printable(n), _LONGEST_NAME) for n in names))
        yield f"  steps {first + 1} to {last}: {ends}"


def _spent(timings: Timings) -> Iterator[str]:
    """`un-profiled inferences 1.2 s (800)` and so on."""
    yield f"loading {duration(timings.load_ns)}"
    yield f"first inference {duration(timings.first_ns)}"
    parts = (
        ("warm-up", timings.warmup_ns),
        ("un-profiled inferences", timings.latency_ns),
        ("traced inferences", timings.traced_ns),
        ("prefixes", timings.prefix_ns),
        ("steps alone", timings.repeat_ns),
        ("empty calls", timings.empty_ns),
    )
    for name, samples in parts:
        if samples.size:
            yield f"{name} {duration(int(samples.sum()))} ({samples.size:,})"
