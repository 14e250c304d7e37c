"""Columns and keys of an archive, and the paths of the runs in it.

Rows come in pairs of groups: the runs of a part, one row each, then their samples. A run's path is
that of the archive and its name: `results.parquet/lenet/cpu/ort/b0001-….parquet`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: The key of the file's metadata that makes it an archive, and the version of its layout.
KEY, VERSION = b"onnxprof.archive", b"1"
#: The kind of a row that is a run; its `sample` counts the run's rows of samples.
RUN = "run"
#: Columns of samples, as in the file of a run.
SAMPLES = ("kind", "step", "sample", "block", "duration_ns")
#: All columns; `summary` and `facts` are null in rows of samples.
COLUMNS = ("name", *SAMPLES, "summary", "facts")
_SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Packed:
    """A run as an archive holds it."""

    name: str
    """Where it would lie in a store: `lenet/cpu/ort/b0001-….parquet`."""
    summary: bytes
    facts: bytes
    samples: pa.Table
    """With the columns of `SAMPLES`."""


def located(path: Path | str) -> tuple[Path, str] | None:
    """The archive and the name in it, of a path that leads into a file; None for any other."""
    text = os.fspath(path)
    end = text.find(_SUFFIX + os.sep)
    while end >= 0:
        end += len(_SUFFIX)
        if os.path.isfile(text[:end]):
            return Path(text[:end]), text[end + 1 :].replace(os.sep, "/")
        end = text.find(_SUFFIX + os.sep, end)
    return None
