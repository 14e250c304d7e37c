"""How long jobs will take: from stored runs of the same model, else from its MACs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from onnxprof.errors import StoreError
from onnxprof.jobs.outlook import Outlook, streams_s
from onnxprof.machine.kernel import usable_cores
from onnxprof.store.answers import Answer, answers
from onnxprof.store.folder import Store
from onnxprof.store.summary import Summary
from onnxprof.sweeps.planning.remembered import Known
from onnxprof.sweeps.tasks import Task

#: Multiply-accumulates a second of a CPU's thread, and of a GPU, on networks as they are: a guess
#: that only stands until something was measured.
_OF_THREAD, _OF_GPU = 20e9, 4e12
#: Bytes a second that a model loads with, and what loading takes at least.
_LOADING, _LEAST_LOAD_S = 0.4e9, 0.15
#: What a job takes beside loading and inferring: its process, and storing.
_JOB_S = 1.5
_STRETCH_S = 1.0
#: Stored runs that are opened for an estimate, and in a folder of a model and backend, at most.
_NEAR, _MOST = 4, 16


@dataclass(slots=True)
class Estimates:
    """Seconds of jobs; opens few stored runs, those nearest to what is asked."""

    store: Store
    _folders: dict[tuple[str, str, str], list[Answer]] = field(default_factory=dict)
    _summaries: dict[Answer, Summary | None] = field(default_factory=dict)

    def seconds(self, task: Task, known: Known | None, batch: int) -> float | None:
        """What a job will take in all; None where nothing tells."""
        if known is None:
            return None
        inference_s = self._stored_s(task, known, batch) or _from_macs(task, known, batch)
        if inference_s is None:
            return None
        options = task.options
        looked = Outlook(
            load_s=_LEAST_LOAD_S + known.file_bytes / _LOADING,
            inference_s=inference_s,
            budget_s=options.process_budget.seconds,
            stretch_s=_STRETCH_S if options.telemetry else 0.0,
            verify=options.verify,
            verify_limit_s=options.verify_seconds,
            parity=options.parity,
            processes=options.processes,
            iterations=options.amount().iterations,
            streams_s=streams_s(options, inference_s),
        )
        return min(_JOB_S + looked.seconds, options.limits.seconds * options.processes)

    def of(self, task: Task, known: Known | None) -> float | None:
        """What all jobs of a task will take; None where that of any is not known."""
        found = [self.seconds(task, known, batch) for batch in task.options.batches]
        return None if any(each is None for each in found) else sum(each or 0.0 for each in found)

    def _stored_s(self, task: Task, known: Known, batch: int) -> float | None:
        """Seconds of an inference by the nearest run of the model, of the same sizes if any."""
        place = (known.name, task.device_id, task.options.backend)
        if place not in self._folders:
            self._folders[place] = [a for a in answers(self.store, *place) if not a.failed]
        threads = task.options.threads or usable_cores()

        def distance(answer: Answer) -> float:
            other = abs(math.log(answer.threads / threads)) if answer.threads else 1.0
            return abs(math.log(answer.batch / batch)) + 2 * other

        other_s = None
        every = self._folders[place]
        read = [answer for answer in every if answer in self._summaries]
        for answer in sorted(every if len(read) < _MOST else read, key=distance)[:_NEAR]:
            if (summary := self._summary(answer)) is None:
                continue
            seconds = (summary.median_ns or 0) / 1e9 * batch / answer.batch
            same = summary.request.phase == task.options.phase
            if same and dict(summary.request.dims) == dict(known.dims):
                return seconds
            other_s = other_s or seconds
        return other_s

    def _summary(self, answer: Answer) -> Summary | None:
        """Of a run that has a median."""
        if answer not in self._summaries:
            self._summaries[answer] = _read(answer)
        return self._summaries[answer]


def _read(answer: Answer) -> Summary | None:
    from onnxprof.store.parquet import read_summary

    try:
        summary = read_summary(answer.path)
    except StoreError:
        return None
    return summary if summary.median_ns else None


def _from_macs(task: Task, known: Known, batch: int) -> float | None:
    if not known.macs:
        return None
    threads = task.options.threads or usable_cores()
    rate = _OF_THREAD * threads if task.device_kind == "cpu" else _OF_GPU
    return known.macs * batch / rate


def in_all(seconds: Mapping[Task, float | None]) -> float | None:
    """The sum of estimates; a task without one counts as the mean of the others. None for none."""
    known = [each for each in seconds.values() if each is not None]
    if not known:
        return None
    return sum(known) + (len(seconds) - len(known)) * sum(known) / len(known)
