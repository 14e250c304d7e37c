"""A report: the site of some runs, built aside and folded into one file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxprof.publish.report.folding import folded
from onnxprof.publish.site.build import build_report
from onnxprof.publish.site.loads import NONE, Loads
from onnxprof.publish.site.worklist import Item
from onnxprof.records.ceilings import Ceilings

INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Folded:
    """A report, and what is in it."""

    content: bytes
    models: int
    runs: int
    problems: tuple[str, ...] = ()
    """What could not be shown, one line each."""
    failed: int = 0
    earlier: int = 0
    """As in `Built`."""


def report(
    items: Sequence[Item],
    title: str,
    ceilings: Sequence[Ceilings] = (),
    under_load: Loads = NONE,
) -> Folded:
    """The report of these runs: of one model its page comes first, of several the leaderboard."""
    with tempfile.TemporaryDirectory(prefix="onnxprof-report-") as folder:
        built = build_report(items, Path(folder) / "site", title, under_load, ceilings)
        files = _files(built.index.parent)
    page = folded(files, _first(files))
    content = page.encode("utf-8", "backslashreplace")
    return Folded(content, built.models, built.runs, built.problems, built.failed, built.earlier)


def _files(folder: Path) -> dict[str, bytes]:
    """What the site's pages refer to, by path."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((path.relative_to(folder).as_posix(), path) for path in found)
    return {name: path.read_bytes() for name, path in named if not name.startswith(".")}


def _first(files: dict[str, bytes]) -> str:
    pages = [name for name in files if name.startswith("models/") and name.endswith("/index.html")]
    return pages[0] if len(pages) == 1 else INDEX
