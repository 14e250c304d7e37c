"""Reading models ahead of a sweep, for `--dry-run`: nothing is made, downloaded or run for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.sweep import InspectedModel, inspect_found, jobs_of, predicted
from onnxprof.model.sources.policy import Resolved
from onnxprof.model.sources.resolve import is_remote, resolve
from onnxprof.processes.scratch import scratch
from onnxprof.records.device import Device
from onnxprof.sweeps.devices import here
from onnxprof.sweeps.matching import matched
from onnxprof.sweeps.planning.remembered import Remembered
from onnxprof.sweeps.tasks import Task
from onnxprof.zoo.materialisation import hollow

_ZOO = "zoo:"


@dataclass(slots=True)
class Preview:
    """What reading the models of tasks has shown."""

    remembered: Remembered
    problems: dict[Task, str] = field(default_factory=dict)
    """Why the model of a task cannot be measured, or is not known yet."""
    _inspected: dict[object, InspectedModel | OnnxprofError] = field(default_factory=dict)

    def look(self, tasks: Iterable[Task]) -> None:
        """Read the models of those tasks whose memory is not remembered, each once.

        What would have to be looked up on the network stays unknown.
        """
        for task in tasks:
            if is_remote(task.model) and not task.model.startswith(_ZOO):
                continue
            known = self.remembered.known(task)
            asked = task.options.batches
            if known and all(known.memory_bytes(task, b) is not None for b in asked):
                continue
            try:
                self._learn(task)
            except OnnxprofError as error:
                self.problems[task] = str(error)

    def _learn(self, task: Task) -> None:
        inspection = self._model(task)
        options = task.options
        device = _device(task)
        jobs = list(jobs_of(inspection, options, device, ()))
        jobs = [job for job in jobs if job.batch in options.batches or job.table.obstacle]
        pairs, left = matched(options.batches, jobs)
        stay = next((job for _, job in pairs if job.table.obstacle), None)
        settled = dict(pairs) | {batch: stay for batch in left if stay is not None}
        memory = {
            batch: expected.peak_bytes
            for batch, job in pairs
            if (expected := predicted(job)) is not None
        }
        self.remembered.learn(task, settled, memory)
        refused = {b: f"{task.job(b).title}: {error}" for b, error in inspection.refused}
        self.remembered.learn_refused(task, refused, inspection)

    def _model(self, task: Task) -> InspectedModel:
        asked = task.options
        sizes = (asked.dims, task.optional_dims, asked.phase, task.optional_phase, asked.batches)
        key = (asked.models, sizes, asked.inputs)
        if key not in self._inspected:
            try:
                with scratch() as folder:
                    found_at, optional = _file(task, Path(folder)), task.optional_phase
                    found = inspect_found(
                        found_at, asked, task.optional_dims, optional_phase=optional
                    )
                self._inspected[key] = found
            except OnnxprofError as error:
                self._inspected[key] = error
        known = self._inspected[key]
        if isinstance(known, OnnxprofError):
            raise known
        return known


def _device(task: Task) -> Device:
    """A task's device; for a version of a runtime by its id, for the installed one may lack it."""
    if task.options.runtime:
        return Device(task.device_id, task.device_kind or "cpu", task.device_id)
    return here(task.options.backend, task.device_id, task.options.provider)[0]


def _file(task: Task, folder: Path) -> Resolved:
    """The model's file; of a network of the zoo that is not made yet one without its weights."""
    if task.model.startswith(_ZOO):
        name = task.model.removeprefix(_ZOO)
        return Resolved(hollow(name, folder), name, task.model)
    return resolve(task.model)
