"""What a run was measured on: runs of one system, what to call them, which go together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from onnxprof.analysis.standing import Measurement, standing
from onnxprof.compare.axes.families import BATCH, followers, size_in, sizes_in
from onnxprof.compare.quantised.counterpart import counterparts
from onnxprof.compare.settings import sized, threads_text, work_words
from onnxprof.errors import UsageError, did_you_mean
from onnxprof.records.run import CORES, IMPORTED, PUBLISHED, RUNTIME, Request, Run
from onnxprof.records.step import USUAL
from onnxprof.records.telemetry import Quantity

#: Packages whose name is not that of their backend, in runs that do not say which they ran on.
_PACKAGES = {"ort": "onnxruntime"}


class Measured(Measurement, Protocol):
    """A run, or the summary of one."""

    @property
    def request(self) -> Request:
        """What was asked."""


M = TypeVar("M", bound=Measured)


def system(run: Measured) -> tuple[str, ...]:
    """What tells two systems apart: backend, provider, device, threads, granularity, options.

    What another program measured is never taken in place of a measurement.
    """
    asked = run.request
    threads, kind = str(asked.threads), asked.granularity.value
    foreign = asked.timer if asked.timer in (IMPORTED, PUBLISHED) else ""
    setup = ", ".join(asked.setup.words)
    where = asked.backend, asked.provider, asked.device_id
    return *where, threads, kind, foreign, setup, asked.runtime


def newest(runs: Sequence[M]) -> list[M]:
    """Of each system, model, batch and choice of axes the run that stands; first seen, first.

    See `analysis.standing`.
    """
    found: dict[tuple[object, ...], M] = {}
    for run in runs:
        asked = run.request
        work = asked.batch, asked.phase, tuple(sorted(asked.dims))
        key = system(run), asked.model_name, work
        if key not in found or standing(run) >= standing(found[key]):
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
    lambda run: run.request.runtime,
    lambda run: run.device.name or run.request.device_id,
    lambda run: run.request.device_id,
    lambda run: threads_text(run.request.threads),
    lambda run: run.request.granularity.value,
    lambda run: ", ".join(run.request.setup.words) or "usual options",
    lambda run: f"batch {run.request.batch}",
    lambda run: ", ".join(work_words(sized(run.request))) or "no axes",
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


_PHASE = _Fact(
    "phase",
    lambda run: run.request.phase or "none",
    "Choose one with --phase KIND:SIZE; onnxprof phases puts phases side by side",
)
#: Choices of sizes that are written out.
_MOST_CHOICES = 4


def _axes(runs: Sequence[Run], over: str) -> _Fact:
    """The sizes of the axes that are to be alike."""
    points = [sizes_in(run.request) for run in runs]
    free = {over, *followers(points, over)} if over else set[str]()

    def kept(run: Run) -> tuple[tuple[str, int], ...]:
        return tuple(p for p in sorted(run.request.dims) if p[0] not in free)

    def held(run: Run) -> str:
        return ", ".join(work_words((kept(run), "", ""))) or "none"

    choices = list(dict.fromkeys(map(kept, runs)))
    return _Fact("axes", held, _remedy(choices, over))


def _remedy(choices: Sequence[tuple[tuple[str, int], ...]], over: str) -> str:
    """The options that choose, of axes that differ alone."""
    common = set.intersection(*(set(choice) for choice in choices))
    options = [
        " ".join(f"--dim {name}={size}" for name, size in choice if (name, size) not in common)
        for choice in choices
    ]
    shown = list(filter(None, options))[:_MOST_CHOICES]
    others = "" if over else ", or --over NAME shows the sizes of one axis side by side"
    more = f" (of {len(options)})" if len(options) > len(shown) else ""
    return f"Choose {' or '.join(shown)}{more}{others}"


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


def refuse_unlike(runs: Sequence[Run], *, over: str = "", force: bool = False) -> None:
    """Raise UsageError for runs that are no two measurements of one thing, naming what differs.

    Refused are fewer than two runs, runs without times (`over` an axis: without latencies), other
    phases and sizes of axes (unless `over` that one, or following it) and, unless forced, inputs
    and models.
    Models of another digest pass where their layers have the same names and operators, and so does
    a quantised form of a float network that is among them.
    """
    if len(runs) < 2:
        raise UsageError(
            f"{len(runs) or 'no'} run{'' if len(runs) == 1 else 's'} to align, two are needed",
            remedy="Name more runs, or a folder that has runs of several systems",
        )
    for run in runs:
        whole = run.timings is not None and run.timings.latency_ns.size > 0
        if not whole and (over or not is_bare(run)):
            raise UsageError(
                f"this run has no times: {run.failure or 'no un-profiled samples'}",
                where=f"{run.request.model_name} on {run.request.backend}",
            )
    _refuse_unknown(runs, over)
    facts = (
        *(() if over == BATCH else (_BATCH,)),
        _PHASE,
        _axes(runs, over),
        *(() if force else _UNLESS_FORCED),
    )
    if not force:
        _refuse_other_models(runs)
    for fact in facts:
        told = list(dict.fromkeys(map(fact.of, runs)))
        if len(told) > 1:
            joint = "; " if any(", " in each for each in told) else ", "
            raise UsageError(
                f"{fact.what} {_verb(fact.what)}: {joint.join(told)}",
                where=runs[0].request.model_name,
                remedy=fact.remedy,
            )


def _refuse_unknown(runs: Sequence[Run], over: str) -> None:
    if over and all(size_in(run.request, over) is None for run in runs):
        raise no_axis(runs, over)


def no_axis(runs: Sequence[Run], axis: str) -> UsageError:
    """The error for an axis that no run has."""
    known = [BATCH, *sorted({name for run in runs for name, _ in run.request.dims})]
    return UsageError(
        f"no run has an axis {axis!r}",
        where=", ".join(dict.fromkeys(run.request.model_name for run in runs)),
        remedy=f"{did_you_mean(axis, known)}--over takes one of: {', '.join(known)}",
    )


def _refuse_other_models(runs: Sequence[Run]) -> None:
    named = counterparts(runs)
    rest = [its.told for its in named if its.match is None]
    first = rest[0]
    names = ", ".join(dict.fromkeys(run.request.model_name for run in runs))
    published = any(run.request.is_published for run in rest)
    for run in rest[1:]:
        if run.request.model_sha256 == first.request.model_sha256:
            continue
        told = classes if published else operators
        if missing := told(first) ^ told(run):
            raise UsageError(
                f"not the same model: {len(missing)} layers are in one and not in the other,"
                f" such as {min(missing)[0]!r}",
                where=names,
                remedy="Choose one with --model NAME; --force aligns what has the same name",
            )


def classes(run: Run) -> frozenset[tuple[str, str]]:
    """Name and class of each node layer, which is all that published tables tell."""
    return frozenset((layer.name, layer.layer_type) for layer in run.table.nodes)


def operators(run: Run) -> frozenset[tuple[str, str]]:
    """Name and operator of each node layer."""
    return frozenset((layer.name, layer.op_type) for layer in run.table.nodes)


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact in which two runs differ."""

    what: str
    a: str
    b: str

    def sentence(self, a: str = "in A", b: str = "in B") -> str:
        """`timer differs: trace in A, prefix in B`, or with other words for the two sides."""
        return f"{self.what} {_verb(self.what)}: {self._told(self.a)} {a}, {self._told(self.b)} {b}"

    def _told(self, value: str) -> str:
        """`0 (onnxprof on 1)` of the stored `0; onnxprof on 1`: only a comma parts the sides."""
        split = _SPLIT.fullmatch(value) if self.what == CORES else None
        return f"{split[1]} ({split[2]})" if split else value


