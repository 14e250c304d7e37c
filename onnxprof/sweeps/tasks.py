"""The unit of a sweep: one model on one backend and device, at all of its batch sizes.

A task is what travels to another machine, and what one child may measure from start to end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.model.dims import grammar
from onnxprof.model.sources.resolve import SCHEMES
from onnxprof.processes.limits import Limits
from onnxprof.store.encoding import from_json, to_json
from onnxprof.sweeps.events import JobName

#: Version of a task as JSON; grows when a reader of the last one would measure something else.
TASK_VERSION = 2


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be measured, as the plan says it; every batch size is a job."""

    options: Options
    """Of one model; `limits.memory_bytes` 0 stands for what is free where the task runs."""
    optional_dims: tuple[str, ...] = ()
    """Axes in `options.dims` that the model may lack; their sizes are then left out."""
    device_id: str = ""
    """The device, once it is known; empty where `options.device` is still to be looked up."""
    device_kind: str = ""
    """Its kind, likewise: `cpu`, `cuda`."""
    force: bool = False
    """Measure what will not fit into memory, too."""
    optional_phase: bool = False
    """The phase is asked of several models: one without such a phase is passed over."""

    @property
    def model(self) -> str:
        """The model as the plan refers to it."""
        return self.options.models[0]

    @property
    def model_name(self) -> str:
        """What the model will be called in tables and in the store, by its reference."""
        scheme, colon, rest = self.model.partition(":")
        if not colon or scheme not in SCHEMES:
            return PurePath(self.model).stem or self.model
        path = PurePath(rest.partition("@")[0])
        if scheme != "hf":
            return path.name
        repository = path.parts[1] if len(path.parts) > 2 else ""
        stem = path.stem
        return repository + stem.removeprefix("model") if stem.startswith("model") else stem

    @property
    def key(self) -> str:
        """12 hex digits that tell the task from all others, whatever its batches and limits."""
        bare = replace(self.options, batches=(), limits=Limits())
        facts = [to_json(bare), self.device_id]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def asking(self, **changes: Any) -> Task:
        """The same with other options."""
        return replace(self, options=replace(self.options, **changes))

    def job(self, batch: int, node: str = "") -> JobName:
        """The name of the job at a batch, on a node or on this machine."""
        asked = self.options
        return JobName(
            key=f"{self.key}-b{batch}",
            model=self.model_name,
            backend=asked.backend,
            provider=asked.provider,
            device=self.device_id or asked.device,
            batch=batch,
            threads=asked.threads,
            dims=asked.dims,
            node=node,
            runtime=asked.runtime,
            phase=asked.phase,
        )

    def jobs(self, node: str = "") -> tuple[JobName, ...]:
        """The names of all jobs."""
        return tuple(self.job(batch, node) for batch in self.options.batches)

    def to_json(self) -> dict[str, Any]:
        """The task as JSON's types."""
        return {"version": TASK_VERSION, **to_json(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """The task that `to_json` wrote. Raises UsageError for anything else."""
        try:
            version = data["version"]
            if version != TASK_VERSION:
                raise UsageError(
                    f"a task of version {version!r}, and this onnxprof knows {TASK_VERSION}",
                    remedy="Use the same onnxprof on all machines",
                )
            task = from_json(cls, {**data})
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise UsageError(f"this is no task of a sweep: {error}") from None
        if len(task.options.models) != 1:
            raise UsageError("this is no task of a sweep: it has not one model")
        return task


def by_batch(task: Task) -> Iterator[Task]:
    """The task; one for each batch where sizes of axes may depend on it."""
    if not grammar.ties(task.options.dims):
        yield task
        return
    for batch in task.options.batches:
        yield task.asking(batches=(batch,))
