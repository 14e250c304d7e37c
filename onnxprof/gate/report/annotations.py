"""A gate's outcome as workflow commands of GitHub Actions, which become annotations.

A command is one line, `::error file=…,title=…::message`. In a message `%` and line breaks are
escaped as `%25`, `%0D`, `%0A`; in a property `:` and `,` are as well (escapeData and escapeProperty
of actions/toolkit, packages/core/src/command.ts). A step may have ten annotations of each kind.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.report import words
from onnxprof.model.sources.resolve import is_remote
from onnxprof.publish.text.safe import printable, shortened

#: Of a kind in a step; GitHub leaves further ones out without a word.
MOST = 10
_LONGEST = 1000


def annotated(gated: Gated, environ: Mapping[str, str] = os.environ) -> list[str]:
    """One command for each case that a reader of the pull request should see, the worst first."""
    found = sorted(_commands(gated, environ), key=lambda told: _KINDS.index(told[0]))
    counts: Counter[str] = Counter()
    kept = []
    for kind, command in found:
        counts[kind] += 1
        if counts[kind] <= MOST:
            kept.append(command)
    return kept


_KINDS = ("error", "warning", "notice")


def _commands(gated: Gated, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for case in gated.cases:
        text = words.verdict_text(gated, case)
        if gated.stops(case):
            yield "error", _command("error", case, f"onnxprof gate: {case.outcome}", text, environ)
        elif case.outcome in (Outcome.FASTER, Outcome.NEW):
            title = f"onnxprof gate: {case.outcome}"
            yield "notice", _command("notice", case, title, text, environ)
        if case.noise is not None and gated.is_blunt(case):
            blunt = f"{case.title}: this machine is {words.blunt_text(gated, case.noise)}."
            title = "onnxprof gate: too noisy"
            yield "warning", _command("warning", case, title, blunt, environ)


def _command(kind: str, case: Case, title: str, text: str, environ: Mapping[str, str]) -> str:
    message = data(shortened(printable(f"{case.title}: {text}"), _LONGEST))
    file = place(case.model, environ)
    properties = [f"file={prop(printable(file))}"] if file else []
    return f"::{kind} {','.join([*properties, f'title={prop(title)}'])}::{message}"


def data(text: str) -> str:
    """A message as it stands in a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def prop(text: str) -> str:
    """A property's value as it stands in a command."""
    return data(text).replace(":", "%3A").replace(",", "%2C")


def place(model: str, environ: Mapping[str, str] = os.environ) -> str:
    """The path of a model in the checkout; empty for one that is no file there."""
    root = environ.get("GITHUB_WORKSPACE") or environ.get("CI_PROJECT_DIR") or os.getcwd()
    if is_remote(model):
        return ""
    path = Path(model)
    home = path.parent.resolve() / path.name
    try:
        return str(PurePosixPath(home.relative_to(Path(root).resolve()).as_posix()))
    except ValueError:
        return ""


def muted(token: str) -> tuple[str, str]:
    """Commands that have GitHub take what is printed between them for plain text.

    A layer may be called `::error::…`, and tables begin their lines with names.
    """
    return f"::stop-commands::{token}", f"::{token}::"
