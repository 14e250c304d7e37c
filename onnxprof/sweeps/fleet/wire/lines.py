"""A line to a worker whose messages come in another thread: what is waiting, and since when."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.wire.frames import Decoder, Frame
from onnxprof.sweeps.places import PlaceLostError

#: For a worker's first words: to import a framework on a small board takes a while.
_GREETING_S = 300.0


@dataclass(slots=True)
class Heard:
    """The messages of one worker. One thread adds what arrives, another takes them."""

    node: str
    silence_s: float = _GREETING_S
    """How long nothing may come, not even a beat."""
    clock: Callable[[], float] = time.monotonic
    _waiting: queue.SimpleQueue[Frame | None] = field(default_factory=queue.SimpleQueue)
    _decoder: Decoder = field(default_factory=Decoder)
    _last: float = 0.0
    _end: str = ""

    def __post_init__(self) -> None:
        self._last = self.clock()

    def add(self, data: bytes) -> None:
        """Bytes that arrived."""
        self._last = self.clock()
        try:
            for frame in self._decoder.feed(data):
                if frame.kind != "beat":
                    self._waiting.put(frame)
        except FleetError as error:
            self.over(error.what)

    @property
    def is_ready(self) -> bool:
        """Whether `next` has something to give or to raise at once."""
        return bool(self._end) or not self._waiting.empty()

    @property
    def has_ended(self) -> bool:
        """Whether the other end closed the line, as against falling silent."""
        return bool(self._end)

    def over(self, reason: str) -> None:
        """Nothing more will come."""
        self._end = self._end or reason
        self._waiting.put(None)

    def next(self) -> Frame:
        """The next message. Raises PlaceLostError at the end and after too long a silence."""
        while not self._end or not self._waiting.empty():
            left = self._last + self.silence_s - self.clock()
            if left <= 0:
                raise PlaceLostError(f"said nothing for {self.silence_s:g} s", where=self.node)
            try:
                frame = self._waiting.get(timeout=left)
            except queue.Empty:
                continue
            if frame is not None:
                return frame
        raise PlaceLostError(self._end, where=self.node)
