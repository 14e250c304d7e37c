"""The site's pages: a catalogue in, HTML out. Templates are in `onnxprof.site`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.grades import Grade, grade
from onnxprof.analysis.reconcile import Reconciliation, TimedRow
from onnxprof.analysis.standing import standing
from onnxprof.errors import UsageError
from onnxprof.publish.disk import package
from onnxprof.publish.drawing import bars
from onnxprof.publish.icicle import view as where
from onnxprof.publish.latency import tail
from onnxprof.publish.pages import axes, charts, embed, layer_rows, side_by_side
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pages.origins import zoo_entry
from onnxprof.publish.repeating.lines import repeat
from onnxprof.publish.text import grades, numbers
from onnxprof.publish.text.safe import in_page, shortened
from onnxprof.publish.text.sentences import reconciliation_text
from onnxprof.publish.text.warnings import folded_text, warning_texts
from onnxprof.records.layer import Layer, LayerKind, Tensor

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

REMEDY = charts.REMEDY
REPORT = "report"
ASSETS = (
    *("style.css", "site.js", "model.js", "layers.js", "compare.js", "paper.js"),
    *("charts/style.js", "charts/axes.js", "charts/steps.js", "charts/over.js"),
    *("charts/speedup.js", "charts/charts.js"),
    *("plot/scene.js", "plot/graph.js", "plot/shapes.js", "plot/view.js", "plot/words.js"),
    *("plot/search.js", "plot/save.js", "plot/input.js", "plot/plot.js"),
    *("grades.css", "grades.js", "history.css", "history.js"),
    *("address.js", "figures.js", "selection.js", "selection.css"),
    *("timing.js", "keys.js", "panel.js", "contents.js"),
    *("where.css", "scopes.js", "where.js"),
    *("roofline.css", "roofline.js"),
    *("repeat.css", "repeat.js", "downloads.css"),
    *("leaderboard.css", "leaderboard.js", "cells.js"),
)
#: Where a template has room for the list of its sections, and what such a section begins with.
_CONTENTS = "<!-- contents -->"
_SECTION = re.compile(r'<section([^>]*)>\s*<h2 id="([^"]+)"[^>]*>([^<]+)</h2>')
_HEADING = re.compile(r'<h2 id="([^"]+)">([^<]+)</h2>')
_SCRIPTED = 'class="script"'
#: A name of so many letters stays on a line; `UNBROKEN` of site.js.
_UNBROKEN = 16
#: A line may break behind the hyphens of one.
_OPTION = re.compile(r"(--\w[\w-]{0,38})")


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What every page says about the site."""

    title: str
    version: str
    newest: str
    """When the newest run was measured; pages carry no time of their building."""
    base_url: str = ""
    """Where the site will be, with a slash at its end; empty where that is not known."""
    project_url: str = ""
    """The project that the results are of; every page's foot links to it."""
    licence: str = ""
    """That of the results, as its SPDX identifier, a name or an address; empty for none stated."""
    pages: str = ""
    """Pages that not every site has, for the navigation: `scenarios.html bounds.html`."""
    form: str = ""
    """`REPORT` where all pages become one file, which holds neither PDFs nor a chart library."""

    @property
    def is_report(self) -> bool:
        """Whether the pages become one file."""
        return self.form == REPORT


@dataclass(frozen=True, slots=True)
class Why:
    """What a model's page says of the causes of its first run's times."""

    section: Markup
    cells: Callable[[TimedRow], Markup]
    """The cells of a row of the timing table."""
    bounded: bool
    """Whether there are ceilings that bound its steps."""


def model_page(
    page: ModelPage,
    site: SiteFacts,
    rooms: str,
    why: Why,
    data: Mapping[str, Any],
    **parts: Any,
) -> str:
    """Everything about one model; its script shows the run that the reader chooses.

    `rooms` are the heights of the plots, from `graph_view.rooms`; `why` is of the first run. `data`
    is embedded besides what this module has, and `parts` are what other packages draw on the page.
    """
    aligned = side_by_side.listed(page)
    found = axes.axes(page)
    drawn = charts.charts(page, found)
    shown = embed.page_data(page) | axes.plain(page, found)
    html = render(
        "model.html",
        site,
        f"models/{page.slug}/index.html",
        page=page,
        origin=zoo_entry(page.facts),
        facts=page.facts,
        first=page.first,
        table=page.table,
        inputs=[_given(layer) for layer in page.table if layer.kind is LayerKind.INPUT],
        tensors={name: i for i, name in enumerate(embed.tensor_names(page.table))},
        batches=sorted({entry.batch for entry in page.entries}),
        panels=markup(charts.panels(page, found)),
        axes=found,
        charts=[(chart, chart.titled(found)) for chart in drawn],
        rooms=rooms,
        why=why,
        library=charts.LIBRARY,
        data=markup(embed.embedded(shown | {"aligned": aligned, **data})),
        aligned=aligned,
        repeat=repeat(page.first.run),
        picture=f"models/{page.slug}/card.png",
        environments=_environments(page),
        **parts,
    )
    return html.replace(_CONTENTS, _contents(html))


