"""One export in a process of its own: frameworks are large, loud, and end for good when they fail.

`python -P -m onnxprof.jobs.exporting.child FOLDER` reads `request.json` there and writes the ONNX
file, `samples.npz`, and `error.json` where it failed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.errors import ExportError, OnnxprofError
from onnxprof.plugins.exporter import ExportRequest, InputSpec, Sample
from onnxprof.plugins.registry import exporter
from onnxprof.processes.confined import Limits, confine

_REQUEST, _SAMPLES, _ERROR = "request.json", "samples.npz", "error.json"


def ask(folder: Path, name: str, request: ExportRequest, memory_bytes: int) -> None:
    """Leave a request for the process."""
    facts = {"exporter": name, "memory_bytes": memory_bytes, "request": asdict(request)}
    (folder / _REQUEST).write_text(json.dumps(facts), "utf-8")


def answer(folder: Path) -> list[Sample]:
    """What the process left. Raises ExportError with its reason."""
    if (folder / _ERROR).exists():
        facts = json.loads((folder / _ERROR).read_text("utf-8"))
        raise ExportError(facts["what"], where=facts["where"], remedy=facts["remedy"])
    with np.load(folder / _SAMPLES, allow_pickle=False) as held:
        layout = json.loads(str(held["layout"]))
        return [_sample(entry, held) for entry in layout]


def _sample(entry: dict[str, Any], held: Any) -> Sample:
    inputs = {name: held[key] for name, key in entry["inputs"].items()}
    return Sample(entry["batch"], inputs, tuple(held[key] for key in entry["outputs"]))


def _keep(folder: Path, samples: Sequence[Sample]) -> None:
    arrays: dict[str, Any] = {}
    layout = []
    for index, sample in enumerate(samples):
        inputs = {name: f"{index}_in_{i}" for i, name in enumerate(sample.inputs)}
        outputs = [f"{index}_out_{i}" for i in range(len(sample.outputs))]
        arrays.update((key, sample.inputs[name]) for name, key in inputs.items())
        arrays.update(zip(outputs, sample.outputs, strict=True))
        layout.append({"batch": sample.batch, "inputs": inputs, "outputs": outputs})
    np.savez(folder / _SAMPLES, allow_pickle=False, layout=json.dumps(layout), **arrays)


def _read(folder: Path) -> tuple[str, int, ExportRequest]:
    facts = json.loads((folder / _REQUEST).read_text("utf-8"))
    given = facts["request"]
    inputs = tuple(InputSpec(i["name"], i["dtype"], tuple(i["shape"])) for i in given["inputs"])
    dims = tuple((name, size) for name, size in given["dims"])
    lists = {"inputs": inputs, "dims": dims, "batches": tuple(given["batches"])}
    return facts["exporter"], facts["memory_bytes"], ExportRequest(**{**given, **lists})


def _fail(folder: Path, error: OnnxprofError) -> None:
    facts = {"what": error.what, "where": error.where, "remedy": error.remedy}
    (folder / _ERROR).write_text(json.dumps(facts), "utf-8")


def main(folder: Path) -> int:
    """Serve the request; 1 where it failed."""
    name, memory_bytes, request = _read(folder)
    try:
        confine(Limits(memory_bytes=memory_bytes))
        _keep(folder, exporter(name).export(request))
    except OnnxprofError as error:
        _fail(folder, error)
    except MemoryError:
        _fail(folder, ExportError("out of memory", where=request.target))
    except Exception as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        remedy = "--debug shows the whole error"
        _fail(folder, ExportError(f"failed: {line}", where=request.target, remedy=remedy))
    else:
        return 0
    if os.environ.get("ONNXPROF_DEBUG"):
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
