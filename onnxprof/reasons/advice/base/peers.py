"""Other stored runs that a run may be held against, and the gain that one of them shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.ratios import Floats, ratios
from onnxprof.compare.replicates import latency_group
from onnxprof.compare.systems import is_bare
from onnxprof.compare.verdict import THRESHOLD, Side, Verdict, decides_latency, verdict
from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Gain
from onnxprof.records.run import Request, Run


def peers(case: Case, fits: Callable[[Run], bool]) -> Iterator[Run]:
    """The runs of other settings that fit, with latencies and right outputs, newest of each."""
    found: dict[tuple[object, ...], Run] = {}
    for other in sorted(case.others, key=lambda run: run.created):
        asked = other.request
        wrong = other.parity is not None and other.parity.passed is False
        if other.failure or other.timings is None or is_bare(other) or wrong or not fits(other):
            continue
        if other.timings.latency_ns.size:
            key = asked.model_sha256, asked.backend, asked.provider, asked.device_id
            found[*key, asked.threads, asked.batch, asked.granularity, asked.setup] = other
    yield from found.values()


def same_work(run: Run, other: Run) -> bool:
    """Whether both ran the same file on the same device, at the same sizes and with like inputs."""
    a, b = run.request, other.request
    sizes = sorted(a.dims) == sorted(b.dims) and a.batch == b.batch
    inputs = a.inputs_sha256 == b.inputs_sha256
    return sizes and inputs and a.device_id == b.device_id and a.model_sha256 == b.model_sha256


def system_of(run: Run) -> tuple[str, str]:
    """Backend and provider."""
    return run.request.backend, run.request.provider


def faster(case: Case, other: Run) -> Gain | None:
    """What another run's latency is less, if it is surely faster; None where it is not."""
    if is_bare(case.run) or case.run.timings is None or not case.run.timings.latency_ns.size:
        return None
    groups = latency_group(case.run), latency_group(other)
    ours, theirs = case.total_ns, reconcile(other).total_ns
    low, high = (
        float(end[0]) for end in ratios(*groups).of_times(_row(ours), _row(theirs)).interval()
    )
    sides = [
        Side.of([r], g.times_ns.shape[1]) for r, g in zip((case.run, other), groups, strict=True)
    ]
    told = verdict(theirs / ours, (low, high), THRESHOLD)
    if told is not Verdict.FASTER or not decides_latency(*sides):
        return None
    return Gain(ours * (1 - high), ours * (1 - low))


def _row(ns: int) -> Floats:
    return np.array([ns], np.float64)


#: Words in names of networks that say how one was quantised, not which it is.
_FORMS = frozenset(
    (
        *("int8", "uint8", "int4", "qdq", "quant", "quantized", "quantised", "qoperator", "q"),
        *("dynamic", "static", "fp32", "float32", "float", "preprocessed", "prep", "opt"),
    )
)


def related(run: Request, other: Request) -> bool:
    """Whether another run may tell something of a run, by what was asked for alone.

    It is of the same file, or its name is the same but for words such as `int8`.
    """
    same = run.model_sha256 == other.model_sha256 and run.device_id == other.device_id
    alike = (run.backend, run.device_id, run.batch) == (other.backend, other.device_id, other.batch)
    return same or (alike and _stem(run.model_name) == _stem(other.model_name))


def _stem(name: str) -> tuple[str, ...]:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return tuple(word for word in words if word and word not in _FORMS)
