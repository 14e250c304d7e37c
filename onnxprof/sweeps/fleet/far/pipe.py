"""The worker's ends of its standard streams: frames in and out, a pulse, and an ear for silence.

Whatever a library prints goes to stderr: stdout has frames alone.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.wire.frames import Decoder, Frame, encoded

_CHUNK = 1 << 16


class Pipe:
    """Frames over two file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._decoder = Decoder()
        self._writing = threading.Lock()

    @classmethod
    def of_streams(cls) -> Pipe:
        """Take stdin and stdout over; nothing else reads the one or writes to the other."""
        source, sink = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(source, sink)

    def send(self, frame: Frame) -> None:
        """Write a frame whole."""
        data = memoryview(encoded(frame))
        with self._writing:
            while data:
                data = data[os.write(self._sink, data) :]

    def frames(self, silence_s: float) -> Iterator[Frame]:
        """Frames as they come, until the other end closes.

        Raises FleetError for what is no frame, and where nothing comes for so many seconds.
        """
        while True:
            ready, _, _ = select.select([self._source], [], [], silence_s)
            if not ready:
                raise FleetError(f"has heard nothing for {silence_s:g} s")
            data = os.read(self._source, _CHUNK)
            if not data:
                return
            yield from self._decoder.feed(data)


class Inbox:
    """What came and was not looked at yet; its end interrupts whatever the main thread does."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self.reason = ""
        """Why nothing more comes; empty where the other end simply closed."""

    def next(self) -> Frame | None:
        """The next frame; None once there are no more."""
        return self._waiting.get()

    def fill(self, pipe: Pipe, silence_s: float, main: int) -> None:
        """Read until the end, then interrupt the thread `main`."""
        try:
            for frame in pipe.frames(silence_s):
                if frame.kind != "beat":
                    self._waiting.put(frame)
        except (FleetError, OSError) as error:
            self.reason = str(error)
        self._waiting.put(None)
        signal.pthread_kill(main, signal.SIGINT)


@contextmanager
def attended(pipe: Pipe, beat_s: float, silence_s: float) -> Iterator[Inbox]:
    """Beat and listen during the body. The body is interrupted once the other end is gone."""
    inbox = Inbox()
    over = threading.Event()
    main = threading.get_ident()
    threads = [
        threading.Thread(target=inbox.fill, args=(pipe, silence_s, main), daemon=True),
        threading.Thread(target=_beat, args=(pipe, beat_s, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield inbox
    finally:
        over.set()


def _beat(pipe: Pipe, every_s: float, over: threading.Event) -> None:
    with suppress(OSError):
        while not over.wait(every_s):
            pipe.send(Frame("beat", {"at": time.monotonic()}))
