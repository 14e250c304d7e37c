"""The site's first page: the leaderboard, systems against each other, devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxprof.compare.settings import Settings, threads_text, work_words
from onnxprof.publish.drawing import bars
from onnxprof.publish.leaderboard.board import Row, board
from onnxprof.publish.leaderboard.versus import versus
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.origins import zoo_entry
from onnxprof.publish.pages.render import SiteFacts, latencies, markup, rates, render
from onnxprof.publish.text.safe import in_page

if TYPE_CHECKING:
    from markupsafe import Markup

    from onnxprof.publish.pages.device import DevicePage
    from onnxprof.publish.pages.pair import Pair
    from onnxprof.zoo import Entry as Origin

#: Rows that the page's script shows at once.
WINDOW = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the leaderboard with what else is known of the model."""

    row: Row
    origin: Origin | None
    spark: Markup
    """Throughput over batch size on the system that the model's page shows first."""


def index_page(
    models: Sequence[ModelPage],
    devices: Sequence[DevicePage],
    site: SiteFacts,
    compared: Sequence[Pair] = (),
    uncompared: int = 0,
    under_load: int = 0,
) -> str:
    """The leaderboard under its default choice, systems against each other, links to devices.

    `uncompared` is the number of pairs without a page, `under_load` that of runs under load.
    """
    whole = board(models)
    rows = whole.rows(whole.default)
    lines = [Line(row, zoo_entry(row.model.facts), _spark(row.model)) for row in rows]
    pages = {frozenset((pair.a, pair.b)): pair.slug for pair in compared}
    origins = [line.origin for line in lines if line.origin]
    return render(
        "index.html",
        site,
        "index.html",
        board=whole,
        choice=whole.default,
        lines=lines,
        ratios=versus(rows, whole.columns, pages),
        devices=devices,
        uncompared=uncompared,
        under_load=under_load,
        tasks=sorted({origin.task for origin in origins}),
        families=sorted({origin.family for origin in origins if origin.family}),
        sizes=[(in_page(Settings(*w).key), _sizes(w)) for w in whole.works],
        threads_text=threads_text,
        runs=sum(len(model.entries) for model in models),
        window=WINDOW,
    )


def _sizes(work: tuple[tuple[tuple[str, int], ...], str]) -> str:
    return ", ".join(work_words(work)) or "default sizes"


def _spark(model: ModelPage) -> Markup:
    points = latencies([e for e in model.entries if e.system == model.first.system])
    return markup(bars.sparkline(rates(points)))
