"""The documents as a site: one build with every link checked, and the same links on a code host."""

from __future__ import annotations

import doctest
import os
import posixpath
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.places import ROOT

import onnxprof as op

DOCS = ROOT / "docs"
ASIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "results/README.md")
PAGES = sorted([*DOCS.glob("*.md"), *(ROOT / name for name in ASIDE)])
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
#: Attributes by which a page fetches what it shows.
FETCHES = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
}


def prose(path: Path) -> str:
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`(?!\])", "", text)


def anchors(path: Path) -> set[str]:
    """The anchors that a code host gives the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_anchor_is_there_on_a_code_host(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        place, _, anchor = link.partition("#")
        if anchor and ":" not in place:
            target = (page.parent / place).resolve() if place else page
            if target.suffix == ".md" and anchor not in anchors(target):
                lost.append(link)
    assert lost == []


def test_the_first_page_names_every_page() -> None:
    named = {link.partition("#")[0] for link in LINK.findall(prose(DOCS / "README.md"))}
    assert {path.name for path in DOCS.glob("*.md")} - named == {"README.md"}


def test_the_examples_of_the_tools() -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("griffe")
    from tools.docs import docstrings, hooks
    from tools.release import changelog, versions

    for module in (docstrings, hooks, changelog, versions):
        tried = doctest.testmod(module)
        assert tried.attempted
        assert tried.failed == 0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does: a broken link or anchor ends it."""
    for package in ("mkdocs", "material", "mkdocstrings_handlers"):
        pytest.importorskip(package, reason="needs onnxprof[docs]")
    out = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return out


class Read(HTMLParser):
    """Elements of a page that fetch, links, anchors, and texts of paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.paragraphs: list[str] = []
        self.inside = self.code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.fetched += [given[name] for name in given if (tag, name) in FETCHES]
        self.code = self.code or tag == "code"
        if tag == "p":
            self.inside = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "p"
        self.code = self.code and tag != "code"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.paragraphs[-1] += "code" if self.code else data


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[str, Read]:
    found = sorted(built.rglob("*.html"))
    return {path.relative_to(built).as_posix(): Read(path.read_text("utf-8")) for path in found}


def test_every_page_is_there(pages: dict[str, Read]) -> None:
    names = {path.stem for path in DOCS.glob("*.md")} - {"README"}
    assert {f"{name}.html" for name in names} | {"index.html", "reference.html"} <= pages.keys()
    assert {"project/index.html", "project/SECURITY.html"} <= pages.keys()


def test_nothing_is_fetched_from_elsewhere(built: Path, pages: dict[str, Read]) -> None:
    for name, page in pages.items():
        assert [each for each in page.fetched if re.match(r"(?:[a-z]+:)?//", each)] == [], name
    styles = [path.read_text("utf-8") for path in built.rglob("*.css")]
    assert styles
    assert not [text for text in styles if re.search(r"url\(\s*[\"']?(?:https?:)?//", text)]


def test_every_link_of_the_site_leads_somewhere(built: Path, pages: dict[str, Read]) -> None:
    lost = []
    for name, page in pages.items():
        for link in page.links if name != "404.html" else []:
            place, _, anchor = link.partition("#")
            if ":" in place or place.startswith("/"):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(place)))
            target = name if not place else target
            there = (built / target).is_file()
            named = not anchor or target not in pages or unquote(anchor) in pages[target].ids
            if not (there and (named or anchor == "__top")):
                lost.append((name, link))
    assert lost == []


def test_lists_are_lists_as_on_a_code_host(pages: dict[str, Read]) -> None:
    """A list right below a sentence is a list to a code host, and part of the sentence here."""
    for name, page in pages.items():
        merged = [text for text in page.paragraphs if re.search(r"\n(?:[-*]|\d+\.) ", text)]
        assert merged == [], name


def test_the_reference_has_every_public_name_with_its_docstring(pages: dict[str, Read]) -> None:
    page = pages["reference.html"]
    names = [name for name in op.__all__ if name not in ("__version__", "errors")]
    missing = [name for name in names if not any(each.endswith(f".{name}") for each in page.ids)]
    assert missing == []
    assert any("Time every layer of each model" in text for text in page.paragraphs)
    assert not [text for text in page.paragraphs if ">>>" in text]


def test_the_tour_comes_first(built: Path) -> None:
    text = (built / "index.html").read_text("utf-8")
    order = [text.index(f'href="{name}.html"') for name in ("tour", "commands", "python")]
    assert order == sorted(order)
