"""What mkdocs does not do by itself: files beside docs/, and a page of every public name.

The pages of docs/ are read on code hosts, too, so that they link to `../CONTRIBUTING.md` and the
like. Each such file comes along below `project/`, and links among all of them are turned to where
their targets lie in the site.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
#: Where files from outside of docs/ lie in the site.
ASIDE = "project"
#: Pages that are in the site whether or not another links to them.
PROJECT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "results/README.md")
REFERENCE = "reference.md"
#: Code first, so that a link within it is passed over; then the target of a link.
LINK = re.compile(r"(?ms)(^```.*?^```|`[^`\n]+`)|(?<=\]\()([^)\s#]+)(?=[#)])")


def on_files(files: Files, config: Any) -> Files:
    """Add the page of public names, and every file of the repository that a page links to."""
    files.append(File.generated(config, REFERENCE, content=reference()))
    for path in aside():
        uri = f"{ASIDE}/{path.relative_to(ROOT).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The page's text with links to where their targets lie in the site."""
    return relinked(markdown, page.file.src_uri)


def aside() -> list[Path]:
    """Files beside docs/ that belong to the site, found by following links."""
    found: dict[Path, None] = {}
    waiting = [*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in PROJECT)]
    while waiting:
        path = waiting.pop()
        inside = path.is_relative_to(ROOT / "docs")
        if path in found or not path.is_file():
            continue
        if not inside:
            found[path] = None
        if path.suffix == ".md":
            waiting += [each for each in targets(path) if not each.is_relative_to(ROOT / "docs")]
    return sorted(found)


def targets(path: Path) -> Iterator[Path]:
    """Files of the repository that a document links to."""
    for match in LINK.finditer(path.read_text("utf-8")):
        link = match[2]
        if link and ":" not in link:
            target = Path(posixpath.normpath((path.parent / link).as_posix()))
            if target.is_relative_to(ROOT) and target.is_file():
                yield target


def relinked(markdown: str, uri: str) -> str:
    """The text of the page at `uri` with its links as they are in the site.

    >>> relinked("[how](../CONTRIBUTING.md#habits), `[x](../y)`", "backends.md")
    '[how](project/CONTRIBUTING.md#habits), `[x](../y)`'
    >>> relinked("![a page](docs/page.png)", "project/README.md")
    '![a page](../page.png)'
    """
    home = posixpath.dirname(source_of(uri))

    def turned(match: re.Match[str]) -> str:
        link = match[2]
        if not link or ":" in link:
            return match[0]
        target = posixpath.normpath(posixpath.join(home, link))
        if target.startswith("..") or not (ROOT / target).is_file():
            return link
        return posixpath.relpath(site_of(target), posixpath.dirname(uri) or ".")

    return LINK.sub(turned, markdown)


def source_of(uri: str) -> str:
    """Where in the repository a page of the site comes from."""
    kept = uri.removeprefix(f"{ASIDE}/")
    return kept if kept != uri else f"docs/{uri}"


def site_of(path: str) -> str:
    """Where in the site a file of the repository lies."""
    kept = path.removeprefix("docs/")
    return kept if kept != path else f"{ASIDE}/{path}"


def reference() -> str:
    """A page with an entry for each public name: functions first, then their records."""
    names = public()
    functions = sorted(name for name in names if name[0].islower() and name != "errors")
    records = sorted(name for name in names if not name[0].islower())
    parts = ["# Every public name", f"[From Python](python.md) shows how they are used. {PLAIN}"]
    for title, group in (("Functions", functions), ("Records", records)):
        parts += [f"## {title}", *(entry(names[name]) for name in group)]
    parts += ["## Errors", f"::: {names['errors']}\n    options:\n{BODY}"]
    return "\n\n".join(parts) + "\n"


PLAIN = "It is made of the docstrings; `help(onnxprof.profile)` prints the same."
BODY = "      heading_level: 3\n      show_root_heading: false\n      show_root_toc_entry: false\n"


def entry(place: str) -> str:
    """The directive for one name."""
    return f"::: {place}\n    options:\n      heading_level: 3\n"


def public() -> dict[str, str]:
    """Each public name of `onnxprof` with the place where it is defined."""
    tree = ast.parse((ROOT / "onnxprof" / "__init__.py").read_text("utf-8"))
    return {
        alias.asname: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onnxprof")
        for alias in node.names
        if alias.asname
    }
