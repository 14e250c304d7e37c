"""Tasks in worker processes, which are replaced before their memory has grown large."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 2
#: Weight of tasks after which a process is replaced, since typst caches all that it sees.
MOST_WEIGHT = 120


def spread(
    work: Callable[[T], R], tasks: Sequence[T], weight: Callable[[T], int], workers: int = WORKERS
) -> Iterator[R]:
    """Results in the order of the tasks, which run in `workers` processes.

    A task whose process dies, as for lack of memory, is run in this process instead. If the
    caller stops early, tasks that have not begun are cancelled.
    """
    benches = threading.local()
    opened: list[_Bench[T, R]] = []

    def seat() -> None:
        benches.mine = _Bench(work)
        opened.append(benches.mine)

    threads = ThreadPoolExecutor(workers, initializer=seat)
    try:
        yield from threads.map(lambda task: benches.mine.do(task, weight(task)), tasks)
    finally:
        threads.shutdown(cancel_futures=True)
        for bench in opened:
            bench.close()


class _Bench(Generic[T, R]):
    """One process at a time. The pool's own way of replacing them can hang (CPython #115634)."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.work = work
        self.pool: ProcessPoolExecutor | None = None
        self.weight = 0

    def do(self, task: T, weight: int) -> R:
        if self.weight >= MOST_WEIGHT:
            self.close()
        if self.pool is None:
            self.pool = ProcessPoolExecutor(1, get_context("spawn"), _deaf)
        self.weight += weight
        try:
            return self.pool.submit(self.work, task).result()
        except BrokenProcessPool:
            self.close()
            return self.work(task)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        self.pool, self.weight = None, 0


def _deaf() -> None:
    """Ignore interrupts in a worker: the waiting process handles them and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
