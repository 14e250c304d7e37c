"""The files that a model's external data lie in, for a source that has to fetch them, too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from onnxprof.errors import ModelError, OnnxprofError
from onnxprof.model.sources.policy import refuse_path

_MOST_FILES = 1000


def data_files(path: Path, where: str) -> list[str]:
    """Files of external data that a model names, relative to its folder, each once.

    Locations outside the model's folder are left out here; `open_model` refuses them. `where` is
    for errors. Raises ModelError for an unreadable model and for more than a thousand files.
    """
    from onnxprof.model.graph.data_files import is_external, location, stored_tensors
    from onnxprof.model.graph.skim import read_structure

    files: dict[str, None] = {}
    for tensor in filter(is_external, stored_tensors(read_structure(path))):
        with suppress(OnnxprofError):
            name = location(tensor)
            refuse_path(where, name)
            files[name] = None
    if len(files) > _MOST_FILES:
        raise ModelError(f"names {len(files)} files of external data", where=where)
    return list(files)
