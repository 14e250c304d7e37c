"""Files that hold what a renderer writes, to the byte."""

from __future__ import annotations

import os

from support.places import GOLDEN


def check_golden(name: str, made: str) -> None:
    """Compare with a golden file; ONNXPROF_UPDATE_GOLDEN=1 rewrites it."""
    path = GOLDEN / name
    if os.environ.get("ONNXPROF_UPDATE_GOLDEN"):
        path.write_bytes(made.encode())
    assert made == path.read_bytes().decode()
