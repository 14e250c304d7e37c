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
    """Have this process write to a folder, where its temporary files are, and `others` alone.

    Returns which of the fences that this takes hold. Without a folder it has no temporary files.
    """
    if folder:
        os.environ.update(dict.fromkeys(_TEMPORARY, folder))
        tempfile.tempdir = folder
    own = [folder] if folder else []
    return enclose([*own, *(path for other in others for path in existing(Path(other)))])
