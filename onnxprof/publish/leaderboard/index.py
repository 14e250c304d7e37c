"""The site's first page: the leaderboard, systems against each other, devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxprof.compare.settings import Facet, Settings, Work
from onnxprof.publish.drawing import bars
from onnxprof.publish.leaderboard.board import Board, Column, Row, facet_text
from onnxprof.publish.leaderboard.versus import versus
from onnxprof.publish.pages.axes import Axis, axes
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.charts import throughput
from onnxprof.publish.pages.origins import zoo_entry
from onnxprof.publish.pages.render import SiteFacts, markup, render
from onnxprof.publish.reasons.macs import Macs
from onnxprof.publish.text.safe import in_page

if TYPE_CHECKING:
    from markupsafe import Markup

    from onnxprof.publish.pages.device import DevicePage
    from onnxprof.publish.pages.pair import Pair
    from onnxprof.zoo import Entry as Origin

ENERGY = "energy"
METRICS = ("latency", "throughput", ENERGY, "relative")
GRAPHS = (("optimised", "optimised"), ("written", "as written"))
#: Rows that the page's script shows at once.
WINDOW = 50


@dataclass(frozen=True, slots=True)
class Spark:
    """Throughput of the system that a model's page shows first, over an axis of its run."""

    drawing: Markup
    words: str
    """What it shows, and at which sizes it is noise; for its tooltip."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the leaderboard with what else is known of the model."""

    row: Row
    origin: Origin | None
    spark: Spark

    @property
    def macs(self) -> Macs | None:
        """Those of the row's sizes at the smallest batch that a run of them has; None of none."""
        alike = [e for e in self.row.model.entries if e.macs and e.settings.work == self.row.work]
        return min(alike, key=lambda entry: entry.batch).macs if alike else None


def index_page(
    whole: Board,
    devices: Sequence[DevicePage],
    site: SiteFacts,
    compared: Sequence[Pair] = (),
    uncompared: int = 0,
    under_load: int = 0,
    published: tuple[int, int] = (0, 0),
    layered: int = 0,
) -> str:
    """The leaderboard under its default choice, systems against each other, links to devices.

    `uncompared` is the number of pairs without a page, `under_load` that of runs under load.
    Published lower bounds are in no table here: `published` counts their models and devices.
    `layered` is the number of rows that the list of all layers has.
    """
    rows = whole.rows(whole.default)
    lines = [Line(row, zoo_entry(row.model.facts), _spark(row.model)) for row in rows]
    pages: dict[frozenset[Column], dict[int, str]] = {}
    for pair in compared:
        pages.setdefault(frozenset((pair.a, pair.b)), {})[pair.threads] = pair.slug
    return render(
        "index.html",
        site,
        "index.html",
        board=whole,
        choice=whole.default,
        lines=lines,
        ratios=versus(rows, whole.columns, pages, whole.default.threads),
        devices=devices,
        uncompared=uncompared,
        under_load=under_load,
        published=published,
        layered=layered,
        runs=sum(len(model.entries) for model in whole.models),
        window=WINDOW,
        **_options(whole, lines),
    )


#: A value that an address may have, and its text.
Options = list[tuple[str, str]]


def _options(board: Board, lines: Sequence[Line]) -> dict[str, Options]:
    """What each control of the table offers."""
    origins = [line.origin for line in lines if line.origin]
    metrics = [m for m in METRICS if m != ENERGY or board.has_energy]
    return {
        "batches": [*_plain(map(str, board.batches)), ("best", "best")],
        "metrics": _plain(metrics),
        "threads": [(str(n), str(n) if n else "not known") for n in board.threads],
        "graphs": [GRAPHS[written] for written in board.graphs],
        "sizes": [(in_page(Settings(*w).key), _sizes(w)) for w in board.works],
        "families": [(f, f.replace("_", " ")) for f in sorted({o.family for o in origins})],
        "tasks": _plain(sorted({origin.task for origin in origins})),
        "devices_named": _plain(sorted({device for device, _ in board.columns})),
        "runtimes": _plain(sorted({runtime for _, runtime in board.columns})),
    }


def _plain(values: Iterable[str]) -> Options:
    return [(value, value) for value in values]


def _sizes(work: Work) -> str:
    return facet_text(Settings(*work), Facet.WORK)


def _spark(model: ModelPage) -> Spark:
    """Throughput of the first run's system over the first axis that the run is on."""
    for axis in axes(model):
        for number, line in enumerate(axis.lines):
            if any(model.entries[i] is model.first for _, i in line.points):
                return _spark_of(throughput(model, axis, number), model, axis)
    return Spark(markup(""), "")


def _spark_of(line: bars.Line, model: ModelPage, axis: Axis) -> Spark:
    said = f"{model.systems[model.first.system].label}: {axis.item}s/s over {axis.title}"
    for grade, word in (("noise", "noise"), ("wrong", "wrong outputs")):
        if sizes := [f"{size:,.0f}" for (size, _), found, _ in line.marks if found == grade]:
            said += f"; {word} at {', '.join(sizes)}"
    return Spark(markup(bars.sparkline(line)), in_page(said))
