"""What of each task has ended, so that one whose machine was lost goes on where it stopped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from onnxprof.sweeps.tasks import Task

#: A task is not tried again when its worker crashed so often, or its machine was lost so often.
MOST_CRASHES, MOST_LOSSES = 3, 9


@dataclass(slots=True)
class Tally:
    """Ended batches and lost workers by task; safe for threads."""

    _ended: dict[str, set[int]] = field(default_factory=dict)
    _losses: dict[str, list[int]] = field(default_factory=dict)
    """Lost machines and crashes of workers."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def left(self, task: Task) -> tuple[int, ...]:
        """The batches of a task that have not ended."""
        with self._lock:
            ended = self._ended.get(task.key, set())
            return tuple(batch for batch in task.options.batches if batch not in ended)

    def end(self, task: Task, batch: int) -> bool:
        """A batch has ended; False where it had before."""
        with self._lock:
            ended = self._ended.setdefault(task.key, set())
            is_new = batch not in ended
            ended.add(batch)
            return is_new

    def lose(self, task: Task, *, is_crash: bool) -> str:
        """The worker of a task was lost, by its own end or with its machine.

        Returns why the task is not tried again; empty where it is.
        """
        with self._lock:
            counts = self._losses.setdefault(task.key, [0, 0])
            counts[is_crash] += 1
            machines, crashes = counts
        if crashes >= MOST_CRASHES:
            return f"its worker was lost {crashes} times"
        return f"its machine was lost {machines} times" if machines >= MOST_LOSSES else ""
