"""Where a plan stands against a store: which jobs are done, and which are left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store
from onnxprof.sweeps.planning.remembered import Known, Remembered, request_of
from onnxprof.sweeps.resume import Answers, Policy
from onnxprof.sweeps.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskStanding:
    """A task's batches, by what is to be done with them."""

    task: Task
    known: Known | None
    """None where the model has not been read yet; all batches are then left."""
    left: tuple[int, ...]
    done: tuple[int, ...] = ()
    """Measured, and in the store."""
    failed: tuple[int, ...] = ()
    """Only failed, and not to be tried again."""
    refused: tuple[tuple[int, str], ...] = ()
    """Batches that the model cannot have, and why; among neither of the others."""

    @property
    def rest(self) -> Task:
        """The task with the batches that are left."""
        return self.task.asking(batches=self.left)


@dataclass(slots=True)
class Standing:
    """The tasks of a plan against a store."""

    tasks: list[TaskStanding] = field(default_factory=list)
    jobs: int = 0

    @property
    def done(self) -> int:
        """Jobs that are in the store and not run again, the failed ones among them."""
        return sum(len(each.done) + len(each.failed) for each in self.tasks)

    @property
    def failed(self) -> int:
        """Those of them that only failed."""
        return sum(len(each.failed) for each in self.tasks)

    @property
    def left(self) -> int:
        """Jobs to run, those among them that turn out to be refused."""
        return sum(len(each.left) + len(each.refused) for each in self.tasks)

    def rest(self) -> list[Task]:
        """The tasks with what is left of them."""
        return [each.rest for each in self.tasks if each.left]


def standing(
    tasks: Iterable[Task], store: Store, remembered: Remembered, policy: Policy
) -> Standing:
    """Sort the jobs of the tasks out; of jobs that have one request the first alone counts."""
    found = Standing()
    answers = Answers(store)
    seen: set[str] = set()
    for task in tasks:
        known = remembered.known(task)
        barred = dict(known.refused) if known else {}
        refused = tuple((b, barred[b]) for b in task.options.batches if b in barred)
        sorted_out: dict[str | None, list[int]] = {None: [], "done": [], "failed": []}
        for batch in task.options.batches:
            if batch in barred:
                continue
            state = None
            if known is not None:
                request = request_of(task, known, batch)
                digest = request_digest(request)
                if digest in seen:
                    continue
                seen.add(digest)
                state = policy.standing(request, answers)
            sorted_out[state].append(batch)
        left, done, failed = (tuple(sorted_out[state]) for state in (None, "done", "failed"))
        found.jobs += len(left) + len(done) + len(failed) + len(refused)
        if left or done or failed or refused:
            found.tasks.append(TaskStanding(task, known, left, done, failed, refused))
    return found
