"""What `onnxprof runs import` does with its options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnxprof.cli.options import memory_limit, parse_dims
from onnxprof.imports.build import Facts, build
from onnxprof.imports.files import chosen
from onnxprof.jobs.job import now
from onnxprof.model.file import open_found, with_defaults
from onnxprof.model.sources.policy import Resolved
from onnxprof.model.sources.resolve import is_remote, resolve
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.run import Run
from onnxprof.store.folder import Store


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
    chosen(files)  # refuses before anything is fetched
    work = partial(_made, resolve(model), dict(files), told, command_line(model, files, told))
    run = confined(work, Limits(memory_bytes=memory_limit(0)), "reading", model)
    return run, Store(root).save(run)


def _made(found: Resolved, files: Mapping[str, str], told: Told, command: str) -> Run:
    opened = open_found(found)
    dims = with_defaults(opened, parse_dims(told.dims))
    facts = Facts(
        batch=told.batch,
        dims=tuple(dims.items()),
        device_name=told.device_name,
        device_kind=told.device_kind,
        runtime=told.runtime,
        threads=told.threads,
        command=command,
        created=now(),
    )
    return build(opened, chosen(files), facts)


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
