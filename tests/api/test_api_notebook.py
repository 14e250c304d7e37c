"""Runs in a notebook: HTML that is static and escaped, and a figure."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from support.runs.ceilings import ceilings

import onnxprof as op
from onnxprof.publish.notebook.figure import figure
from onnxprof.publish.notebook.html import preformatted
from onnxprof.publish.notebook.runs import run_html
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table><iframe src=//evil>",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "a\x00b\x1b[31mc\u202ed",
    "{{7*7}}",
    "\ud800",
    "<style>*{display:none}</style>",
)
#: Elements that the HTML may have; those in STYLED have a style, and no other attribute.
STYLED = ("div", "p", "table", "td", "th", "pre")
ELEMENTS = (*STYLED, "b", "thead", "tbody", "tr")


class Read(HTMLParser):
    """Reads HTML strictly: elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        assert {name for name, _ in attrs} <= ({"style"} if tag in STYLED else set()), (tag, attrs)
        self.styles += [value or "" for _, value in attrs]
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def named(name: str) -> Run:
    """A run in which everything that a file or a runtime can name has that name."""
    run = sample_run(model=name, device=f"cpu:{name}")
    layers = tuple(
        replace(layer, name=f"{name}{i}", layer_type=name) for i, layer in enumerate(run.table)
    )
    new = {old.name: layer.name for old, layer in zip(run.table, layers, strict=True)}
    steps = tuple(
        replace(step, name=f"{name}{i}", op_type=name, layers=tuple(new[n] for n in step.layers))
        for i, step in enumerate(run.steps)
    )
    device = replace(run.device, name=name)
    table = replace(run.table, layers=layers)
    return replace(run, table=table, steps=steps, device=device)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_wherever_they_stand(name: str) -> None:
    good = named(name)
    failed = replace(good, timings=None, failure=name)
    html = op.Runs([good, failed])._repr_html_()
    html.encode()
    read = Read(html)
    assert not {"\x00", "\x1b", "\u202e", "\r"} & set(html)
    assert len(read.rows) > 3
    visible = name.encode("unicode_escape").decode() if not name.isprintable() else name
    assert visible in read.text


@pytest.mark.parametrize("name", HOSTILE)
def test_results_of_other_functions_are_text_too(name: str) -> None:
    run = named(name)
    for found in (
        op.align([run, replace(run, created="2026-02-02T00:00:00Z")]),
        op.compare(run, run),
    ):
        read = Read(found._repr_html_())
        assert read.styles
        assert not {"\x00", "\x1b", "\u202e"} & set(found._repr_html_())


def test_the_table_is_that_of_the_command_and_adds_up() -> None:
    run = sample_run()
    read = Read(op.Runs([run])._repr_html_())
    head, *rows = read.rows
    assert head == ["layer", "type", "ms", "p95", "share", ""]
    times = [Decimal(row[2].rstrip("?")) for row in rows]
    assert rows[-1][0] == "(total)"
    assert sum(times[:-1]) == times[-1]
    shown = op.Runs([run]).table()
    assert all(row[2] in shown for row in rows)
    assert "ms measured" in read.text
    assert "3 steps add up to" in read.text


def test_bars_are_as_long_as_the_times() -> None:
    html = op.Runs([sample_run()])._repr_html_()
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert widths[0] == 100.0
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 3


def test_colours_are_those_of_the_page() -> None:
    """Text is never black on black: no colour but that of bars, which is seen on both."""
    html = op.Runs([sample_run()])._repr_html_()
    assert set(re.findall(r"#[0-9a-f]{3,6}", html)) == {"#5b8fd9"}
    assert set(re.findall(r"(?<![-\w])color:([^;\"]+)", html)) == {"inherit"}


def test_with_ceilings_the_reason_stands_in_place_of_the_bar() -> None:
    run = sample_run()
    read = Read(run_html(run, ceilings()))
    assert read.rows[0][-1] == "why"


def test_warnings_of_a_run_are_shown() -> None:
    from onnxprof.records.warning import RunWarning, WarningKind

    warned = replace(sample_run(), warnings=(RunWarning(WarningKind.PARITY_FAILED),))
    assert "! " in Read(run_html(warned)).text


def test_text_of_a_terminal_stays_in_its_columns() -> None:
    html = preformatted("a  <b>\n  c & d   \n")
    assert Read(html).text == "a  <b>\n  c & d"


def test_a_figure_has_a_bar_for_each_layer() -> None:
    made = figure([sample_run(batch=1), sample_run(batch=8)], limit=2)
    assert [len(trace["x"]) for trace in made["data"]] == [2, 2]
    assert made["data"][0]["name"] == "sample, batch 1, fake"
    assert made["data"][0]["x"][0] > made["data"][0]["x"][1]
    assert made["layout"]["yaxis"]["ticktext"][0] == "/block/conv_0"
    assert all(value > 0 for value in made["data"][0]["error_x"]["array"])


@pytest.mark.parametrize("name", HOSTILE)
def test_names_in_a_figure_are_no_markup(name: str) -> None:
    made = figure([named(name)])
    texts: list[Any] = [made["layout"]["title"]["text"], made["data"][0]["name"]]
    texts += [*made["data"][0]["hovertext"], *made["layout"]["yaxis"]["ticktext"]]
    assert all("<" not in text and text.isprintable() for text in texts)


def test_a_plot_is_plotlys() -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    made = op.Runs([sample_run()]).plot()
    assert isinstance(made, graph_objects.Figure)
    assert len(made.data) == 1
    assert "<div" in made.to_html(include_plotlyjs=False)


def test_layers_whose_names_are_cut_alike_have_bars_of_their_own() -> None:
    run = named("x" * 300)
    made = figure([run])
    assert len(set(made["data"][0]["y"])) == len(made["data"][0]["x"])


def test_no_runs_make_an_empty_figure() -> None:
    assert figure([])["data"] == []
