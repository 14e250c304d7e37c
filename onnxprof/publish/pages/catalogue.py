"""Runs sorted into what a reader looks for: models, the systems they ran on, batch sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol, TypeVar

from onnxprof.analysis.grades import Grade, grade
from onnxprof.analysis.reconcile import Reconciliation, reconcile
from onnxprof.analysis.standing import newest, standing
from onnxprof.compare.replicates import latency_reach
from onnxprof.compare.settings import (
    Facet,
    Settings,
    facet_words,
    is_imported,
    settings_of,
    threads_text,
    work_words,
)
from onnxprof.publish.reasons.macs import Macs
from onnxprof.publish.text.grades import spread_text, unchecked_text
from onnxprof.publish.text.numbers import slug, unique_slug
from onnxprof.publish.text.safe import counted
from onnxprof.publish.text.sentences import wrong_text
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import IMPORTED, Request, Run
from onnxprof.records.sequences.phase import Phase
from onnxprof.records.step import USUAL, Granularity, Setup


class Asked(Protocol):
    """A run, or what is known of one."""

    @property
    def request(self) -> Request:
        """What was asked to be measured."""


M = TypeVar("M", bound=Asked)
#: Characters of the name of a run's files without their ending.
_LONGEST_STEM = 200


@dataclass(frozen=True, slots=True)
class System:
    """A device and backend with the settings that make its numbers comparable."""

    key: str
    """Unique among the systems of a model, safe in a file name and a URL's fragment."""
    device: str
    backend: str
    settings: tuple[str, ...]
    """What differs from the plain setting, in words: `4 threads`, `as written`."""
    provider: str = ""
    """The execution provider; empty where it is the backend's plain one."""
    imported: bool = False
    """Whether another program measured it, which is never taken for a measurement."""

    @property
    def runtime(self) -> str:
        """Backend and provider, as a matrix of models and systems names its columns."""
        how = IMPORTED if self.imported else ""
        return " · ".join(filter(None, (self.backend, self.provider, how)))

    @property
    def here(self) -> str:
        """What a page of the device calls it."""
        return " · ".join((self.backend, *self.settings))

    @property
    def label(self) -> str:
        """One line for a reader."""
        return f"{self.device} · {self.here}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest run of one request, and the older ones of the same."""

    system: int
    batch: int
    run: Run
    result: Reconciliation | None
    """None for a failed run."""
    stem: str
    """Name of its files without the extension, the model's name first; unique in the site."""
    older: tuple[Run, ...] = ()
    macs: Macs | None = None
    """At the entry's sizes; None where they were not asked for, or the table has no layer."""
    least: str = ""
    """Its latency over the least possible one, in words; empty without ceilings."""
    unchecked: str = ""
    """What was not checked: `outputs not compared, steps not checked`; empty for nothing."""
    reach: float | None = None
    """What it adds to the interval of a ratio; None where nothing is called slower or faster."""

    @property
    def failure(self) -> str:
        """Why there are no times; empty for a good run."""
        return self.run.failure

    @property
    def has_latency(self) -> bool:
        """Whether there is an un-profiled median."""
        return self.latency_ns is not None

    @property
    def is_wrong(self) -> bool:
        """Whether its outputs are known to be wrong."""
        return self.run.is_wrong

    @property
    def created(self) -> str:
        """When the run was stored."""
        return self.run.created

    @property
    def latency_ns(self) -> int | None:
        """The un-profiled median; None for a failed run and an imported one that has none."""
        return self.result.total_ns if self.result and self.result.is_whole else None

    @property
    def bound_ns(self) -> int | None:
        """The published lower bound; None for what was measured."""
        return self.result.total_ns if self.result and self.run.request.is_published else None

    @property
    def grade(self) -> Grade | None:
        """How far the latency can be trusted; None without one, and for wrong outputs."""
        return grade(self.run, self.result) if self.result else None

    @property
    def known(self) -> str:
        """How well the latency is known: `±0.6 %, 120 samples`."""
        found = self.result
        if found is None or not found.is_whole:
            return ""
        return spread_text(found.total_ns, found.interval_ns, found.samples)

    @property
    def assured(self) -> str:
        """How well the latency is known, and what was not checked, for a figure's tooltip."""
        return "; ".join(filter(None, (self.known, self.unchecked)))

    @property
    def settings(self) -> Settings:
        """What must be equal in a run that is set against this one."""
        return settings_of(self.run.request)

    @property
    def wrong(self) -> str:
        """How its outputs differ from the reference; empty unless parity failed."""
        return wrong_text(self.run)


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Everything that is known about one model."""

    slug: str
    facts: ModelFacts
    systems: tuple[System, ...]
    entries: tuple[Entry, ...]
    """By system, then batch."""
    nodes: int
    """Layers of `table` that are nodes."""

    @property
    def table(self) -> LayerTable:
        """The layer table of the run that is shown first."""
        return self.first.run.table

    @property
    def first(self) -> Entry:
        """What is shown before the reader chooses: the first good run."""
        return next((e for e in self.entries if e.result), self.entries[0])

    def reconciled(self, run: Run) -> Reconciliation:
        """The timing table of a run of the page, made once where the page shows the run."""
        known = (entry.result for entry in self.entries if entry.run is run)
        return next(known, None) or reconcile(run)


def measured(models: Iterable[ModelPage]) -> list[ModelPage]:
    """The models as rankings see them, and without models of which nothing is left.

    Without published bounds, and without runs whose runtime a user set: each setting would be a
    competitor of its own.
    """
    return [page for model in models if (page := _measured(model)).entries]


def _measured(page: ModelPage) -> ModelPage:
    kept = [entry for entry in page.entries if _is_ranked(entry.run.request)]
    if len(kept) == len(page.entries):
        return page
    old = sorted({entry.system for entry in kept})
    entries = tuple(replace(entry, system=old.index(entry.system)) for entry in kept)
    return replace(page, systems=tuple(page.systems[i] for i in old), entries=entries)


def _is_ranked(asked: Request) -> bool:
    return not asked.is_published and asked.setup == USUAL


def standing_entry(entries: Iterable[Entry]) -> Entry | None:
    """Which of several runs with like settings stands for all of them; None of none."""
    found = sorted(entries, key=lambda entry: entry.stem)
    return newest(found) if found else None


def catalogue(runs: Iterable[Run]) -> list[ModelPage]:
    """Sort the runs into models, by name; equal names with different bytes stay apart."""
    runs = list(runs)
    shared = shared_names((run.device.name, run.device.id) for run in runs)
    return [model_page(slug, members, shared) for slug, members in by_model(runs)]


def by_model(runs: Iterable[M]) -> list[tuple[str, list[M]]]:
    """Runs, or what is known of them, by model, each with the name of its folder."""
    groups: dict[tuple[str, str], list[M]] = defaultdict(list)
    for run in runs:
        groups[run.request.model_name, run.request.model_sha256].append(run)
    taken: set[str] = set()
    found = []
    for (name, digest), members in sorted(groups.items(), key=lambda g: (g[0][0].lower(), g[0])):
        folder = unique_slug(name, taken, f"{name}\0{digest}")
        taken.add(folder)
        found.append((folder, members))
    return found


def shared_names(devices: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Of devices by name and identity, the names that more than one has."""
    named: dict[str, set[str]] = defaultdict(set)
    for name, identity in devices:
        named[name or identity].add(identity)
    return frozenset(name for name, identities in named.items() if len(identities) > 1)


