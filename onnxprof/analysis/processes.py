"""One run of several: the same measurement, repeated in fresh processes.

Steps are identified by the work that they do, so the order may differ between processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxprof.analysis.intervals import by_process
from onnxprof.analysis.warnings import median_warnings, step_warnings
from onnxprof.errors import BackendError
from onnxprof.records.gpu import merged_calls, merged_kernels
from onnxprof.records.run import Run
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Indices, Samples, Timings, traced_by
from onnxprof.records.warning import RunWarning, WarningKind


def merge(runs: Sequence[Run]) -> Run:
    """Put the samples of each run, one a process, end to end; facts are those of the first.

    Loading and first inference are medians over the processes. The prefixes that all processes
    timed stay, and none if one process had none; a warning says if these are fewer than the
    first process timed. Raises BackendError where the processes did not execute the same steps,
    and ValueError for no runs and for runs without times.
    """
    if not runs or any(run.timings is None for run in runs):
        raise ValueError("only runs that have times can be merged")
    if len(runs) == 1:
        return runs[0]
    wanted = max(len(run.timings.prefix_steps) for run in runs if run.timings)
    runs = _in_one_order(runs)
    timings = [_blocked(run.timings) for run in runs if run.timings is not None]
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
            *_fewer_prefixes(timings, wanted),
            *_united(runs),
        ),
    )


#: A step's operator (or name, if it has no layers), layers, and number among equal steps.
_Identity = tuple[str, tuple[str, ...], int]


def identities(steps: Sequence[Step]) -> list[_Identity]:
    """Identities of a run's steps: unique in the run, and the same in every process."""
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    labels = []
    for step in steps:
        operators = "+".join(sorted(step.op_type.split("+")))
        does = (operators if step.layers else step.name, step.layers)
        labels.append((*does, seen[does]))
        seen[does] += 1
    return labels


def _in_one_order(runs: Sequence[Run]) -> list[Run]:
    """The runs with their steps in the order of the first, and only the cuts that all share.

    Raises BackendError where a run executed other steps than the first.
    """
    first = identities(runs[0].steps)
    ordered = [runs[0]]
    for number, run in enumerate(runs[1:], 2):
        own = {identity: row for row, identity in enumerate(identities(run.steps))}
        if own.keys() != set(first):
            raise BackendError(
                f"process {number} executed other steps than the first: {_odd(first, own)}",
                where=runs[0].request.model_name,
                remedy="Measure it in one process, or compare the runs of each",
            )
        ordered.append(_reordered(run, [own[identity] for identity in first]))
    cuts = _same_cuts(runs)
    return _cut_at(ordered, cuts) if cuts else ordered


def _reordered(run: Run, rows: list[int]) -> Run:
    if rows == list(range(len(rows))) or run.timings is None:
        return run
    timings = run.timings
    host = timings.host_ns[rows] if timings.host_ns.size else timings.host_ns
    timings = replace(timings, step_ns=timings.step_ns[rows], host_ns=host)
    if timings.repeat_ns.size:
        alone = np.cumsum(np.array(timings.repeats) > 0) - 1  # rows of steps that were repeated
        kept = [int(alone[row]) for row in rows if timings.repeats[row]]
        repeats = tuple(timings.repeats[row] for row in rows)
        timings = replace(timings, repeats=repeats, repeat_ns=timings.repeat_ns[kept])
    return replace(run, steps=tuple(run.steps[row] for row in rows), timings=timings)


def _same_cuts(runs: Sequence[Run]) -> tuple[int, ...]:
    """The cuts that every run has with the same steps before them."""
    timings = [run.timings for run in runs if run.timings is not None]
    named = [(run.steps, identities(run.steps)) for run in runs]

    def before(cut: int) -> list[set[_Identity]]:
        return [
            {name for step, name in zip(steps, names, strict=True) if step.position < cut}
            for steps, names in named
        ]

    whole = max((t.prefix_steps[-1] for t in timings if t.prefix_steps), default=0)
    cuts = _common_cuts(timings)
    return tuple(n for n in cuts if n == whole or all(s == before(n)[0] for s in before(n)))


def _cut_at(runs: Sequence[Run], cuts: tuple[int, ...]) -> list[Run]:
    """The runs with these prefixes alone; runs without prefixes or with no others are unchanged."""
    return [
        replace(run, timings=replace(t, prefix_steps=cuts, prefix_ns=_prefixes(t, cuts)))
        if (t := run.timings) is not None and t.timer is Timer.PREFIX and t.prefix_steps != cuts
        else run
        for run in runs
    ]


