"""Files that killed processes had begun to write into a store and that nobody will finish."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

#: What everything in a store is called until it is whole.
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
#: To write one takes moments, also where a network's clock differs by minutes.
_OLD_NS = 3600 * 10**9


def remove_leftovers(root: Path) -> list[Path]:
    """Remove the temporary files below a store that are an hour old; returns them.

    A younger one may be another process's at work. What cannot be removed stays.
    """
    gone: list[Path] = []
    for folder, _, names in os.walk(root):
        for name in filter(_TEMPORARY.fullmatch, names):
            path = Path(folder, name)
            with suppress(OSError):
                if _is_old(path):
                    path.unlink()
                    gone.append(path)
    return gone


def _is_old(path: Path) -> bool:
    seen = path.lstat()
    return stat.S_ISREG(seen.st_mode) and time.time_ns() - seen.st_mtime_ns > _OLD_NS
