"""The main job of README.md, done by the wheel where nothing else is installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tools.release.environment import Fresh, fresh, ran
from tools.release.errors import ReleaseError

EXTRA = "cpu"
BATCHES = (1, 8)


def smoke(wheel: Path, version: str, folder: Path, *, offline: bool) -> None:
    """Install the wheel in a fresh environment, look at a model, measure it, list the runs."""
    folder.mkdir(parents=True)
    there = fresh(folder, wheel, EXTRA, offline=offline)
    onnxprof = there.command("onnxprof")
    _installed(there, version, folder)
    model = ran(onnxprof, "zoo", "materialise", "lenet", folder=folder).split()[-1]
    shutil.copyfile(model, folder / "model.onnx")
    _expect("layers", ran(onnxprof, "inspect", "model.onnx", folder=folder), "inspect")
    sizes = ",".join(map(str, BATCHES))
    measured = ran(
        onnxprof, "profile", "model.onnx", "--batch", sizes, "--threads", "1", "--budget", "0.2",
        folder=folder,
    )  # fmt: skip
    _expect("(total)", measured, "profile")
    listed = json.loads(ran(onnxprof, "runs", "list", "--json", folder=folder))["runs"]
    found = sorted(run["batch"] for run in listed if not run["failure"])
    if found != list(BATCHES):
        raise ReleaseError(f"The wheel stored runs of the batches {found}, not of {list(BATCHES)}")


def _installed(there: Fresh, version: str, folder: Path) -> None:
    """The wheel's own package answers, and no checkout's."""
    said = ran(there.command("onnxprof"), "--version", folder=folder).strip()
    if said != f"onnxprof {version}":
        raise ReleaseError(f"The wheel's command says {said!r}, not 'onnxprof {version}'")
    code = "import onnxprof; print(onnxprof.__file__)"
    place = Path(ran(there.python, "-c", code, folder=folder).strip())
    if not place.resolve().is_relative_to(folder.resolve()):
        raise ReleaseError(f"onnxprof was imported from {place}, not from the fresh environment")


def _expect(words: str, said: str, command: str) -> None:
    if words not in said:
        raise ReleaseError(f"onnxprof {command} of the wheel printed no {words!r}:\n{said[-2000:]}")
