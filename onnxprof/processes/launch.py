"""What is done whole or not at all: an interrupt that comes meanwhile waits for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from typing import Any

#: Signals that a user ends work with.
_INTERRUPTS = ("SIGINT", "SIGTERM", "SIGHUP")
#: What tells a process to run the program that started it, as a module that is not `__main__`.
_PROGRAM = ("init_main_from_name", "init_main_from_path")
#: Whether this thread is launching a process of ours.
_LAUNCHING = threading.local()
_USUAL = spawn.get_preparation_data


def launch(process: Any) -> None:
    """`process.start()`, after which an interrupt that came meanwhile takes effect.

    A process that is cut off from what it is given would end with a traceback of its own. The
    process does not run the program that starts it again: a script needs no guard against that.
    """
    with undisturbed(), without_program():
        process.start()


@contextmanager
def without_program() -> Iterator[None]:
    """Processes that this thread starts do not run the program again before their work.

    That is multiprocessing's way to find what a program defines; what our processes are given lies
    in modules.
    """
    spawn.get_preparation_data = _prepared
    _LAUNCHING.ours = True
    try:
        yield
    finally:
        _LAUNCHING.ours = False


def _prepared(name: str) -> dict[str, Any]:
    data: dict[str, Any] = _USUAL(name)
    if getattr(_LAUNCHING, "ours", False):
        for key in _PROGRAM:
            data.pop(key, None)
    return data


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
