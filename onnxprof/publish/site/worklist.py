"""Which runs make which page, told by their summaries: nothing is read that need not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from onnxprof.errors import StoreError
from onnxprof.publish.pages.catalogue import by_model, shared_names
from onnxprof.records.run import Request, Run
from onnxprof.store import folder, parquet
from onnxprof.store.summary import Summary


@dataclass(frozen=True, slots=True)
class Item:
    """A run that may still lie in its file."""

    request: Request
    device: str
    """What its device is called; empty if it has no name."""
    created: str
    source: Path | Run
    digest: str = ""
    """SHA-256 of the file; empty for a run that is in memory."""
    steps: int = 0

    @property
    def place(self) -> str:
        """The run's file; empty for a run that is in memory."""
        return "" if isinstance(self.source, Run) else str(self.source)

    def read(self) -> Run:
        """The run. Raises StoreError if its file is damaged."""
        return self.source if isinstance(self.source, Run) else folder.load(self.source)


@dataclass(frozen=True, slots=True)
class Volume:
    """The runs of one model."""

    slug: str
    items: tuple[Item, ...]
    shared: frozenset[str]
    """Names of the model's devices that more than one device of the site has."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Those of all its files; empty if a run is in memory."""
        found = sorted(item.digest for item in self.items)
        return tuple(found) if all(found) else ()


def of_stores(
    stores: Iterable[Path], filters: folder.Filters | None = None
) -> tuple[list[Item], list[StoreError]]:
    """The runs of these folders, oldest first, a copied file once; and what cannot be read."""
    summaries, problems = folder.scan(stores, filters)
    items, more = of_summaries(summaries)
    return items, [*problems, *more]


def of_summaries(summaries: Sequence[Summary]) -> tuple[list[Item], list[StoreError]]:
    """The runs of these files in their order, a copied file once; and what cannot be read."""
    items: dict[str, Item] = {}
    digests, problems = _digests(summaries)
    for found in summaries:
        if (digest := digests.get(found.file)) is None:
            continue
        facts = found.request, found.device_name, found.created
        item = Item(*facts, found.path, digest, found.steps)
        items.setdefault(digest, item)
    return list(items.values()), problems


def _digests(runs: Iterable[Summary]) -> tuple[dict[str, str], list[StoreError]]:
    """By file, and what cannot be read. Runs that an archive has side by side come one by one."""
    digests: dict[str, str] = {}
    problems: list[StoreError] = []
    for run in sorted(runs, key=attrgetter("file")):
        try:
            digests[run.file] = parquet.digest(run.path)
        except StoreError as error:
            problems.append(error)
    return digests, problems


def of_runs(runs: Iterable[Run]) -> list[Item]:
    """The same of runs that are in memory."""
    return [
        Item(run.request, run.device.name, run.created, run, steps=len(run.steps)) for run in runs
    ]


def volumes(items: Iterable[Item]) -> list[Volume]:
    """The items by model, in the order of the index."""
    items = list(items)
    shared = shared_names((item.device, item.request.device_id) for item in items)
    return [
        Volume(slug, tuple(members), shared & {m.device or m.request.device_id for m in members})
        for slug, members in by_model(items)
    ]
