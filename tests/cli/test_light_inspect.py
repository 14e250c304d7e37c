"""What `inspect` of a model imports: nothing that a table of layers does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.networks import models

LISTED = """
import sys
from onnxprof.cli import main
code = main._run(sys.argv[1:])
print(*sorted(sys.modules), sep="\\n", file=sys.stderr)
sys.exit(code)
"""
#: Packages that take long, and rooms of other commands.
UNNEEDED = ("rich", "pyarrow", "onnxruntime", "torch", "onnxprof.cost", "onnxprof.store")


def test_inspect_imports_no_room_that_it_does_not_need(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    done = subprocess.run(
        [sys.executable, "-c", LISTED, "inspect", "lenet.onnx"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = done.stderr.splitlines()
    found = [m for m in loaded if any(m == name or m.startswith(f"{name}.") for name in UNNEEDED)]
    assert found == []
