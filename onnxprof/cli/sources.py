"""Stored runs that arguments name, and the model that a run is of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.cli.output import say
from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.model.sources.policy import Resolved
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Filters
    from onnxprof.store.select import Need


def newest_runs(
    texts: Sequence[str], roots: Sequence[Path], filters: Filters, need: Need
) -> list[Run]:
    """The runs that the arguments name, each once; of a folder the newest of each system.

    Without arguments all of the stores is meant. Runs without what is needed are left out.
    """
    from onnxprof.api import loading

    return loading.newest_runs(texts, roots, filters, need, say)


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
