"""The section of a model's page that says why, for one run, and its files for the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pages.embed import embedded
from onnxprof.publish.pages.render import SiteFacts, Why, markup, render
from onnxprof.publish.reasons.advice import gain_text, part_text, value_text
from onnxprof.publish.roofline.cells import EMPTY, cells_of, columns
from onnxprof.publish.roofline.drawing import draw
from onnxprof.publish.roofline.kinds import ORDER, groups
from onnxprof.publish.roofline.known import Reasons
from onnxprof.publish.roofline.shapes import swatch
from onnxprof.publish.tables.runs import run_id
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.roofs import alone_text, beaten_text, bound_text, least_text
from onnxprof.publish.text.safe import in_page, shortened
from onnxprof.reasons.advice.advise import Advice
from onnxprof.reasons.advice.base.finding import Finding, Gain
from onnxprof.reasons.stored import command
from onnxprof.records.run import Run

#: Pieces of advice that a page shows; the command has them all.
MOST_CARDS = 6
_MOST_LAYERS, _LONGEST = 3, 160


@dataclass(frozen=True, slots=True)
class Card:
    """A piece of advice."""

    title: str
    change: str
    gain: str
    share: str
    rewrite: str
    evidence: tuple[tuple[str, str], ...]
    layers: tuple[str, ...]
    more: int
    """Layers that are not named."""


def shown(page: ModelPage, reasons: Reasons, site: SiteFacts) -> Why:
    """The section and the cells of the page's first run; empty ones where it failed."""
    entry = page.first
    if entry.result is None:
        return Why(markup(""), lambda _: markup(EMPTY), bounded=False)
    roofs = reasons.roofs(entry.run)
    cells = cells_of(roofs)
    section = markup(_section(page, entry, reasons, site))
    return Why(section, lambda row: markup(cells(row)), roofs.ceilings is not None)


def scripts(page: ModelPage, reasons: Reasons, site: SiteFacts) -> Iterator[tuple[str, str]]:
    """A file a good run: its section, and the figures of its rows' cells."""
    for entry in page.entries:
        if entry.result is None:
            continue
        values = {
            "html": _section(page, entry, reasons, site),
            "bounded": reasons.roofs(entry.run).ceilings is not None,
            **columns(reasons.roofs(entry.run)),
        }
        yield f"why/{entry.stem}.js", f'onnxprof.why("{entry.stem}",{embedded(values)});\n'


def told(reasons: Reasons, run: Run) -> tuple[str, dict[str, Any]]:
    """How far a good run's latency is from the least possible, and the figures of its rows' cells.

    Those of an earlier run, which has no section.
    """
    roofs = reasons.roofs(run)
    least = least_text(reasons.bounds(run)) if roofs.sums.is_whole else ""
    return least, {"bounded": roofs.ceilings is not None, **columns(roofs)}


def _section(page: ModelPage, entry: Entry, reasons: Reasons, site: SiteFacts) -> str:
    """Made once, for the page and for the run's file."""
    if entry.stem not in reasons.sections:
        reasons.sections[entry.stem] = _rendered(page, entry, reasons, site)
    return reasons.sections[entry.stem]


def _rendered(page: ModelPage, entry: Entry, reasons: Reasons, site: SiteFacts) -> str:
    run = entry.run
    roofs, advice = reasons.roofs(run), reasons.advice(run)
    drawing = draw(roofs, page.facts.name)
    notes = [text for text in (alone_text(roofs), beaten_text(roofs)) if text]
    return render(
        "parts/roofline.html",
        site,
        f"models/{page.slug}/index.html",
        possible=bound_text(roofs),
        missing="" if roofs.ceilings else in_page(reasons.shelf.reason(run)),
        imported=run.origin is not None,
        command=command(run),
        drawing=drawing,
        svg=markup(drawing.svg),
        groups=groups(roofs) if roofs.ceilings else [],
        swatches={kind: markup(swatch(kind)) for kind in ORDER},
        notes=notes,
        cards=[_card(one) for one in advice.large[:MOST_CARDS]],
        more=len(advice.findings) - min(len(advice.large), MOST_CARDS),
        together=_gain(advice.union, advice),
        identity=run_id(run),
    )


def _card(finding: Finding) -> Card:
    return Card(
        shortened(finding.title, _LONGEST),
        shortened(finding.change, 2 * _LONGEST),
        f"Saves {gain_text(finding.gain)}" if finding.gain else "Gain not known",
        "" if finding.share is None else percent(finding.share),
        finding.rewrite.value if finding.rewrite else "",
        tuple((shortened(one.meaning, _LONGEST), value_text(one)) for one in finding.evidence),
        finding.layers[:_MOST_LAYERS],
        max(0, len(finding.layers) - _MOST_LAYERS),
    )


def _gain(gain: Gain | None, advice: Advice) -> str:
    return f"{gain_text(gain)}, {part_text(gain, advice.total_ns)}" if gain else ""