#: Facts whose names are plurals.
_PLURALS = (CORES, "axes", "inputs", "threads", "options")
#: Cores as a run has them: those that were measured, and where onnxprof itself ran.
_SPLIT = re.compile(r"([\d,-]+)[;,] (.+)")


def _verb(what: str) -> str:
    return "differ" if what in _PLURALS else "differs"


#: What stands for a fact that a run does not have.
NO_FACT = "none"
#: Facts of the machine that change from minute to minute.
_FLEETING = ("load_average", "memory.available", "cpu.frequency", "cpu.throttle_events")
#: Facts that tell nothing unless both runs have them, and agree in these others.
CONDITIONAL: Mapping[str, tuple[str, ...]] = {CORES: ("threads", "device"), "clock": ()}


def differences(a: Run, b: Run) -> tuple[Difference, ...]:
    """In what two runs differ, besides their times and when they were taken."""
    ours, theirs = facts(a), facts(b)
    told = [
        Difference(key, ours.get(key, NO_FACT), theirs.get(key, NO_FACT))
        for key in {**ours, **theirs}
        if _tells(key, ours, theirs)
    ]
    return tuple(fact for fact in told if fact.a != fact.b)


def _tells(key: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    if key not in CONDITIONAL:
        return True
    others = CONDITIONAL[key]  # runs of before do not say
    return key in ours and key in theirs and all(ours[o] == theirs[o] for o in others)


def facts(run: Run) -> dict[str, str]:
    """What was asked, and every fact of machine and software that does not change by the minute."""
    machine = {key: value for key, value in run.environment if key not in _FLEETING}
    return _asked(run) | machine | _of_device(run)


def _asked(run: Run) -> dict[str, str]:
    asked = run.request
    return {
        "model": asked.model_name,
        "model digest": asked.model_sha256[:12],
        "batch": str(asked.batch),
        **({"phase": asked.phase} if asked.phase else {}),
        "axes": ", ".join(work_words((tuple(sorted(asked.dims)), "", ""))) or "none",
        "inputs": asked.inputs_sha256[:12] or f"generated, seed {asked.seed}",
        "backend": f"{asked.backend}, provider {asked.provider}",
        "device": asked.device_id,
        "threads": str(asked.threads),
        "granularity": asked.granularity.value,
        "timer": timer(run),
        **({"options": ", ".join(asked.setup.words)} if asked.setup != USUAL else {}),
    }


def _of_device(run: Run) -> dict[str, str]:
    """A GPU's driver, and the clock that was read while measuring, in steps of 0.1 GHz."""
    series = run.telemetry.of(Quantity.CLOCK) if run.telemetry else ()
    clocks = [each.median for each in series]
    known = {
        "driver": run.device.driver,
        "clock": f"{max(clocks) / 1000:.1f} GHz" if clocks else "",
    }
    return {key: value for key, value in known.items() if value}


def timer(run: Run) -> str:
    """The one that `auto` took."""
    settled = run.request.timer != "auto" or run.timings is None
    return run.request.timer if settled else run.timer
