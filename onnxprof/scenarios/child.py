"""The process of one run: sessions are opened and warmed, then LoadGen begins."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.machine import clocks, memory
from onnxprof.machine.other_programs import Others
from onnxprof.plugins.memory import sized
from onnxprof.processes.confined import Limits, confine
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.scenarios import loadgen
from onnxprof.scenarios.orders import Done, Loaded, Order, System, Work
from onnxprof.scenarios.serving import (
    Answerer,
    Complete,
    Direct,
    Fail,
    Queue,
    Serving,
    Session,
    sizes,
)

#: Warming a batch: the fewest inferences, and the time after which there are no more of them.
_LEAST_WARM, _WARM_S = 3, 0.3
#: LoadGen makes twice as many queries as fit into the duration at the expected rate.
_SAMPLES_OF_A_QUERY = {Scenario.SINGLE_STREAM: 1, Scenario.MULTI_STREAM: 8, Scenario.SERVER: 1}
_LEAST_NS = 1_000
#: What LoadGen and its log keep of a query and of each of its samples (6.0.17, measured).
_QUERY_BYTES, _SAMPLE_BYTES = 250, 60
_PART_OF_MEMORY = 0.8
#: What may be less where memory runs out.
_SMALLER = "a smaller --max-batch, fewer --sessions or a shorter --duration"

Send = Callable[[str, object], None]


def perform(work: Work, folder: Path, send: Send, fail: Fail) -> None:
    """Make the run in this process; sends `loaded`, then `done`. Raises OnnxprofError.

    `fail` hears of an error amid the queries, from whichever thread, and must not return: LoadGen
    cannot be told to stop.
    """
    with _ready(work, fail) as (loaded, answering):
        memory.give_back()
        send("loaded", loaded)
        order = _expecting(work, loaded)
        refuse_too_many(order, memory.available_bytes())
        others = Others()
        kept: list[Answerer] = []

        def start(complete: Complete) -> Answerer:
            kept.append(answering(complete))
            return kept[0]

        with others.watched(), clocks.watched() as held:
            answer = loadgen.run(order, start, folder)
    batches = tuple(sorted(kept[0].batches.items()))
    send("done", Done(answer, batches, (*others.warnings(), *held), loaded))


Answering = Callable[[Complete], Answerer]


@contextmanager
def _ready(work: Work, fail: Fail) -> Iterator[tuple[Loaded, Answering]]:
    """Open and warm every session; each in the thread that will infer with it."""
    if not work.serving.queued:
        with _opened(work.system, work.serving) as (session, loaded):
            yield loaded, lambda complete: Direct(session, work.serving, complete, fail)
        return
    queue = Queue(work.serving, fail)
    openings = _Openings(work, queue)
    try:
        yield openings.loaded(), queue.answering
    finally:
        openings.close()


class _Openings:
    """A thread a session: one after another opens and warms its own, then all serve the queue."""

    def __init__(self, work: Work, queue: Queue) -> None:
        self._work, self._queue = work, queue
        self._turn = threading.Lock()
        self._each: list[Loaded] = []
        self._errors: list[BaseException] = []
        self._are_ready = [threading.Event() for _ in range(work.serving.sessions)]
        self._threads = [
            threading.Thread(target=self._serve, args=(ready,), daemon=True)
            for ready in self._are_ready
        ]

    def loaded(self) -> Loaded:
        """Open all. Raises what opening one of them raised."""
        for thread, ready in zip(self._threads, self._are_ready, strict=True):
            thread.start()
            ready.wait()
            if self._errors:
                raise self._errors[0]
        return Loaded(sum(each.load_ns for each in self._each), self._each[0].batch_ns)

    def close(self) -> None:
        """Let what waits be answered, and close all."""
        self._queue.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _serve(self, ready: threading.Event) -> None:
        try:
            with _opened(self._work.system, self._work.serving) as (session, loaded):
                self._each.append(loaded)
                ready.set()
                self._queue.serve(session)
        except BaseException as error:
            self._errors.append(error)
            ready.set()


@contextmanager
def _opened(system: System, serving: Serving) -> Iterator[tuple[Session, Loaded]]:
    began = time.perf_counter_ns()
    with system.opened() as session:
        load_ns = time.perf_counter_ns() - began
        times = {size: _warmed(session, size) for size in sizes(serving.max_batch)}
        yield session, Loaded(load_ns, times)


def _warmed(session: Session, size: int) -> int:
    """The median of the later half of some inferences."""
    taken: list[int] = []
    end = time.perf_counter() + _WARM_S
    while len(taken) < _LEAST_WARM or time.perf_counter() < end:
        began = time.perf_counter_ns()
        session(size)
        taken.append(time.perf_counter_ns() - began)
    return round(statistics.median(taken[len(taken) // 2 :]))


def _expecting(work: Work, loaded: Loaded) -> Order:
    """The order with the rate that warming lets expect, where it gives none."""
    order, serving = work.order, work.serving
    if order.rate:
        return order
    most_ns = max(_LEAST_NS, loaded.batch_ns[serving.max_batch])
    samples = _SAMPLES_OF_A_QUERY.get(order.scenario, 0)
    if not samples:
        return replace(order, rate=serving.sessions * serving.max_batch * 1e9 / most_ns)
    inferences = -(-samples // serving.max_batch)
    turns = -(-inferences // serving.sessions)
    return replace(order, rate=1e9 / (turns * most_ns))


def refuse_too_many(order: Order, free_bytes: int) -> None:
    """Raise BackendError where the queries, which LoadGen makes beforehand, will not fit."""
    samples = _SAMPLES_OF_A_QUERY.get(order.scenario, 1)
    times = {Scenario.SERVER: 1.0, Scenario.OFFLINE: 1.1}.get(order.scenario, 2.0)
    queries = max(times * order.duration_s * order.rate, order.min_queries)
    needed = queries * (_QUERY_BYTES + samples * _SAMPLE_BYTES)
    if needed > _PART_OF_MEMORY * free_bytes:
        raise BackendError(
            f"LoadGen makes its {queries / 1e6:.0f} million queries beforehand, which takes"
            f" {needed / 2**30:.1f} GiB, and {free_bytes / 2**30:.1f} GiB are free",
            remedy="Use a shorter --duration",
        )


def child(work: Work, limits: Limits, sender: Connection, folder: str) -> None:
    """Entry point of the process: send how it loads and what came of it, or an exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    tempfile.tempdir = folder
    sending = threading.Lock()

    def send(kind: str, value: object) -> None:
        with sending:
            sender.send((kind, value))

    try:
        confine(limits, os.getppid())
        perform(work, Path(folder), send, partial(_end, send))
    except BaseException as error:
        with suppress(OSError):
            send("error", _told(error))


def _end(send: Send, error: BaseException) -> None:
    """Leave at once: LoadGen waits for answers that will not come."""
    with suppress(OSError):
        send("error", _told(error, "while answering queries: "))
    os._exit(1)


def _told(error: BaseException, when: str = "") -> OnnxprofError:
    if isinstance(error, OnnxprofError):
        return sized(error, _SMALLER)
    if isinstance(error, MemoryError):
        return BackendError(f"{when}out of memory", remedy=f"Use {_SMALLER}")
    return BackendError(f"{when}{type(error).__name__}: {error}")
