"""Failed records of jobs whose model cannot be opened: what is known is its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from onnxprof.errors import ModelError, OnnxprofError
from onnxprof.jobs.job import asked_of, now
from onnxprof.jobs.options import command_line
from onnxprof.jobs.trouble.ending import without_folders
from onnxprof.machine.facts import environment
from onnxprof.machine.kernel import usable_cores
from onnxprof.model.dims.grammar import numbers
from onnxprof.model.sources.policy import Resolved
from onnxprof.model.sources.resolve import published, resolve
from onnxprof.plugins import registry
from onnxprof.plugins.placement import pick_devices
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import Run
from onnxprof.sweeps.tasks import Task


def unreadable(task: Task, error: OnnxprofError) -> tuple[Path, dict[int, Run]]:
    """The file of a damaged model, and by batch the failed record of each job of its task.

    No records where the model is not at fault, or is not there.
    """
    if not isinstance(error, ModelError):
        return Path(), {}
    try:
        found = resolve(task.model)
        return found.path, _records(task, found, error) if found.path.is_file() else {}
    except (OnnxprofError, OSError, ValueError):
        return Path(), {}


def _records(task: Task, found: Resolved, error: OnnxprofError) -> dict[int, Run]:
    with found.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = found.path.stat().st_size
    facts = published(ModelFacts(found.name, found.reference, digest, size, 0, ()))
    sizes = tuple(numbers(task.options.dims).items())
    options = task.asking(threads=task.options.threads or usable_cores(), dims=sizes).options
    backend = registry.backend(options.backend)
    device = pick_devices(backend, task.device_id or options.device, options.provider)[0]
    facts_here = environment(backend=backend)
    return {
        batch: Run(
            request=asked_of(
                options,
                model_name=facts.name,
                model_sha256=digest,
                provider=options.provider or device.kind,
                device_id=device.id,
                batch=batch,
            ),
            model=facts,
            device=device,
            environment=facts_here,
            created=now(),
            command=command_line(task.asking(models=(facts.reference,), batches=(batch,)).options),
            table=LayerTable((), batch, sizes),
            failure=without_folders(
                f"{error.what}. {error.remedy}" if error.remedy else error.what
            ),
        )
        for batch in options.batches
    }
