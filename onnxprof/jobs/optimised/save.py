"""`--save-optimized`: the graph that a job's sessions execute, written where the user wants it.

A session of the job's own settings writes it in a process that may write to one folder alone; what
it wrote is then moved to the user's place, where nothing is ever overwritten.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.jobs.child import inputs_of, refuse_another_runtime, workload
from onnxprof.jobs.job import Job
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.verbs import GraphSaving, begin
from onnxprof.processes.apart import import_first
from onnxprof.processes.confined import confined
from onnxprof.writing import refuse_unwritable, unwritable

FLAG = "--save-optimized"


def check_target(target: Path, backend: Backend, provider: str) -> None:
    """Raise UsageError unless the backend's graph can be written there."""
    if not isinstance(backend, GraphSaving):
        raise UsageError(
            f"the {backend.name} backend writes no graph", remedy=f"Leave out {FLAG}, or use ort"
        )
    suffix = backend.graph_suffix(provider)
    if target.suffix.lower() != suffix:
        raise UsageError(
            f"{FLAG} {target.name}: {backend.name} writes {suffix}",
            remedy=f"Name it {target.stem or 'graph'}{suffix}",
        )
    refuse_unwritable(target)
    _refuse_taken(target)


def _refuse_taken(target: Path) -> None:
    for path in (target, target.with_name(f"{target.name}.data")):
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already, and is not overwritten",
                remedy="Name another file, or remove it first",
            )


def save_optimised(job: Job, target: Path) -> tuple[Path, ...]:
    """Write the executed graph; returns the files, the graph first. Raises OnnxprofError."""
    target = Path(os.path.abspath(target))
    check_target(target, registry.backend(job.options.backend), job.provider)
    try:
        with TemporaryDirectory(dir=target.parent, prefix=".onnxprof-") as folder:
            made = Path(folder, target.name)
            work, limits = partial(_save, job, made), job.options.limits
            confined(work, limits, "writing the executed graph", job.title, (made.parent,))
            return _moved(made.parent, target)
    except OSError as error:
        raise unwritable(target, error, OnnxprofError) from error


def _moved(folder: Path, target: Path) -> tuple[Path, ...]:
    """What was written, in its place."""
    names = sorted(path.name for path in folder.iterdir())
    _refuse_taken(target)
    for name in reversed(names):  # weights before the graph that names them
        os.replace(folder / name, target.with_name(name))
    return tuple(target.with_name(name) for name in names)


def _save(job: Job, path: Path) -> None:
    """In a process of its own: load the model as the job does, and write its graph."""
    import_first(job.paths)
    backend = registry.backend(job.options.backend)
    assert isinstance(backend, GraphSaving), "looked at before"
    begin(backend)
    refuse_another_runtime(job)
    model = job.model.unpacked()
    inputs, _ = inputs_of(job, model)
    backend.save_graph(workload(job, model, inputs, True), path)
