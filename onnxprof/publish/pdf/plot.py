"""The model plot as a PDF: the site's drawing in its light colours, vector, on sheets of A4.

A drawing that fits on a sheet is a page of its own size.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from typing import Any

from onnxprof.publish.pdf.glyphs import legible
from onnxprof.publish.pdf.sheets import (
    MARGIN,
    Element,
    Paper,
    Text,
    Tile,
    elements,
    inside,
    laid_out,
    strips_of,
)
from onnxprof.publish.pdf.typesetter import Manuscript
from onnxprof.publish.text.safe import in_page, shortened

_CREATED = "1980-01-01T00:00:00Z"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)"[^>]*?\bheight="([\d.]+)"')
_VARIABLES = re.compile(r":root\{([^}]*)\}")
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_VARIABLE = re.compile(r"(--[\w-]+):([^;}]+)")
_USE = re.compile(r"var\((--[\w-]+)\)")
_TITLES = re.compile(r"<title\b[^>]*>.*?</title>", re.DOTALL)
#: A reader's own font may be anything; the template names those within the typst package.
_FONT = re.compile(r"font:([\d.]+px)[^;}]*")
_RULE = re.compile(r"([^{}]+)\{([^}]*)\}")
_TEXT = re.compile(r'<text class="(\w+)" x="([\d.-]+)" y="([\d.-]+)">(.*?)</text>\n?', re.DOTALL)
_PART = re.compile(
    rf'(<g transform="translate\(([\d.-]+) ([\d.-]+)\)">)|(</g>)|{_TEXT.pattern}', re.DOTALL
)
_GROUP = re.compile(r'<g transform="[^"]*">')
_PAIR = re.compile(r"([\w-]+):([^;]+)")
_BLANKS = re.compile(r"[ \t\r\n]+")


def manuscript(svg: str, model: str, batch: int) -> Manuscript:
    """The manuscript of a drawing's PDF."""
    drawing = legible(printed(svg))
    found = list(elements(drawing))
    paper = laid_out(*_size(svg), found)
    texts = list(_texts(drawing))
    name = f"{legible(shortened(in_page(model), 60))}, batch {batch}"
    data = {
        "sheets": _sheets(paper, drawing, found, texts),
        "styles": _text_styles(drawing, {text[0] for text in texts}, paper.scale),
        "width": round(paper.width, 2),
        "height": round(paper.height, 2),
        "margin": MARGIN,
        "title": name,
        "foot": f"{name}: from top to bottom, then right" if paper.is_tiled else "",
    }
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Manuscript("plot.typ", text, _CREATED)


def _sheets(
    paper: Paper, drawing: str, found: Sequence[Element], texts: Sequence[Text]
) -> list[list[dict[str, Any]]]:
    """Each page's tiles: the shapes in them as an image, the texts apart."""
    if not paper.is_tiled:
        ((whole,),) = paper.sheets
        return [[_tile(whole, paper.scale, _TEXT.sub("", drawing), texts)]]
    strips = strips_of(paper)
    shapes = inside([replace(each, markup=_TEXT.sub("", each.markup)) for each in found], strips)
    words: dict[float, list[Text]] = {low: [] for low, _ in strips}
    tops = list(words)
    for text in texts:
        words[tops[bisect_right(tops, text[2]) - 1]].append(text)
    style, group = _STYLE.search(drawing), _GROUP.search(drawing)
    head = (style[0] if style else "", group[0] if group else "<g>")
    return [
        [
            _tile(tile, paper.scale, _svg(tile, head, shapes[tile.top]), words[tile.top])
            for tile in sheet
        ]
        for sheet in paper.sheets
    ]


def _svg(tile: Tile, head: tuple[str, str], shapes: Sequence[str]) -> str:
    style, group = head
    size = f'width="{tile.width:g}" height="{tile.height:g}"'
    view = f"{tile.left:g} {tile.top:g} {tile.width:g} {tile.height:g}"
    body = "\n".join((style, group, *shapes, "</g>"))
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{view}">{body}</svg>'


def _tile(tile: Tile, scale: float, svg: str, texts: Sequence[Text]) -> dict[str, Any]:
    return {
        "svg": svg,
        "texts": [
            (style, round((x - tile.left) * scale, 3), round((y - tile.top) * scale, 3), words)
            for style, x, y, words in texts
            if tile.holds((style, x, y, words))
        ],
        "x": round(tile.x, 2),
        "y": round(tile.y, 2),
        "width": round(tile.width * scale, 2),
        "height": round(tile.height * scale, 2),
    }


def printed(svg: str) -> str:
    """The drawing with custom properties replaced by values, without tooltips and media rules."""
    return _TITLES.sub("", _STYLE.sub(lambda match: _plain_style(match[1]), svg, count=1))


def _texts(svg: str) -> Iterator[Text]:
    """Every text of a drawing."""
    shifts = [(0.0, 0.0)]
    for part in _PART.finditer(svg):
        begin, dx, dy, end, style, x, y, words = part.groups()
        left, top = shifts[-1]
        if begin:
            shifts.append((left + float(dx), top + float(dy)))
        elif end:
            shifts.pop()
        else:
            yield (
                style,
                left + float(x),
                top + float(y),
                _BLANKS.sub(" ", unescape(words)).strip(" "),
            )


def _text_styles(svg: str, classes: set[str], scale: float) -> dict[str, tuple[Any, ...]]:
    """Size in points, colour, weight and whether the place is that of the end, by class."""
    found = _STYLE.search(svg)
    rules = _RULE.findall(found[1]) if found else []
    return {name: _text_style(rules, name, scale) for name in sorted(classes)}


def _text_style(rules: Sequence[tuple[str, str]], name: str, scale: float) -> tuple[Any, ...]:
    held: dict[str, str] = {}
    for names, css in rules:
        if {"text", f".{name}"} & set(names.strip().split(",")):
            held |= {key.strip(): value for key, value in _PAIR.findall(css)}
    size = float(held.get("font-size", "16px").removesuffix("px"))
    weight = int(held.get("font-weight", "400"))
    return (
        round(size * scale, 3),
        held.get("fill", "#000"),
        weight,
        held.get("text-anchor") == "end",
    )


def _size(svg: str) -> tuple[float, float]:
    match = _SIZE.search(svg)
    return (float(match[1]), float(match[2])) if match else (1.0, 1.0)


def _plain_style(css: str) -> str:
    css = _MEDIA.sub("", css)
    values = {
        pair[1]: pair[2] for block in _VARIABLES.findall(css) for pair in _VARIABLE.finditer(block)
    }
    rules = _USE.sub(lambda use: values.get(use[1], "#000"), _VARIABLES.sub("", css))
    plain = _FONT.sub(r"font-size:\1;font-family:Libertinus Serif", rules)
    return f"<style>{plain}</style>"
