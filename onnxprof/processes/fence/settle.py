"""A process settles in the folder that it works in, before it sees anything untrusted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from onnxprof.processes.fence.enclose import Enclosure, enclose
from onnxprof.processes.fence.places import existing

#: What programs go by for temporary files.
_TEMPORARY = ("TMPDIR", "TMP", "TEMP")


def settle(folder: str, others: Iterable[str] = ()) -> Enclosure:
    """Have this process keep its temporary files in a folder, and write there and to `others`.

    Of the fences that this takes it returns which ones hold.
    """
    os.environ.update(dict.fromkeys(_TEMPORARY, folder))
    tempfile.tempdir = folder
    return enclose([folder, *(path for other in others for path in existing(Path(other)))])
