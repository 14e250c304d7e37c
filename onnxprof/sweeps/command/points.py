"""What the options of a command name in turn: each combination of sizes, in each phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.model.sources.policy import Progress
from onnxprof.sweeps.command.one_line import of_model, sized_models
from onnxprof.sweeps.command.phased import in_phases
from onnxprof.sweeps.tasks import Task

#: Operations that a processor does while it moves a byte, in order of magnitude.
_PER_BYTE = 10


def points(
    options: Options,
    phases: Sequence[str] = (),
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Options]:
    """The options of one model at one size of each axis and in one phase, for all that are named.

    As `profile` takes them: model by model, the last axis fastest, then the phases. Batches stay
    together. Raises UsageError for a text that names no phase.
    """
    known = sized_models(options, progress)
    bare = Task(options)
    tasks = [task for model in options.models for task in of_model(bare, known[model])]
    return [task.options for task in in_phases(tasks, phases, progress, say)]


def jobs_at(
    point: Options,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Job]:
    """The jobs of a point, one a batch. Raises as `plan`, with the model's name in each error."""
    try:
        return plan(point, progress, say=say)
    except OnnxprofError as error:
        if error.where:
            raise
        where = point.models[0]
        raise type(error)(error.what, where=where, remedy=error.remedy) from error


def loads(jobs: Sequence[Job]) -> list[float]:
    """How many times as long as the first job each takes, roughly: by operations and bytes."""
    work = [_work(job) for job in jobs]
    return [each / work[0] if work[0] else 1.0 for each in work]


def _work(job: Job) -> float:
    from onnxprof.cost.count import costs, total

    whole = total(costs(job.table))
    return whole.operations.flops / _PER_BYTE + whole.bytes
