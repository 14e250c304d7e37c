"""What is done whole or not at all: an interrupt that comes meanwhile waits for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Signals that a user ends work with.
_INTERRUPTS = ("SIGINT", "SIGTERM", "SIGHUP")


def launch(process: Any) -> None:
    """`process.start()`, after which an interrupt that came meanwhile takes effect.

    A process that is cut off from what it is given would end with a traceback of its own.
    """
    with undisturbed():
        process.start()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals with handlers in Python, which the main thread alone runs, wait for the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    missed: list[int] = []
    before = {}
    for name in _INTERRUPTS:
        number = getattr(signal, name, None)
        if number is not None and callable(signal.getsignal(number)):
            before[number] = signal.signal(number, lambda number, _: missed.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in missed[:1]:
            signal.raise_signal(number)
