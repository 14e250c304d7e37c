"""In which order tasks run: by model on each device, or the most informative first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from onnxprof.sweeps.planning.standing import TaskStanding
from onnxprof.sweeps.tasks import Task

#: Seconds that a task will take; None where nothing tells.
Estimate = Callable[[Task], float | None]


def by_model(tasks: Sequence[Task], estimate: Estimate) -> list[Task]:
    """Each device's tasks with those of a model together, in the order of the plan.

    Of several devices the one that has the least time behind it goes on, so that long tasks of
    one lie beside short ones of another.
    """
    queues: dict[str, list[Task]] = {}
    models = {model: i for i, model in enumerate(dict.fromkeys(task.model for task in tasks))}
    for task in tasks:
        queues.setdefault(task.device_id, []).append(task)
    for queue in queues.values():
        queue.sort(key=lambda task: models[task.model])
        queue.reverse()
    spent = dict.fromkeys(queues, 0.0)
    ordered: list[Task] = []
    while any(queues.values()):
        device = min((d for d in queues if queues[d]), key=spent.__getitem__)
        ordered.append(queues[device].pop())
        spent[device] += estimate(ordered[-1]) or 0.0
    return ordered


def most_informative(standings: Sequence[TaskStanding], estimate: Estimate) -> list[Task]:
    """One task for each batch: every model's smallest, then its largest, then those between.

    Tasks that differ in nothing but their batches and what is checked count as one: a plan may
    check one batch alone. Among equals the cheapest first; what takes nobody knows how long comes
    last.
    """
    asked: dict[Task, set[int]] = {}
    for each in standings:
        asked.setdefault(_of_batches(each.task), set()).update(each.task.options.batches)
    worth = {task: _by_worth(batches) for task, batches in asked.items()}
    ranked: list[tuple[int, float, int, Task]] = []
    for each in standings:
        ranks = {batch: rank for rank, batch in enumerate(worth[_of_batches(each.task)])}
        for batch in each.left:
            single = each.task.asking(batches=(batch,))
            seconds = estimate(single)
            known = float("inf") if seconds is None else seconds
            ranked.append((min(ranks[batch], 2), known, len(ranked), single))
    return [task for *_, task in sorted(ranked, key=lambda each: each[:3])]


def _of_batches(task: Task) -> Task:
    """The task without what differs between batches of one measurement."""
    return task.asking(batches=(), verify=False, parity=False)


def _by_worth(batches: Collection[int]) -> list[int]:
    ends = list(dict.fromkeys((min(batches), max(batches))))
    return [*ends, *sorted(batch for batch in batches if batch not in ends)]