def model_page(page_slug: str, runs: Sequence[Run], shared: frozenset[str]) -> ModelPage:
    """The page of one model; `shared` are names that do not tell devices apart."""
    by_request: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        by_request[(_variant(run.request), run.request.batch)].append(run)
    variants = sorted({_variant(run.request) for run in runs}, key=_variant_order)
    named = {v: next(r for r in runs if _variant(r.request) == v) for v in variants}
    systems = _systems([named[variant] for variant in variants], shared)
    entries = [
        _entry(page_slug, systems, variants.index(key[0]), members)  # type: ignore[arg-type]
        for key, members in by_request.items()
    ]
    entries.sort(key=lambda e: (e.system, e.batch))
    facts = newest(runs).model
    first = next((e for e in entries if e.result), entries[0])
    return ModelPage(page_slug, facts, tuple(systems), tuple(entries), len(first.run.table.nodes))


_Dims = tuple[tuple[str, int], ...]
_Phase = tuple[int, int]
Variant = tuple[str, str, str, int, str, str, _Dims, int, str, int, _Phase, Setup]


def _variant(request: Request) -> Variant:
    return (
        request.device_id,
        request.backend,
        request.provider,
        request.threads,
        str(request.granularity),
        request.timer,
        tuple(sorted(request.dims)),
        request.seed,
        request.inputs_sha256,
        request.streams,
        Phase.of(request.phase).order if request.phase else (-1, 0),
        request.setup,
    )


