"""Fewer samples of a run, chosen so that its figures stay what they were (docs/store.md#thinning).

Every alternation block stays, so that un-profiled and traced inferences keep their neighbours. In
each block the samples are ranked by their length, and those at evenly spaced ranks are kept: a
block keeps its median and its spread, where a random choice would move both. Traced inferences are
ranked by their whole length and keep all of their steps. Prefixes, repeats and empty calls, which
come in a few dozen rounds, stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.run import Run, Thinned
from onnxprof.records.timings import Indices, Samples, Timings

#: The rule's name in the facts of a run; another rule gets another name.
RULE = "evenly spaced ranks of each block"
#: Fewer samples than these tell little of a spread.
LEAST = 32
Places = NDArray[np.intp]
Array = TypeVar("Array", Samples, Indices)


def thinned(run: Run, limit: int) -> Run:
    """The run with some `limit` samples of a kind, as many as it has at most.

    Each block keeps one sample at least. A run that has no more is returned as it is.
    """
    timings = run.timings
    if timings is None:
        return run
    warmup = _of_one(timings.warmup_ns, limit)
    latency = _of_blocks(timings.latency_ns, timings.latency_block, limit)
    traced = _of_blocks(timings.traced_ns, timings.traced_block, limit)
    counts = [timings.warmup_ns.size, timings.latency_ns.size, timings.traced_ns.size]
    if [places.size for places in (warmup, latency, traced)] == counts:
        return run
    before = run.thinned or Thinned(RULE, limit, *counts)
    fewer = _chosen(timings, warmup, latency, traced)
    return replace(run, timings=fewer, thinned=replace(before, limit=limit))


def _chosen(timings: Timings, warmup: Places, latency: Places, traced: Places) -> Timings:
    def taken(values: Array, places: Places) -> Array:
        chosen: Array = values[..., places] if values.shape[-1] else values
        return chosen

    return replace(
        timings,
        warmup_ns=timings.warmup_ns[warmup],
        latency_ns=timings.latency_ns[latency],
        latency_block=taken(timings.latency_block, latency),
        traced_ns=timings.traced_ns[traced],
        traced_block=taken(timings.traced_block, traced),
        step_ns=taken(timings.step_ns, traced),
        host_ns=taken(timings.host_ns, traced),
    )


def _of_blocks(samples: Samples, block: Indices, limit: int) -> Places:
    """The places of the samples that are kept, in their order."""
    if block.size != samples.size:
        return _of_one(samples, limit)
    blocks = [np.flatnonzero(block == number) for number in np.unique(block)]
    part = min(1.0, limit / max(1, samples.size))
    kept = [one[_of_one(samples[one], max(1, round(part * one.size)))] for one in blocks]
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.intp)


def _of_one(samples: Samples, limit: int) -> Places:
    """Evenly spaced ranks, the middle one among them where both numbers are odd."""
    if samples.size <= limit:
        return np.arange(samples.size)
    count = limit - (limit + samples.size) % 2 if limit > 1 else limit
    ranks = ((np.arange(count) + 0.5) * samples.size / count).astype(np.intp)
    return np.sort(np.argsort(samples, kind="stable")[ranks])
