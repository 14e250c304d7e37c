"""`onnxprof inspect` over many damaged models, in one process; prints what came of each as JSON.

    python inspecting.py FOLDER SEED COUNT

FOLDER holds `models/`, where models are written and `weights.bin` lies, and `outside/`, of which
no file may be opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from modelmutants import WORDS, mutants, seeds  # noqa: E402
from onnx import ModelProto  # noqa: E402
from support.networks import models  # noqa: E402

import onnxprof.jobs.preload  # noqa: E402, F401  no copy of this process need import it
from onnxprof.cli.main import _run  # noqa: E402
from onnxprof.machine.memory import peak_resident_bytes  # noqa: E402

_LIMITS = ("--timeout", "20", "--memory", "1")
_WAYS = ((), ("--batch", "1,3"), ("--cost",), ("--format", "json"), ("--cost", "--symbolic"))


def good(folder: Path) -> list[ModelProto]:
    """Those of other tests, and one whose data are in a file beside it."""
    path = models.external(models.linear(), folder)
    beside = ModelProto.FromString(path.read_bytes())
    return [*seeds(), beside, beside]


def words(folder: Path) -> list[str]:
    """Locations, too: of what lies outside, by several ways, and of files of the system."""
    outside = folder / "outside"
    ways = [f"../outside/{path.name}" for path in outside.iterdir()]
    ways += [str(path) for path in outside.iterdir()]
    return [*WORDS, *ways, "link", "linked/secret.bin", "/etc/passwd", "weights.bin", "."]


def inspected(path: Path, way: tuple[str, ...]) -> tuple[int, str, str]:
    out, told = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = _run(["inspect", str(path), *way, *_LIMITS])
    return code, _text(out), _text(told)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def faults(code: int, out: str, told: str) -> Iterator[str]:
    """What is wrong with an answer: it is a table, or one line of error beside nothing."""
    if code not in (0, 2):
        yield f"exit code {code}"
    if "Traceback" in told or "bug in onnxprof" in told:
        yield "a traceback or a bug"
    if code == 0 and not out.strip():
        yield "neither a table nor an error"
    if code == 2 and (out.strip() or told.count("\n") != 1):
        yield "an error that is not one line"
    if not (out + told).replace("\n", "").isprintable():
        yield "control characters"


def main(folder: Path, seed: int, count: int) -> None:
    place = folder / "models"
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    for number, (what, data) in enumerate(mutants(seed, count, good(place), words(folder))):
        path = place / "m.onnx"
        path.write_bytes(data)
        answer = inspected(path, _WAYS[number % len(_WAYS)])
        seen["refused" if answer[0] else "listed"] += 1
        wrong += [f"{what}: {fault}: {answer[2][-300:]}" for fault in faults(*answer)]
    print(json.dumps({"seen": seen, "wrong": wrong, "peak_bytes": peak_resident_bytes()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
