"""What lies ahead of a sweep: jobs that are left, their order and time, what will not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from onnxprof.machine.memory import usable_bytes
from onnxprof.publish.text.memory import unfit_text
from onnxprof.records.sequences.phase import Phase
from onnxprof.store.folder import Store
from onnxprof.sweeps.events import Event, Failed, Foreseen, Noted, Planned, Skipped, refusal_cause
from onnxprof.sweeps.planning.estimate import Estimates, in_all
from onnxprof.sweeps.planning.order import by_model, most_informative
from onnxprof.sweeps.planning.preview import Preview
from onnxprof.sweeps.planning.remembered import Remembered
from onnxprof.sweeps.planning.standing import Standing, TaskStanding, standing
from onnxprof.sweeps.plans.survey import Surveyed
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task


@dataclass(frozen=True, slots=True)
class Outlook:
    """A task with what it will take; batches that will be skipped are left out."""

    task: Task
    left: tuple[int, ...]
    """Batches that will be run."""
    done: int
    failed: int
    seconds: float | None
    memory_bytes: int | None
    """Of the largest batch that will be run; None where it is not known."""
    problem: str = ""


@dataclass(slots=True)
class Ahead:
    """A surveyed plan against a store."""

    surveyed: Surveyed
    store: Store
    policy: Policy
    remembered: Remembered
    estimates: Estimates
    found: Standing
    open_points: tuple[str, ...] = ()
    """What is checked only when its job is at hand, such as options of a version elsewhere."""
    _usable: int = field(default_factory=usable_bytes)

    @classmethod
    def of(
        cls, surveyed: Surveyed, store: Store, policy: Policy, open_points: Iterable[str] = ()
    ) -> Ahead:
        """What is left of the plan by what the store has and what is remembered of models."""
        remembered = Remembered.of(store.root)
        found = standing(surveyed.tasks, store, remembered, policy)
        estimates = Estimates(store)
        return cls(surveyed, store, policy, remembered, estimates, found, tuple(open_points))

    def previewed(self) -> Preview:
        """Read the models that are not known yet, and sort the plan out once more."""
        preview = Preview(self.remembered)
        preview.look(each.rest for each in self.found.tasks if each.left)
        self.found = standing(self.surveyed.tasks, self.store, self.remembered, self.policy)
        return preview

    def seconds(self, task: Task) -> float | None:
        """What a task will take; None where nothing tells."""
        return self.estimates.of(task, self.remembered.known(task))

    def at_least(self, task: Task) -> float:
        """The same for a deadline: what takes nobody knows how long begins while there is time."""
        return self.seconds(task) or 0.0

    def ordered(self, *, is_short: bool) -> list[Task]:
        """The tasks that are left; where time is short the most informative batches first."""
        fitting = [
            replace(each, left=rest.options.batches)
            for each in self.found.tasks
            if (rest := self._run(each)) is not None
        ]
        if is_short:
            return most_informative(fitting, self.seconds)
        return by_model([each.rest for each in fitting], self.seconds)

    def planned(self) -> Planned:
        """How many jobs there are, and how many are left."""
        refused = sum(len(task.options.batches) for task, _ in self.surveyed.refused)
        times = {rest: self.seconds(rest) for each in self.found.tasks if (rest := self._run(each))}
        return Planned(
            jobs=self.found.jobs + refused,
            done=self.found.done,
            left=self.found.left + refused,
            seconds=in_all(times) if times else 0.0,
            failed=self.found.failed,
        )

    def before(self) -> Iterator[Event]:
        """What is known before anything runs: remarks on the plan, and what cannot run here."""
        yield from (Noted(text) for text in (*self.surveyed.notes, *self.open_points))
        for task, error in self.surveyed.refused:
            yield from (Failed(job, str(error)) for job in task.jobs())
        yield from self.skipped()

    def skipped(self) -> Iterator[Skipped]:
        """Jobs that are known not to fit into memory, or that their model cannot have."""
        for each in self.found.tasks:
            yield from self._skipped(each)

    def foreign_phases(self) -> list[str]:
        """Kinds of phases that no model of the plan has, a sentence each, once all were read."""
        lacking: dict[str, list[bool]] = {}
        for task in self.surveyed.tasks:
            if task.options.phase:
                known = self.remembered.known(task)
                lacks = task.optional_phase and known is not None and known.lacks_phase
                kind = Phase.of(task.options.phase).kind.value
                lacking.setdefault(kind, []).append(lacks)
        return [f"no model of the plan has {kind}" for kind, each in lacking.items() if all(each)]

    def outlooks(self, preview: Preview) -> list[Outlook]:
        """A line for each task, in the order of the plan."""
        found = [self._outlook(each, preview) for each in self.found.tasks]
        refused = [
            Outlook(task, (), 0, 0, None, None, problem=str(error))
            for task, error in self.surveyed.refused
        ]
        return found + refused

    def events(self, outlooks: list[Outlook]) -> Iterator[Event]:
        """The same as events, one for each job that will be run."""
        for each in outlooks:
            known = self.remembered.known(each.task)
            for batch in each.left:
                seconds = self.estimates.seconds(each.task, known, batch)
                memory = known.memory_bytes(each.task, batch) if known else None
                yield Foreseen(each.task.job(batch), seconds, memory)

    def usable_bytes(self, task: Task) -> int:
        """The memory that a task may use."""
        return task.options.limits.memory_bytes or self._usable

    def _outlook(self, each: TaskStanding, preview: Preview) -> Outlook:
        rest = self._run(each)
        known = each.known
        batches = rest.options.batches if rest else ()
        sizes = [known.memory_bytes(each.task, batch) for batch in batches] if known else []
        return Outlook(
            task=each.task,
            left=batches,
            done=len(each.done),
            failed=len(each.failed),
            seconds=self.seconds(rest) if rest else None,
            memory_bytes=max((size for size in sizes if size), default=None),
            problem=preview.problems.get(each.rest, "") if each.left else "",
        )

    def _skipped(self, each: TaskStanding) -> Iterator[Skipped]:
        task = each.task
        for batch, reason in each.refused:
            cause = refusal_cause(each.known is not None and each.known.lacks_phase)
            yield Skipped(task.job(batch), reason, cause)
        for batch, size in self._unfit(each):
            title = f"{task.model_name} on {task.options.backend} at {task.job(batch).sizes}"
            text = unfit_text(title, size, self.usable_bytes(task))
            yield Skipped(task.job(batch), text, "memory")

    def _run(self, each: TaskStanding) -> Task | None:
        """What of a task will be run: without what is known not to fit."""
        unfit = dict(self._unfit(each))
        batches = tuple(batch for batch in each.left if batch not in unfit)
        return each.task.asking(batches=batches) if batches else None

    def _unfit(self, each: TaskStanding) -> tuple[tuple[int, int], ...]:
        if each.known is None or each.task.force:
            return ()
        sized = ((batch, each.known.memory_bytes(each.task, batch)) for batch in each.left)
        most = self.usable_bytes(each.task)
        return tuple((batch, size) for batch, size in sized if size is not None and size > most)
