"""A model that one process has opened and checked, handed to another process."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import ModelError
from onnxprof.records.layer import ModelFacts

if TYPE_CHECKING:
    from onnxprof.model.file import ModelFile

#: A file, its size in bytes, and when it was last written, in nanoseconds.
Stamp = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Opened:
    """Facts of an opened model; the graph stays pickled until it is needed."""

    facts: ModelFacts
    path: Path
    packed: bytes
    stamps: tuple[Stamp, ...]

    @property
    def is_current(self) -> bool:
        """Whether its files look as they did when it was opened."""
        return (
            bool(self.stamps) and _stamps([Path(path) for path, *_ in self.stamps]) == self.stamps
        )

    def unpacked(self) -> ModelFile:
        """The model, without opening its file again.

        Raises ModelError where the file is no longer the one that was opened.
        """
        model: ModelFile = pickle.loads(self.packed)
        if not self.is_current:
            self._refuse_other(model)
        return model

    def _refuse_other(self, model: ModelFile) -> None:
        """Raise ModelError unless the file, though newly written, has the same digest."""
        if model.facts().sha256 != self.facts.sha256:
            raise ModelError(
                "has changed since the measurement was planned",
                where=str(self.path),
                remedy="Measure it again",
            )


def opened(model: ModelFile) -> Opened:
    """The model for another process, with its digest. Reads the file once, in chunks."""
    stamps = _stamps(model.files())
    return Opened(model.facts(), model.path, pickle.dumps(model), stamps)


def _stamps(files: Sequence[Path]) -> tuple[Stamp, ...]:
    """Stamps of the files; empty where one cannot be read."""
    try:
        seen = [(str(file), file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in seen)
