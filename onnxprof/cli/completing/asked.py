"""Answers a shell at Tab."""

from __future__ import annotations

import os
import sys
from typing import Any

from onnxprof.cli.completing.candidates import Member, candidates
from onnxprof.cli.completing.scripts import ASKED, BREAKS, LINE
from onnxprof.cli.completing.words import answer, split


def respond(root: Any, member: Member) -> int:
    """Print what may stand at the cursor; returns the exit code.

    Whatever goes wrong is no concern of who presses Tab: then there is no answer.
    """
    shell = os.environ[ASKED]
    words, typed = split(os.environ.get(LINE, ""))
    try:
        found, has_files = candidates(root, words, typed, member)
    except Exception:
        return 1
    lines = [*answer(found, shell, typed, os.environ.get(BREAKS, "")), *(["files"] * has_files)]
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    return 0
