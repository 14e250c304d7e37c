"""What stores have of models under load, for the page of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from onnxprof.publish.disk.cache import digest
from onnxprof.records.scenarios.run import ScenarioRun
from onnxprof.store.beside.scenarios import stored


@dataclass(frozen=True, slots=True)
class Loads:
    """Every run under load but those at a rate that was given, oldest first, a copied one once."""

    runs: tuple[ScenarioRun, ...] = ()
    digest: str = ""
    """Of all of them; empty of none."""
    problems: tuple[str, ...] = ()
    """Files that cannot be read, one line each."""


NONE = Loads()


def of_stores(stores: Iterable[Path]) -> Loads:
    """The runs under load in these folders."""
    found, problems = stored(stores)
    runs = tuple(dict.fromkeys(run for _, run in found if not run.asked.rate))
    text = digest("loads", *map(repr, runs)) if runs else ""
    return Loads(runs, text, tuple(map(str, problems)))
