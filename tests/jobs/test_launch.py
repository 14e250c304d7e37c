"""Processes that are started whole."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from onnxprof.processes.launch import launch


class Interrupted:
    """A process that is interrupted while it starts."""

    started = False

    def start(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # where the handler would run
            pass
        self.started = True


def test_an_interrupt_waits_until_a_process_has_what_it_needs() -> None:
    process = Interrupted()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        launch(process)
    assert process.started
    assert signal.getsignal(signal.SIGINT) is before


def test_a_failure_to_start_goes_on_with_the_handlers_restored() -> None:
    class Failing:
        def start(self) -> None:
            raise OSError("no more processes")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="no more"):
        launch(Failing())
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_start_processes_as_they_are() -> None:
    class Plain:
        started = False

        def start(self) -> None:
            self.started = True

    process = Plain()
    thread = threading.Thread(target=launch, args=(process,))
    thread.start()
    thread.join()
    assert process.started
