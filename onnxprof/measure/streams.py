"""Several inferences at a time: each stream a session and a thread, in a closed loop.

A stream begins its next inference when the last one is done, as trtexec's `--infStreams` and a
benchmark_app with as many requests as streams have it. No stream stops before all have taken their
samples, so that every sample was taken under the whole load.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from onnxprof.measure.budget import Load
from onnxprof.measure.sampler import Clock
from onnxprof.plugins.backend import Session
from onnxprof.processes.garbage import no_garbage_collection

#: Of the seconds, the part that warms up, and the fewest inferences of it in each stream.
_WARM, _LEAST_WARM = 0.1, 2

Open = Callable[[], AbstractContextManager[Session]]


def run_streams(
    open_session: Open, load: Load, clock: Clock = time.perf_counter_ns
) -> tuple[tuple[int, ...], ...]:
    """Nanoseconds of each inference, in order, for each stream.

    The samples of a stream follow one another without a gap, so they add up to the time that it
    took. Sessions are loaded one after the other, each in the thread that infers with it. Raises
    what loading or inferring raised.
    """
    crowd = _Crowd(load.streams)
    streams = [_Stream(open_session, load, clock, crowd) for _ in range(load.streams)]
    begun: list[_Stream] = []
    try:
        for stream in streams:
            stream.thread.start()
            begun.append(stream)
            stream.is_open.wait()
            if stream.errors:
                crowd.give_up()
                break
        with no_garbage_collection():
            crowd.begin.set()
            for stream in begun:
                stream.thread.join()
    finally:
        crowd.give_up()
    for stream in begun:
        if stream.errors:
            raise stream.errors[0]
    return tuple(tuple(stream.taken) for stream in streams)


class _Milestone:
    """Over once every stream has come to it."""

    def __init__(self, streams: int) -> None:
        self._left = streams
        self._lock = threading.Lock()
        self.is_over = False

    def reach(self) -> None:
        """One stream has come to it."""
        with self._lock:
            self._left -= 1
            self.is_over |= self._left <= 0


class _Crowd:
    """What the streams know of one another."""

    def __init__(self, streams: int) -> None:
        self.begin = threading.Event()
        self.warm, self.sampled = _Milestone(streams), _Milestone(streams)

    def give_up(self) -> None:
        """Let all streams end."""
        self.warm.is_over = self.sampled.is_over = True
        self.begin.set()


@dataclass(slots=True)
class _Stream:
    """A session in a thread of its own."""

    open_session: Open
    load: Load
    clock: Clock
    crowd: _Crowd
    taken: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    is_open: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            with self.open_session() as session:
                self.is_open.set()
                self.crowd.begin.wait()
                self._warm_up(session)
                self._sample(session)
        except BaseException as error:
            self.errors.append(error)
            self.crowd.give_up()
        finally:
            self.is_open.set()

    def _warm_up(self, session: Session) -> None:
        """Infer until every stream is warm."""
        warm = self.crowd.warm
        end = self.clock() + int(self.load.seconds * _WARM * 1e9)
        calls, is_warm = 0, False
        while not warm.is_over:
            session.infer()
            calls += 1
            if not is_warm and calls >= _LEAST_WARM and self.clock() >= end:
                is_warm = True
                warm.reach()

    def _sample(self, session: Session) -> None:
        """Infer until every stream has its samples."""
        sampled, most, exact = self.crowd.sampled, self.load.most, bool(self.load.iterations)
        last = self.clock()
        end = last + int(self.load.seconds * 1e9)
        is_done = False
        while not sampled.is_over:
            session.infer()
            now = self.clock()
            if not is_done:
                self.taken.append(now - last)
                is_done = len(self.taken) >= most or (not exact and now >= end)
                if is_done:
                    sampled.reach()
            last = now
