"""What is said of a run besides its table: how it was measured, and warnings without a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.cli.output import detail, note

if TYPE_CHECKING:
    from onnxprof.records.run import Run


def comment(run: Run, *, has_table: bool) -> None:
    """With -v print how the run was measured; without a table its warnings, except with -qq."""
    from onnxprof.publish.text.measuring import measuring_texts
    from onnxprof.publish.text.warnings import warning_texts

    for text in measuring_texts(run):
        detail(text)
    if not has_table:
        for text in warning_texts(run):
            note(f"onnxprof: {run.request.title}: {text}")
