"""One run of several: the same measurement, repeated in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxprof.cautions import median_warnings, step_warnings
from onnxprof.contracts import BackendError
from onnxprof.gpurows import merged_calls, merged_kernels
from onnxprof.records import Indices, Run, RunWarning, Samples, Timings, WarningKind
from onnxprof.stats import by_process

#: These are told of the merged samples; all others are taken over from the processes.
_DERIVED = (
    *(WarningKind.FEW_SAMPLES, WarningKind.WIDE_INTERVAL, WarningKind.DRIFT),
    *(WarningKind.TIMER_INFLATION, WarningKind.NEGATIVE_OVERHEAD, WarningKind.HIGH_OVERHEAD),
    *(WarningKind.UNATTRIBUTED_TIME, WarningKind.PREFIXES_DISAGREE),
)


def merge(runs: Sequence[Run]) -> Run:
    """Put the samples of each run, one a process, end to end; facts are those of the first.

    Loading and first inference are medians over the processes. Of prefixes those stay that all
    processes timed, and none where one process had none; a warning tells if that is less than
    the first one timed. Raises BackendError where the processes did not execute the same steps,
    and ValueError for no runs and for runs without times.
    """
    timings = [_blocked(run.timings) for run in runs if run.timings is not None]
    if not timings or len(timings) != len(runs):
        raise ValueError("only runs that have times can be merged")
    if len(runs) == 1:
        return runs[0]
    _refuse_different(runs)
    merged = _merged(timings)
    return replace(
        runs[0],
        request=replace(runs[0].request, processes=len(runs)),
        timings=merged,
        kernels=merged_kernels(tuple(run.kernels for run in runs)),
        api_calls=merged_calls(tuple(run.api_calls for run in runs)),
        warnings=(
            *median_warnings(merged),
            *step_warnings(merged, runs[0].steps),
            *_fewer_prefixes(timings),
            *_united(runs),
        ),
    )


def _refuse_different(runs: Sequence[Run]) -> None:
    where = runs[0].request.model_name
    remedy = "Measure it in one process, or compare the runs of each"
    steps = [[(step.name, step.layers) for step in run.steps] for run in runs]
    for number, found in enumerate(steps[1:], 2):
        if found != steps[0]:
            raise BackendError(
                f"process {number} executed other steps than the first: {_odd(steps[0], found)}",
                where=where,
                remedy=remedy,
            )


def _fewer_prefixes(timings: Sequence[Timings]) -> Iterator[RunWarning]:
    """Later processes cut where the first one did, unless memory forbids."""
    wanted, kept = len(timings[0].prefix_steps), len(_common_cuts(timings))
    if 0 < kept < max(len(t.prefix_steps) for t in timings):
        yield RunWarning(WarningKind.FEWER_PREFIXES, float(kept), bound=float(wanted))


def _odd(first: list[tuple[str, tuple[str, ...]]], other: list[tuple[str, tuple[str, ...]]]) -> str:
    """The first step that only one of them has."""
    for ours, theirs in zip(first, other, strict=False):
        if ours != theirs:
            return f"{theirs[0]!r} in place of {ours[0]!r}"
    return f"{len(other)} steps in place of {len(first)}"


def _merged(timings: Sequence[Timings]) -> Timings:
    cuts = _common_cuts(timings)
    if not cuts:
        timings = [_without_prefixes(t) for t in timings]
    counts = [_blocks(t) for t in timings]
    starts = np.cumsum([0, *counts[:-1]])
    return Timings(
        load_ns=int(np.median([t.load_ns for t in timings])),
        first_ns=int(np.median([t.first_ns for t in timings])),
        warmup_ns=_joined(timings, lambda t: t.warmup_ns),
        latency_ns=_joined(timings, lambda t: t.latency_ns),
        latency_block=_renumbered([t.latency_block for t in timings], starts),
        traced_ns=_joined(timings, lambda t: t.traced_ns),
        step_ns=_joined(timings, lambda t: t.step_ns),
        host_ns=_host(timings),
        traced_block=_renumbered([t.traced_block for t in timings], starts),
        prefix_ns=_joined(timings, lambda t: _prefixes(t, cuts)),
        prefix_steps=cuts,
        block_process=_processes(counts),
        empty_ns=_joined(timings, lambda t: t.empty_ns),
        round_process=_processes([t.prefix_ns.shape[1] if cuts else 0 for t in timings]),
        **_repeats(timings),
    )


def _repeats(timings: Sequence[Timings]) -> dict[str, Any]:
    """What steps took alone, of those steps that every process repeated as often as the first."""
    first = np.array(timings[0].repeats, np.int64)
    if not all(t.repeat_ns.size and len(t.repeats) == first.size for t in timings):
        return {}
    common = np.all([np.array(t.repeats) == first for t in timings], axis=0) & (first > 0)
    if not common.any():
        return {}
    rows = [t.repeat_ns[common[np.array(t.repeats) > 0]] for t in timings]
    return {
        "repeats": tuple(int(n) for n in np.where(common, first, 0)),
        "repeat_ns": np.concatenate(rows, axis=1),
        "repeat_process": _processes([part.shape[1] for part in rows]),
    }


def _host(timings: Sequence[Timings]) -> Samples:
    """None where one process had another timer."""
    if all(t.host_ns.size for t in timings):
        return _joined(timings, lambda t: t.host_ns)
    return np.zeros((0, 0), np.int64)


def _blocked(timings: Timings) -> Timings:
    """Samples without blocks are one block."""
    if timings.traced_block.size == timings.traced_ns.size:
        return timings
    return replace(timings, traced_block=np.zeros(timings.traced_ns.size, np.int32))


def _common_cuts(timings: Sequence[Timings]) -> tuple[int, ...]:
    """Where every process cut the graph; the whole and nothing of it are always among them."""
    others = [set(t.prefix_steps) for t in timings]
    return tuple(n for n in timings[0].prefix_steps if all(n in steps for steps in others))


def _prefixes(timings: Timings, cuts: tuple[int, ...]) -> Samples:
    if not cuts:
        return np.zeros((0, 0), np.int64)
    return timings.prefix_ns[[timings.prefix_steps.index(n) for n in cuts]]


def _without_prefixes(timings: Timings) -> Timings:
    """Rounds of prefixes are no neighbours of the traced blocks, so a number lies between."""
    if not timings.prefix_ns.size:
        return timings
    none = np.zeros((0, 0), np.int64)
    block = timings.latency_block + np.int32(1)
    return replace(timings, prefix_ns=none, prefix_steps=(), latency_block=block)


def _blocks(timings: Timings) -> int:
    blocks = np.concatenate([timings.latency_block, timings.traced_block])
    return int(blocks.max()) + 1 if blocks.size else 0


def _joined(timings: Sequence[Timings], samples: Callable[[Timings], Samples]) -> Samples:
    return np.concatenate([samples(t) for t in timings], axis=-1)


def _renumbered(blocks: Sequence[Indices], starts: Samples) -> Indices:
    parts = [block + start for block, start in zip(blocks, starts, strict=True)]
    return np.concatenate(parts).astype(np.int32)


def _processes(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(process for process, count in enumerate(counts) for _ in range(count))


def _united(runs: Sequence[Run]) -> Iterator[RunWarning]:
    """Each other caveat once, with the figure that is furthest from zero."""
    worst: dict[tuple[WarningKind, str], RunWarning] = {}
    for warning in (warning for run in runs for warning in run.warnings):
        known = worst.setdefault((warning.kind, warning.subject), warning)
        if abs(warning.value) > abs(known.value):
            worst[warning.kind, warning.subject] = warning
    yield from (warning for (kind, _), warning in worst.items() if kind not in _DERIVED)


def cut_alike(runs: Sequence[Run]) -> list[Run]:
    """Runs of the same steps with those prefixes alone that all of them timed.

    Else the trace would split one segment in one run and another in the next. Runs of
    different steps, or not all with prefixes, are returned as they are.
    """
    timings = [run.timings for run in runs if run.timings and run.timings.prefix_ns.size]
    if len(timings) < len(runs) or len({tuple(s.layers for s in run.steps) for run in runs}) > 1:
        return list(runs)
    cuts = _common_cuts(timings)
    return [
        replace(run, timings=replace(t, prefix_steps=cuts, prefix_ns=_prefixes(t, cuts)))
        for run, t in zip(runs, timings, strict=True)
    ]


def parts(run: Run) -> list[Run]:
    """A run taken apart into its processes again: the samples of each, numbered from 0.

    Warm-ups stay with the first; loading, first inference and warnings are those of the
    whole. A run of one process is returned as it is.
    """
    timings = run.timings
    if timings is None or not timings.block_process:
        return [run]
    return [replace(run, timings=part) for part in by_process(timings)]