def _contents(html: str) -> str:
    """A list of the page's sections; those that scripts fill are for pages with scripts."""
    return "\n".join(
        f'<li{f" {_SCRIPTED}" if _SCRIPTED in attributes else ""}><a href="#{key}">{title}</a></li>'
        for attributes, key, title in _SECTION.findall(html)
    )


def method_page(site: SiteFacts) -> str:
    """What each number means."""
    html = render("method.html", site, "method.html")
    entries = (f'<li><a href="#{key}">{title}</a></li>' for key, title in _HEADING.findall(html))
    return html.replace(_CONTENTS, "\n".join(entries))


def asset(name: str) -> bytes:
    """A file that the pages refer to."""
    return (package.folder("site") / "assets" / name).read_bytes()


def _given(layer: Layer) -> Tensor:
    return (layer.outputs or layer.inputs)[0]


def _environments(page: ModelPage) -> list[tuple[str, Entry]]:
    """The newest good entry of each system, for the facts of its machine."""
    newest: dict[int, Entry] = {}
    for entry in sorted(page.entries, key=standing):
        newest[entry.system] = entry
    return [(page.systems[i].label, newest[i]) for i in sorted(newest)]


def markup(text: str) -> Markup:
    """Only for text that this package has escaped itself."""
    from markupsafe import Markup

    return Markup(text)


@lru_cache(maxsize=1 << 16)
def _isolated(name: str) -> Markup:
    """A name apart from the direction of its neighbours, which breaks behind its separators."""
    from markupsafe import Markup

    shown = in_page(name)
    parts = numbers.pieces(shown) if len(shown) > _UNBROKEN else [shown]
    return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(parts))


def _coded(text: str) -> Markup:
    """Text of ours in which backticks enclose code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )


def _unbroken(text: str) -> Markup:
    """Text in which an option of a command stays on one line."""
    from markupsafe import Markup, escape

    parts = _OPTION.split(in_page(text))
    return Markup("").join(
        Markup('<span class="o">{}</span>').format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )


def _number(ns: int | None, unit: numbers.Unit, extra: str = "", most: int = 3) -> Markup:
    """A right-aligned cell: decimals set its padding, so that the points stand in line.

    `extra` is a class of the style sheet; neither it nor figures need escapes.
    """
    if ns is None:
        return markup(f'<td class="{extra}"></td>' if extra else "<td></td>")
    value = ns / unit[1]
    kind = f"d{numbers.decimals(value, most)} {extra}".strip()
    figure = numbers.three(value, most)
    return markup(f'<td class="{kind}" data-v="{ns}" title="{ns:,} ns">{figure}</td>')


def _grade(found: Grade | None, shown: bool = False) -> Markup:
    return markup(grades.grade_html(found, shown=shown))


#: Nanoseconds of the unit of "All runs".
_MS = 1_000_000


def _spread(result: Reconciliation) -> str:
    """`±0.6 %`; below six samples the range in milliseconds, as the medians beside it are."""
    if not result.is_whole:
        return ""
    return grades.spread_cell(result.total_ns, result.interval_ns, result.samples, _MS)


def _whiskers(row: TimedRow, most_ns: int) -> Markup:
    share = (row.median_ns or 0) / most_ns
    if row.p5_ns is None or row.p95_ns is None:
        return markup(bars.whiskers(share, None))
    return markup(bars.whiskers(share, (row.p5_ns / most_ns, row.p95_ns / most_ns)))


@cache
def _environment() -> Environment:
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("the site needs Jinja2, which is not installed", remedy=REMEDY) from error

    def load(name: str) -> str:
        return (package.folder("site") / "templates" / name).read_text("utf-8")

    env = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    env.finalize = lambda value: in_page(value) if type(value) is str else value
    env.filters |= {
        "isolated": _isolated,
        "brief": lambda name: shortened(in_page(name), 64),
        "count": numbers.count,
        "size": numbers.size,
        "three": numbers.three,
        "decimals": numbers.decimals,
        "duration": partial(numbers.duration, style=numbers.TYPESET),
        "percent": numbers.percent_cell,
        "tensor": numbers.sized_text,
        "coded": _coded,
        "unbroken": _unbroken,
        "caveats": warning_texts,
        "folded": folded_text,
        "grade": _grade,
        "grade_of": grade,
        "spread": _spread,
        "fragment": layer_rows.fragment,
        "bar": lambda share: markup(bars.bar(share)),
    }
    env.globals |= {
        "num": _number,
        "grades": tuple(Grade),
        "whiskers": _whiskers,
        "unit_for": numbers.unit_for,
        "views": embed,
        "where": where,
        "tail": tail,
        "layer_views": layer_rows,
        "sentence_of": reconciliation_text,
    }
    return env


def render(template: str, site: SiteFacts, path: str, **context: Any) -> str:
    """The page that will lie at `path` below the site's folder."""
    root = "../" * path.count("/")
    page = _environment().get_template(template)
    return page.render(site=site, path=path, root=root, **context)