def _variant_order(variant: Variant) -> tuple[object, ...]:
    return (variant[4] == str(Granularity.WRITTEN), variant[-1] != USUAL, *variant)


def _systems(runs: Sequence[Run], shared: frozenset[str]) -> list[System]:
    """Name each system by what sets it apart from the others."""
    requests = [run.request for run in runs]
    systems: list[System] = []
    for run in runs:
        settings = _settings(run.request, requests)
        wanted = ".".join(slug(part) for part in (run.device.id, run.request.backend, *settings))
        taken = {system.key for system in systems}
        key = wanted if wanted not in taken else f"{wanted}.{len(systems)}"
        named = _device(run, shared)
        asked = run.request
        facts = key, named, asked.backend, settings, _provider(asked), is_imported(asked)
        systems.append(System(*facts))
    return systems


def _device(run: Run, shared: frozenset[str]) -> str:
    """The device's name; its id, too, where two devices share the name."""
    name = run.device.name or run.device.id
    return f"{name} ({run.device.id})" if name in shared else name


def _provider(request: Request) -> str:
    if request.is_published:  # there was one way to time primitives
        return ""
    plain = ("", "cpu", request.backend.lower())
    return "" if request.provider.lower() in plain else request.provider


def _settings(request: Request, others: Sequence[Request]) -> tuple[str, ...]:
    """Settings that differ among the model's runs; of graph, options, sizes and streams always."""
    settings = settings_of(request)
    found = [*filter(None, (_provider(request),))]
    if len({other.threads for other in others}) > 1:
        found.append(threads_text(request.threads))
    found += facet_words(settings, Facet.GRAPH)
    found += facet_words(settings, Facet.SETUP)
    if len({other.timer for other in others}) > 1:
        found.append("published bounds" if request.is_published else f"{request.timer} timer")
    found += work_words((settings.dims, "", settings.phase))
    if len({other.seed for other in others}) > 1:
        found.append(f"seed {request.seed}")
    found += work_words(((), settings.inputs, ""))
    if request.streams:
        found.append(counted(request.streams, "stream", "streams"))
    return tuple(found)


def _entry(model: str, systems: Sequence[System], system: int, members: Sequence[Run]) -> Entry:
    """One run stands for its request; the others are behind it."""
    run, *older = sorted(members, key=standing)[::-1]
    return Entry(
        system=system,
        batch=run.request.batch,
        run=run,
        result=reconcile(run) if run.timings is not None else None,
        stem=_stem(f"{model}.{systems[system].key}.b{run.request.batch}"),
        older=tuple(older),
        unchecked=unchecked_text(run),
        reach=latency_reach(run),
    )


def _stem(name: str) -> str:
    """The name, cut to what file systems take: 255 bytes with any ending."""
    if len(name) <= _LONGEST_STEM:
        return name
    return f"{name[: _LONGEST_STEM - 13]}-{sha256(name.encode()).hexdigest()[:12]}"
