"""From queries to inferences: at once in the thread that asks, or through a batching queue.

LoadGen hands over numbers of samples; what answers them is a callable for each session, which
runs an inference of so many samples.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: An inference of so many samples.
Session = Callable[[int], None]
#: Tells LoadGen which samples are done.
Complete = Callable[[Sequence[int]], None]
#: Hears of an error amid queries; does not return.
Fail = Callable[[BaseException], None]
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Serving:
    """How samples come together to inferences."""

    sessions: int = 1
    max_batch: int = 1
    max_wait_ns: int = 0
    """How long the first sample of an inference may wait for others."""
    queued: bool = True
    """Through a queue, so that queries come while others are answered."""


def _nobody(_: Sequence[int]) -> None:
    """Nobody asks yet."""


class Direct:
    """Answers in the thread that asks: for loads where each query waits for the last one."""

    def __init__(self, session: Session, serving: Serving, complete: Complete, fail: Fail) -> None:
        self._session = session
        self._most = serving.max_batch
        self._complete = complete
        self._fail = fail
        self.batches: Counter[int] = Counter()

    def issue(self, ids: Sequence[int]) -> None:
        """Answer these samples."""
        try:
            for start in range(0, len(ids), self._most):
                part = ids[start : start + self._most]
                self._session(len(part))
                self.batches[len(part)] += 1
                self._complete(part)
        except BaseException as error:
            self._fail(error)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing runs here."""


class Queue:
    """Samples wait here for a session that is free.

    A session takes as many as `max_batch`. Where fewer wait, it takes these at once, or gives
    others until `max_wait_ns` after the first of them came.
    """

    def __init__(self, serving: Serving, fail: Fail, clock: Clock = time.perf_counter_ns) -> None:
        self._serving = serving
        self._complete: Complete = _nobody
        self._fail = fail
        self._clock = clock
        self._waiting: deque[tuple[int, int]] = deque()
        self._change = threading.Condition()
        self._no_more = self._closed = False
        self.batches: Counter[int] = Counter()

    def answering(self, complete: Complete) -> Queue:
        """The queue, which tells `complete` from now on what is done."""
        self._complete = complete
        return self

    def issue(self, ids: Sequence[int]) -> None:
        """Have these samples wait for their turn."""
        now = self._clock()
        with self._change:
            self._waiting.extend((one, now) for one in ids)
            self._change.notify(max(1, -(-len(ids) // self._serving.max_batch)))

    def flush(self) -> None:
        """No more samples come: nobody waits for them."""
        with self._change:
            self._no_more = True
            self._change.notify_all()

    def close(self) -> None:
        """Have `serve` return, once what waits is answered."""
        with self._change:
            self._no_more = self._closed = True
            self._change.notify_all()

    def serve(self, session: Session) -> None:
        """Answer with this session until the queue is closed: a thread for each session does."""
        try:
            while ids := self._next():
                session(len(ids))
                with self._change:
                    self.batches[len(ids)] += 1
                self._complete(ids)
        except BaseException as error:
            self._fail(error)

    def _next(self) -> list[int]:
        """The samples of the next inference; empty where there will be none."""
        with self._change:
            while True:
                if not self._waiting:
                    if self._closed:
                        return []
                    self._change.wait()
                elif (left_ns := self._left_ns()) > 0:
                    self._change.wait(left_ns / 1e9)
                else:
                    count = min(self._serving.max_batch, len(self._waiting))
                    return [self._waiting.popleft()[0] for _ in range(count)]

    def _left_ns(self) -> int:
        """How long the first that waits goes on waiting for others."""
        wait_ns = self._serving.max_wait_ns
        if not wait_ns or self._no_more or len(self._waiting) >= self._serving.max_batch:
            return 0
        return self._waiting[0][1] + wait_ns - self._clock()


Answerer = Direct | Queue


def sizes(max_batch: int) -> tuple[int, ...]:
    """The batches that a session is loaded at: powers of two below the largest, and that.

    Samples between two of them run at the larger one.
    """
    powers = [1 << i for i in range(max_batch.bit_length()) if 1 << i < max_batch]
    return (*powers, max_batch)


def size_for(samples: int, loaded: Sequence[int]) -> int:
    """The least loaded batch that holds so many samples."""
    return next(size for size in loaded if size >= samples)
