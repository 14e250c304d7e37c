"""`changes.html`: what got slower or faster, failed or went wrong, over all models of a site."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.compare.verdict import THRESHOLD, Verdict
from onnxprof.publish.history.changes import Change, Moved, State, judged_together
from onnxprof.publish.history.strip import changed_text
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.render import SiteFacts, render
from onnxprof.publish.text.csv import csv_of_records
from onnxprof.publish.text.numbers import TYPESET, duration
from onnxprof.publish.text.safe import in_page
from onnxprof.publish.text.verdicts import words_text

#: Rows of a table of the page; the CSV has all.
_MOST_ROWS = 300
#: Columns of the CSV, in order.
COLUMNS = (
    *("model", "system", "batch", "state", "verdict", "ratio", "low", "high"),
    *("before_ms", "now_ms", "before", "now", "runs", "failed_or_wrong_between"),
    *("best_before", "best_ratio", "best_verdict", "differences", "layers", "trouble"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A request's newest run, with the model that it is of."""

    model: str
    slug: str
    sha256: str
    change: Change

    @property
    def path(self) -> str:
        """Its run's address below the site's folder."""
        return f"models/{self.slug}/index.html#{self.change.newest.address}"

    @property
    def both(self) -> str:
        """The address of the newest run beside the one before."""
        before = self.change.against
        return f"{self.path}~{before.earlier.address}" if before else self.path

    @property
    def differs(self) -> str:
        """What differs from the run before; empty where nothing does."""
        return changed_text(self.change.differences)

    @property
    def layers(self) -> str:
        """The layers that changed most, with what each added."""
        return "; ".join(map(moved_text, self.change.layers))

    @property
    def size(self) -> float:
        """How large the change is, in either direction: the logarithm of the ratio."""
        ratio = self.change.against.ratio if self.change.against else None
        return abs(math.log(ratio)) if ratio else 0.0


def listed(models: Sequence[ModelPage], found: Mapping[str, Sequence[Change]]) -> list[Listed]:
    """Every change of a site, judged together; `found` has them by the models' folders."""
    pairs = [(model, change) for model in models for change in found.get(model.slug, ())]
    judged = judged_together([change for _, change in pairs])
    return [
        Listed(model.facts.name, model.slug, model.facts.sha256, change)
        for (model, _), change in zip(pairs, judged, strict=True)
    ]


def changes_page(rows: Sequence[Listed], site: SiteFacts) -> str:
    """The page, the largest changes first."""
    return render(
        "changes.html",
        site,
        "changes.html",
        requests=len(rows),
        again=sum(row.change.runs > 1 for row in rows),
        compared=sum(row.change.state is State.COMPARED for row in rows),
        sections=[each for each in _sections(rows) if each["rows"]],
        legend=words_text(THRESHOLD),
        time=lambda ns: duration(ns, TYPESET),
    )


def _sections(rows: Sequence[Listed]) -> Iterator[dict[str, Any]]:
    """Title, what it means, rows, and how many there are."""
    by_size = sorted(rows, key=lambda row: -row.size)
    trouble = [row for row in rows if row.change.state in (State.FAILED, State.WRONG)]
    changed = [row for row in by_size if row.change.is_decided]
    creeping = [row for row in by_size if _creeps(row.change)]
    again = [row for row in by_size if row.change.state is State.COMPARED]
    rest = [row for row in again if not row.change.is_decided]
    yield _section("broken", "Failed or wrong now", "They worked before.", trouble)
    yield _section("changed", "Slower or faster", "Against the run before.", changed)
    yield _section(
        "creeping",
        "Slower than the best",
        "Against the fastest of three or more earlier runs, though no single step from run to run"
        " is large enough to be told.",
        creeping,
    )
    text = "Measured again; nothing is called slower or faster."
    yield _section("unchanged", "The same, or undecided", text, rest)


def _creeps(change: Change) -> bool:
    slower = change.best is not None and change.best.latency.verdict is Verdict.SLOWER
    return slower and change.verdict is not Verdict.SLOWER


def _section(key: str, title: str, meaning: str, rows: Sequence[Listed]) -> dict[str, Any]:
    return {
        "key": key,
        "title": title,
        "meaning": meaning,
        "rows": rows[:_MOST_ROWS],
        "count": len(rows),
    }


def moved_text(layer: Moved) -> str:
    """`conv1 +12.3 µs`; `only before` and `only now` for a layer that one of the two has."""
    name = in_page(layer.name)
    if layer.verdict is Verdict.ONLY_A:
        return f"{name} only before"
    if layer.verdict is Verdict.ONLY_B:
        return f"{name} only now"
    sign = "+" if layer.gained_ns > 0 else ""
    return f"{name} {sign}{duration(layer.gained_ns, TYPESET)}"


def changes_csv(rows: Sequence[Listed]) -> str:
    """Every request's newest run against the one before, a row each."""
    return csv_of_records(COLUMNS, map(_record, rows))


def _record(row: Listed) -> dict[str, Any]:
    change, against, best = row.change, row.change.against, row.change.best
    low, high = (against.latency.interval if against else None) or (None, None)
    return {
        "model": row.model,
        "system": change.system,
        "batch": change.batch,
        "state": change.state.value,
        "verdict": change.verdict.value if change.verdict else "",
        "ratio": against.ratio if against else None,
        "low": low,
        "high": high,
        "before_ms": _ms(against.earlier.median_ns) if against else None,
        "now_ms": _ms(change.newest.median_ns),
        "before": against.earlier.created if against else "",
        "now": change.newest.created,
        "runs": change.runs,
        "failed_or_wrong_between": change.between,
        "best_before": best.earlier.created if best else "",
        "best_ratio": best.ratio if best else None,
        "best_verdict": best.latency.verdict.value if best else "",
        "differences": changed_text(change.differences, len(change.differences)),
        "layers": row.layers,
        "trouble": change.trouble,
    }


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6
