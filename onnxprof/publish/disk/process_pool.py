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

#: What a worker may come to hold, with room.
WORKER_BYTES = 300 * 2**20
#: Private memory after a task from which on a process is replaced, since typst keeps much of what
#: it sees. A new one takes a second to import everything.
MOST_BYTES = 200 * 2**20


def fitting(machine: kernel.Machine | None = None) -> int:
    """How many workers the cores and the free memory of this process are enough for."""
    machine = machine or kernel.Machine()
    free = memory.available_bytes()
    limit = kernel.memory_limit(machine)
    room = free if limit is None else min(free, limit)
    return max(1, min(kernel.usable_cores(machine), room // WORKER_BYTES))


def spread(work: Callable[[T], R], tasks: Sequence[T], workers: int | None = None) -> Iterator[R]:
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
        yield from threads.map(lambda task: benches.mine.do(task), tasks)
    finally:
        threads.shutdown(cancel_futures=True)
        for bench in opened:
            bench.close()


class _Bench(Generic[T, R]):
    """One process at a time. The pool's own way of replacing them can hang (CPython #115634)."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.work = work
        self.pool: ProcessPoolExecutor | None = None

    def do(self, task: T) -> R:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(1, get_context("spawn"), _settle)
        try:
            with without_program():
                waiting = self.pool.submit(_weighed, self.work, task)
            made, held = waiting.result()
        except BrokenProcessPool:
            self.close()
            return self.work(task)
        if held > MOST_BYTES:
            self.close()
        return made

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        self.pool = None


def _weighed(work: Callable[[T], R], task: T) -> tuple[R, int]:
    """The result, and the private memory that this process holds after it."""
    made = work(task)
    memory.give_back()
    return made, memory.private_bytes()


def _settle() -> None:
    """Ignore interrupts in a worker: the waiting process handles them and ends the workers.

    One thread sets a document: the cores are shared out by process, and threads cost 5 % more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
