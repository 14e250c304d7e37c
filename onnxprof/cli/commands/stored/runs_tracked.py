"""`onnxprof runs export` in the formats of trackers of benchmarks."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.cli.output import deliver, note
from onnxprof.errors import UsageError
from onnxprof.publish.text.safe import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxprof.publish.exports.figures import Tracked
    from onnxprof.records.run import Run

_ASV = "asv"
FORMATS = ("bmf", "github-action-benchmark", "pytorch", _ASV)
#: Variables of CI systems with the commit of the job: GitHub, GitLab, and what asv's users set.
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def refuse_useless(chosen: str, *, layers: bool, commit: str) -> None:
    """Raise UsageError for options that the format has no use for."""
    if layers and chosen not in FORMATS:
        raise UsageError(
            f"--layers is not for --format {chosen}",
            remedy=f"It is for {', '.join(FORMATS)}; other formats have every layer",
        )
    if commit and chosen != _ASV:
        raise UsageError(f"--commit is not for --format {chosen}", remedy="It is for asv")


def deliver_tracked(
    runs: Iterable[Run], chosen: str, output: str, *, layers: bool, commit: str
) -> None:
    """Write the newest run of each kind. Raises UsageError where there is none."""
    from onnxprof.publish.exports.figures import tracked

    found, older = tracked(runs)
    if not found:
        raise UsageError(
            "no run with an un-profiled latency matches", remedy="onnxprof runs list shows them"
        )
    if older:
        note(f"{counted(older, 'older run', 'older runs')} of the same kind left out")
    if chosen == _ASV:
        _write_asv(found, _commit(commit), output, layers=layers)
    else:
        deliver(_text(found, chosen, layers=layers), output)


def _text(found: list[Tracked], chosen: str, *, layers: bool) -> str:
    from onnxprof.publish.exports.bmf import bmf
    from onnxprof.publish.exports.github_benchmark import github_benchmark
    from onnxprof.publish.exports.pytorch import pytorch

    writers = {"bmf": bmf, "github-action-benchmark": github_benchmark, "pytorch": pytorch}
    return writers[chosen](found, layers=layers)


def _commit(given: str) -> str:
    """The full hash of the commit that was measured. Raises UsageError for none."""
    known = given or next(filter(None, (os.environ.get(name) for name in _COMMITS)), "")
    if not _HASH.fullmatch(known):
        what = f"{known!r} is no full hash of a commit" if known else "which commit was measured?"
        raise UsageError(
            what, where="--format asv", remedy='Say it with --commit "$(git rev-parse HEAD)"'
        )
    return known


def _write_asv(found: list[Tracked], commit: str, output: str, *, layers: bool) -> None:
    """Write the folder; results of other commits stay, and benchmarks of both are listed."""
    from onnxprof.publish.exports.asv import BENCHMARKS, asv, with_listed

    if output in ("", "-"):
        raise UsageError("asv reads a folder", remedy="Name the results_dir with -o DIR")
    root = Path(output)
    for name, text in asv(found, commit, layers=layers).items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == BENCHMARKS and path.exists():
                text = with_listed(text, path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot be kept: {error}", where=str(path)) from error
        deliver(text, path)
