"""Tasks in worker processes, which are replaced before their memory has grown large."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Generic, TypeVar

from onnxprof.machine import kernel, memory
from onnxprof.processes.launch import without_program

T = TypeVar("T")
R = TypeVar("R")

#: What a worker may come to hold, with room: 232 MB were seen.
WORKER_BYTES = 300 * 2**20
#: Weight of tasks after which a process is replaced, since typst caches all that it sees.
MOST_WEIGHT = 120


def fitting(machine: kernel.Machine | None = None) -> int:
    """How many workers the cores and the free memory of this process are enough for."""
    machine = machine or kernel.Machine()
    free = memory.available_bytes()
    limit = kernel.memory_limit(machine)
    room = free if limit is None else min(free, limit)
    return max(1, min(kernel.usable_cores(machine), room // WORKER_BYTES))


def spread(
    work: Callable[[T], R],
    tasks: Sequence[T],
    weight: Callable[[T], int],
    workers: int | None = None,
) -> Iterator[R]:
    """Results in the order of the tasks, which run in `workers` processes.

    There are as many processes as `fitting` says, unless `workers` does. A task whose process
    dies, for want of memory perhaps, is done here instead. Where the reader stops early, what has
    not begun is never done.
    """
    benches = threading.local()
    opened: list[_Bench[T, R]] = []

    def seat() -> None:
        benches.mine = _Bench(work)
        opened.append(benches.mine)

    most = max(1, min(workers or fitting(), len(tasks)))
    threads = ThreadPoolExecutor(most, initializer=seat)
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
            self.pool = ProcessPoolExecutor(1, get_context("spawn"), _settle)
        self.weight += weight
        try:
            with without_program():
                waiting = self.pool.submit(self.work, task)
            return waiting.result()
        except BrokenProcessPool:
            self.close()
            return self.work(task)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        self.pool, self.weight = None, 0


def _settle() -> None:
    """Ignore interrupts in a worker: the waiting process handles them and ends the workers.

    One thread sets a document: the cores are shared out by process, and threads cost 5 % more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
