"""The model that a stored run is of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from onnxprof.model.sources.policy import Resolved
    from onnxprof.records.run import Run


def model_of(run: Run, given: str) -> Resolved:
    """The file of a run's model, or the one that is given for it. Raises UsageError."""
    from onnxprof.model.sources.resolve import is_remote, resolve

    reference = given or run.model.reference
    if not given and not is_remote(reference) and not Path(reference).is_file():
        raise UsageError(
            f"the run was of a file, of which it keeps the name alone: {reference}",
            where=run.request.model_name,
            remedy="Give the file with --model",
        )
    return resolve(reference)
