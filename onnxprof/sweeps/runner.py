"""Runs tasks on places: each place takes the next task that it can run, until none is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from onnxprof.sweeps.events import Noted
from onnxprof.sweeps.places import Desk, Place, PlaceLostError
from onnxprof.sweeps.tasks import Task

#: How often an interrupt is looked for while other threads work.
_POLL_S = 0.2

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long the sweep may take; a task that would end later is not begun."""

    seconds: float
    estimate: Callable[[Task], float]
    """Seconds that a task will take."""


def run(
    tasks: Sequence[Task],
    places: Sequence[Place],
    desk: Desk,
    deadline: Deadline | None = None,
    clock: Clock = time.monotonic,
) -> None:
    """Run the tasks in their order, each on the first place that is free and that it fits.

    A single place of width 1 works in the calling thread. A task whose place is lost goes to
    another one that it fits, or waits until that place is back; tasks that no place is left for
    are not begun. A KeyboardInterrupt and a StoreError end what runs and go on to the caller.
    """
    pool = _Pool(list(tasks), deadline, clock)
    if len(places) == 1 and places[0].width == 1:
        _work(places[0], pool, desk)
    else:
        _work_together(places, pool, desk)


def _work(place: Place, pool: _Pool, desk: Desk) -> None:
    while (task := pool.next(place)) is not None:
        try:
            place.run(task, desk)
        except PlaceLostError as error:
            desk.hear(Noted(str(error)))
            pool.give_back(task, place)
            if not place.comes_back(partial(pool.has_work, place)):
                return
            pool.welcome(place)
            desk.hear(Noted(f"{place.name} is back"))
        except BaseException as error:
            pool.stop(error)
            raise
        else:
            pool.done(task)


def _work_together(places: Sequence[Place], pool: _Pool, desk: Desk) -> None:
    threads = [
        threading.Thread(target=_guarded, args=(place, pool, desk), daemon=True)
        for place in places
        for _ in range(place.width)
    ]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and pool.error is None:
            for thread in threads:
                thread.join(_POLL_S)
    except BaseException as error:
        pool.stop(error)
        raise
    finally:
        if pool.error is not None:
            for place in places:
                place.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if pool.error is not None:
        raise pool.error


def _guarded(place: Place, pool: _Pool, desk: Desk) -> None:
    """The work of a thread; its error is in the pool, for the thread that waits."""
    try:
        _work(place, pool, desk)
    except BaseException as error:
        pool.stop(error)


@dataclass(slots=True)
class _Pool:
    """The tasks that wait, for several threads."""

    waiting: list[Task]
    deadline: Deadline | None
    clock: Clock
    running: list[Task] = field(default_factory=list)
    error: BaseException | None = None
    lost: list[Place] = field(default_factory=list)
    began: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def next(self, place: Place) -> Task | None:
        """The next task for a place; waits while a task that runs may still come back."""
        with self.changed:
            while self.error is None and not any(place is lost for lost in self.lost):
                for task in self.waiting:
                    if place.fits(task) and self._has_time(task):
                        self.waiting.remove(task)
                        self.running.append(task)
                        return task
                if not self.running:
                    break
                self.changed.wait(_POLL_S)
            return None

    def _has_time(self, task: Task) -> bool:
        if self.deadline is None:
            return True
        left = self.deadline.seconds - (self.clock() - self.began)
        return self.deadline.estimate(task) <= left

    def done(self, task: Task) -> None:
        """A task has ended."""
        with self.changed:
            self.running.remove(task)
            self.changed.notify_all()

    def give_back(self, task: Task, lost: Place) -> None:
        """A task waits again, before all others, and its place gets no other one."""
        with self.changed:
            self.waiting.insert(0, task)
            self.lost.append(lost)
            self.running.remove(task)
            self.changed.notify_all()

    def has_work(self, place: Place) -> bool:
        """Whether a place that was lost would still be of use."""
        with self.changed:
            return self.error is None and any(map(place.fits, (*self.waiting, *self.running)))

    def welcome(self, place: Place) -> None:
        """A place that was lost is there again."""
        with self.changed:
            self.lost.remove(place)

    def stop(self, error: BaseException) -> None:
        """Give out nothing more."""
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()
