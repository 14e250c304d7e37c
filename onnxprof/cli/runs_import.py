"""What `onnxprof runs import` does with its options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxprof.cli.options import parse_dims
from onnxprof.importing import Facts, build
from onnxprof.modelfile import open_model, with_defaults
from onnxprof.recordings import chosen
from onnxprof.records import Run
from onnxprof.references import is_remote
from onnxprof.store import Store
from onnxprof.worker import now


@dataclass(frozen=True, slots=True)
class Told:
    """Options about what the files do not say."""

    batch: int
    dims: tuple[str, ...]
    device_name: str
    device_kind: str
    runtime: str
    threads: int


def import_run(model: str, files: Mapping[str, str], told: Told, root: Path) -> tuple[Run, Path]:
    """The run that these files make, and where it is stored. Raises OnnxprofError."""
    reader = chosen(files)
    opened = open_model(model)
    dims = with_defaults(opened, parse_dims(told.dims))
    facts = Facts(
        batch=told.batch,
        dims=tuple(dims.items()),
        device_name=told.device_name,
        device_kind=told.device_kind,
        runtime=told.runtime,
        threads=told.threads,
        command=command_line(model, files, told),
        created=now(),
    )
    run = build(opened, reader, facts)
    return run, Store(root).save(run)


def command_line(model: str, files: Mapping[str, str], told: Told) -> str:
    """The command that imports this again; of files the names alone."""
    words = ["onnxprof", "runs", "import", model if is_remote(model) else Path(model).name]
    options = {option: Path(file).name for option, file in files.items() if file} | {
        "--batch": str(told.batch),
        "--device-name": told.device_name,
        "--device-kind": told.device_kind,
        "--runtime": told.runtime,
        "--threads": str(told.threads or ""),
    }
    for option, text in options.items():
        words += [option, text] if text else []
    for item in told.dims:
        words += ["--dim", item]
    return shlex.join(words)
