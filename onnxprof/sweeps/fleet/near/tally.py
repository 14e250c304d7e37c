"""What of each task has ended, so that one whose machine was lost goes on where it stopped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from onnxprof.sweeps.tasks import Task

#: A task that takes its machine down so often is not tried again.
MOST_LOSSES = 3


@dataclass(slots=True)
class Tally:
    """Ended batches and lost workers by task; safe for threads."""

    _ended: dict[str, set[int]] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)
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

    def lose(self, task: Task) -> bool:
        """The worker of a task was lost; whether it may be tried again."""
        with self._lock:
            self._losses[task.key] = self._losses.get(task.key, 0) + 1
            return self._losses[task.key] < MOST_LOSSES