def _fewer_prefixes(timings: Sequence[Timings], wanted: int) -> Iterator[RunWarning]:
    """A warning if fewer prefixes are shared than a process timed, for lack of memory or order."""
    kept = len(_common_cuts(timings))
    if 0 < kept < wanted:
        yield RunWarning(WarningKind.FEWER_PREFIXES, float(kept), bound=float(wanted))


def _odd(first: Sequence[_Identity], other: Mapping[_Identity, int]) -> str:
    """Words for a step that only one of two processes has."""
    ours = [step for step in first if step not in other]
    theirs = [step for step in other if step not in set(first)]
    if ours and theirs:
        return f"{_words(theirs[0])} in place of {_words(ours[0])}"
    return f"{_words((ours or theirs)[0])} in one of them only"


def _words(identity: _Identity) -> str:
    name, layers, number = identity
    which = f" for the {number + 1}th time" if number else ""
    return repr(name) + (f" over {', '.join(layers)}" if layers else "") + which


def _merged(timings: Sequence[Timings]) -> Timings:
    cuts = _common_cuts(timings)
    if not cuts:
        timings = [_without_prefixes(t) for t in timings]
    timers = {t.timer for t in timings}
    timer = timers.pop() if len(timers) == 1 else Timer.TRACE
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
        timer=timer,
        traced_block=_renumbered([t.traced_block for t in timings], starts),
        prefix_ns=_joined(timings, lambda t: _prefixes(t, cuts)),
        prefix_steps=cuts,
        block_process=_processes(counts),
        empty_ns=_joined(timings, lambda t: t.empty_ns),
        round_process=_processes([t.prefix_ns.shape[1] if cuts else 0 for t in timings]),
        **_repeats(timings),
    )


def _repeats(timings: Sequence[Timings]) -> dict[str, Any]:
    """The repeat fields of the merged timings: steps repeated equally often in all processes."""
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
    """The host times of all processes; empty where one process had another timer."""
    if all(t.host_ns.size for t in timings):
        return _joined(timings, lambda t: t.host_ns)
    return np.zeros((0, 0), np.int64)


def _blocked(timings: Timings) -> Timings:
    """The timings with block numbers; samples without blocks become one block."""
    if timings.traced_block.size == timings.traced_ns.size:
        return timings
    return replace(timings, traced_block=np.zeros(timings.traced_ns.size, np.int32))


def _common_cuts(timings: Sequence[Timings]) -> tuple[int, ...]:
    """The cuts of every process; the empty prefix and the whole graph are always among them."""
    others = [set(t.prefix_steps) for t in timings]
    return tuple(n for n in timings[0].prefix_steps if all(n in steps for steps in others))


def _prefixes(timings: Timings, cuts: tuple[int, ...]) -> Samples:
    if not cuts:
        return np.zeros((0, 0), np.int64)
    return timings.prefix_ns[[timings.prefix_steps.index(n) for n in cuts]]


def _without_prefixes(timings: Timings) -> Timings:
    """The timings of the trace alone. Rounds of prefixes leave a gap in the block numbers."""
    if timings.timer is not Timer.PREFIX:
        return timings
    none = np.zeros((0, 0), np.int64)
    block = timings.latency_block + np.int32(1)
    timer = traced_by(timings.host_ns)
    return replace(timings, timer=timer, prefix_ns=none, prefix_steps=(), latency_block=block)


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
    """Warnings that are not derived from samples, once each, with the value furthest from 0."""
    worst: dict[tuple[WarningKind, str], RunWarning] = {}
    for warning in (warning for run in runs for warning in run.warnings):
        known = worst.setdefault((warning.kind, warning.subject), warning)
        if abs(warning.value) > abs(known.value):
            worst[warning.kind, warning.subject] = warning
    yield from (warning for warning in worst.values() if not warning.kind.entry.from_samples)


def cut_alike(runs: Sequence[Run]) -> list[Run]:
    """Runs of the same steps with only the prefixes that all of them timed.

    Otherwise the trace would split different segments in different runs. Runs of different
    steps, or not all with prefixes, are returned unchanged.
    """
    cut = [run for run in runs if run.timings and run.timings.timer is Timer.PREFIX]
    if len(cut) < len(runs) or len({frozenset(identities(run.steps)) for run in runs}) > 1:
        return list(runs)
    return _cut_at(runs, _same_cuts(runs))


def parts(run: Run) -> list[Run]:
    """A merged run split into processes again: one run each, with blocks numbered from 0.

    Warm-ups stay with the first; loading, first inference and warnings are those of the
    whole. A run of one process is returned as it is.
    """
    timings = run.timings
    if timings is None or not timings.block_process:
        return [run]
    return [replace(run, timings=part) for part in by_process(timings)]
