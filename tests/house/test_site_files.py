"""The site's templates and assets: short files, each of them used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import ROOT

from onnxprof.publish.layerlist import page as layerlist
from onnxprof.publish.pages.render import ASSETS
from onnxprof.publish.report.folding import SCRIPT as REPORT

MOST_LINES = 400
SITE = ROOT / "site"
TEMPLATES = sorted(path for path in (SITE / "templates").rglob("*") if path.is_file())
SCRIPTS = sorted(path for path in (SITE / "assets").rglob("*") if path.is_file())
#: The names of a loop in a head: `{% for name in ("a", "b") %}` and what it loads.
LOOP = re.compile(
    r"{% for name in \(([^)]*)\)(?: if \w+)? %}\s*"
    r"<script src=\"{{ root }}assets/([^\"]*){{ name }}\.js\" defer>"
)
LOADED = re.compile(r"(?:src|href)=\"(?:{{ root }})?assets/([\w./]+\.(?:js|css))\"")


def name(path: Path) -> str:
    return path.relative_to(SITE).as_posix()


@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS], ids=name)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


def loaded() -> Iterator[str]:
    """Every asset that a template loads."""
    for path in TEMPLATES:
        text = path.read_text("utf-8")
        yield from LOADED.findall(text)
        for names, folder in LOOP.findall(text):
            yield from (f"{folder}{each}.js" for each in re.findall(r"\"(\w+)\"", names))


def test_pages_load_what_there_is_and_no_more() -> None:
    there = {path.relative_to(SITE / "assets").as_posix() for path in SCRIPTS}
    # a report has its script inline, and no page of a site loads it
    assert {*loaded(), REPORT} == there
    assert {*ASSETS, *layerlist.ASSETS, REPORT} == there
