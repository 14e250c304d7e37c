"""Work that follows changes at a limited pace: seen soon, and cheap however many they are."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pace:
    """Does its work after changes, at most once in `interval_s` seconds, in a thread of its own.

    While nothing changes the thread sleeps.
    """

    def __init__(self, work: Callable[[], None], interval_s: float) -> None:
        self._work = work
        self._interval_s = interval_s
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="onnxprof-pace", daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """Say that something has changed."""
        self._changed.set()

    def close(self) -> None:
        """Stop, after the work for the last change."""
        self._closed.set()
        was_changed = self._changed.is_set()
        self._changed.set()
        self._thread.join()
        if was_changed:
            self._work()

    def _run(self) -> None:
        while self._changed.wait() and not self._closed.is_set():
            self._changed.clear()
            self._work()
            self._closed.wait(self._interval_s)
