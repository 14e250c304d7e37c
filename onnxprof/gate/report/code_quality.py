"""A gate's outcome as a Code Quality report of GitLab.

It is a list of objects with `description`, `check_name`, `fingerprint` (unique), `severity` (info,
minor, major, critical or blocker), `location.path` (relative to the repository) and
`location.lines.begin`, as GitLab's documentation lists them (docs.gitlab.com, Code Quality, "Code
Quality report format").
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.report import words
from onnxprof.gate.report.annotations import place
from onnxprof.publish.text.safe import printable, shortened

_LONGEST = 1000


def code_quality(gated: Gated, environ: Mapping[str, str] = os.environ) -> str:
    """One object for each case that stops the gate or that the machine is too noisy to judge."""
    return json.dumps(list(_issues(gated, environ)), indent=2) + "\n"


def _issues(gated: Gated, environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for case in gated.cases:
        if gated.stops(case):
            text = f"{case.title}: {words.verdict_text(gated, case)}"
            severity = "critical" if case.outcome is Outcome.FAILED else "major"
            yield _issue(case, case.outcome.value, severity, text, environ)
        if case.noise is not None and gated.is_blunt(case):
            text = f"{case.title}: this machine is {words.blunt_text(gated, case.noise)}."
            yield _issue(case, "noise", "info", text, environ)


def _issue(
    case: Case, kind: str, severity: str, text: str, environ: Mapping[str, str]
) -> dict[str, Any]:
    path = place(case.model, environ) or printable(case.model)
    told = "\0".join((path, str(case.batch), *case.work, kind))
    return {
        "description": shortened(printable(text), _LONGEST),
        "check_name": f"onnxprof-gate-{kind}",
        "fingerprint": sha256(told.encode("utf-8", "surrogatepass")).hexdigest(),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": 1}},
    }
