"""The page of systems against models under load; a site has it where its stores have such runs."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.publish.pages.render import SiteFacts, render
from onnxprof.publish.tables.scenarios import matrices, system
from onnxprof.publish.text import scenarios as words
from onnxprof.records.run import RUNTIME
from onnxprof.records.scenarios.run import LABEL, ScenarioRun

NAME = "scenarios.html"


def scenarios_page(runs: Sequence[ScenarioRun], site: SiteFacts) -> str:
    """A matrix a scenario, with what each figure rests on; runs come oldest first."""
    shown = matrices(runs)
    behind = [
        (run, system(run))
        for matrix in shown
        for _, row in matrix.rows
        for run in row
        if run is not None
    ]
    return render(
        *(NAME, site, NAME),
        label=LABEL,
        matrices=shown,
        behind=behind,
        judged=words.JUDGED,
        words=words,
        runtime=RUNTIME,
    )
