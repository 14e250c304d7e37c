"""What a run was measured on: runs of one system, what to call them, which go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from onnxprof.compare.quantised.counterpart import counterparts
from onnxprof.compare.settings import IMPORTED, is_imported, settings_of, threads_text, work_words
from onnxprof.errors import UsageError
from onnxprof.records.run import RUNTIME, Request, Run

#: Packages whose name is not that of their backend, in runs that do not say which they ran on.
_PACKAGES = {"ort": "onnxruntime"}


class Measured(Protocol):
    """A run, or the summary of one."""

    @property
    def request(self) -> Request:
        """What was asked."""

    @property
    def created(self) -> str:
        """When it was stored."""


M = TypeVar("M", bound=Measured)


def system(run: Measured) -> tuple[str, ...]:
    """What tells two systems apart: backend, provider, device, threads, granularity.

    What another program measured is never taken in place of a measurement.
    """
    asked = run.request
    threads, kind = str(asked.threads), asked.granularity.value
    imported = IMPORTED if is_imported(asked) else ""
    return asked.backend, asked.provider, asked.device_id, threads, kind, imported


def newest(runs: Sequence[M]) -> list[M]:
    """Of each system, model, batch and choice of axes the run stored last; first seen, first."""
    found: dict[tuple[object, ...], M] = {}
    for run in runs:
        asked = run.request
        key = system(run), asked.model_name, asked.batch, tuple(sorted(asked.dims))
        if key not in found or run.created >= found[key].created:
            found[key] = run
    return list(found.values())


def runtime_version(run: Run) -> str:
    """The backend's package and version, as `onnxruntime 1.32.0`; empty where none is known."""
    backend = run.request.backend
    name = _PACKAGES.get(backend, backend)
    facts = dict(run.environment)
    if told := facts.get(RUNTIME):
        return told
    packages = [key for key in facts if key == name or key.startswith(f"{name}-")]
    return f"{packages[0]} {facts[packages[0]]}" if packages else ""


#: Facts that a label takes up, in this order, where those before do not tell two runs apart.
_TELLING: tuple[Callable[[Run], str], ...] = (
    lambda run: run.request.provider,
    lambda run: run.device.name or run.request.device_id,
    lambda run: run.request.device_id,
    lambda run: threads_text(run.request.threads),
    lambda run: run.request.granularity.value,
    lambda run: f"batch {run.request.batch}",
    lambda run: run.request.model_name,
    lambda run: run.request.model_sha256[:8],
    lambda run: f"{run.timer} timer",
    lambda run: run.created.replace("T", " ")[:16],
)


def labels(runs: Sequence[Run]) -> tuple[str, ...]:
    """The shortest names that tell these runs apart; the backend's where that is enough."""
    found = [run.request.backend for run in runs]
    for fact in _TELLING:
        counts = Counter(found)
        told = {
            label: {fact(run) for run, its in zip(runs, found, strict=True) if its == label}
            for label in counts
        }
        found = [
            f"{label} {fact(run)}" if counts[label] > 1 and len(told[label]) > 1 else label
            for run, label in zip(runs, found, strict=True)
        ]
    return tuple(_numbered(found))


def _numbered(labels: Sequence[str]) -> list[str]:
    """Runs that nothing tells apart are counted: `ort`, `ort #2`."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(f"{label} #{seen[label]}" if seen[label] > 1 else label)
    return found


@dataclass(frozen=True, slots=True)
class _Fact:
    what: str
    of: Callable[[Run], str]
    remedy: str


_BATCH = _Fact(
    "batch",
    lambda run: str(run.request.batch),
    "Choose one with --batch N, or --over batch shows them batch by batch",
)
_ALWAYS = (
    _Fact(
        "axes",
        lambda run: ", ".join(work_words((settings_of(run.request).dims, ""))) or "none",
        "Name the runs of one choice of axes by file or id",
    ),
)
_UNLESS_FORCED = (
    _Fact(
        "inputs",
        lambda run: run.request.inputs_sha256[:12] or "generated",
        "--force aligns them all the same",
    ),
)


def is_bare(run: Run) -> bool:
    """Whether it has step times alone, without un-profiled inferences, as an imported run may."""
    timings = run.timings
    return timings is not None and timings.step_ns.size > 0 and not timings.latency_ns.size


def refuse_unlike(runs: Sequence[Run], *, batches: bool = False, force: bool = False) -> None:
    """Raise UsageError for runs that are no two measurements of one thing, naming what differs.

    Refused are fewer than two runs, runs without times (over `batches`: without latencies),
    different axes, batches (unless `batches`) and, unless forced, inputs and models. Models of
    another digest pass where their layers have the same names and operators, and so does a
    quantised form of a float network that is among them.
    """
    if len(runs) < 2:
        raise UsageError(
            f"{len(runs) or 'no'} run{'' if len(runs) == 1 else 's'} to align, two are needed",
            remedy="Name more runs, or a folder that has runs of several systems",
        )
    for run in runs:
        whole = run.timings is not None and run.timings.latency_ns.size > 0
        if not whole and (batches or not is_bare(run)):
            raise UsageError(
                f"this run has no times: {run.failure or 'no un-profiled samples'}",
                where=f"{run.request.model_name} on {run.request.backend}",
            )
    facts = (*(() if batches else (_BATCH,)), *_ALWAYS, *(() if force else _UNLESS_FORCED))
    if not force:
        _refuse_other_models(runs)
    for fact in facts:
        told = list(dict.fromkeys(map(fact.of, runs)))
        if len(told) > 1:
            raise UsageError(
                f"{fact.what} differs: {', '.join(told)}",
                where=runs[0].request.model_name,
                remedy=fact.remedy,
            )


def _refuse_other_models(runs: Sequence[Run]) -> None:
    named = counterparts(runs)
    rest = [its.told for its in named if its.match is None]
    first = rest[0]
    names = ", ".join(dict.fromkeys(run.request.model_name for run in runs))
    for run in rest[1:]:
        if run.request.model_sha256 == first.request.model_sha256:
            continue
        if missing := operators(first) ^ operators(run):
            raise UsageError(
                f"not the same model: {len(missing)} layers are in one and not in the other,"
                f" such as {min(missing)[0]!r}",
                where=names,
                remedy="Choose one with --model NAME; --force aligns what has the same name",
            )


def operators(run: Run) -> frozenset[tuple[str, str]]:
    """Name and operator of each node layer."""
    return frozenset((layer.name, layer.op_type) for layer in run.table.nodes)
