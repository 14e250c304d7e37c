"""Processes that are started whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from onnxprof.processes.launch import launch


class Interrupted:
    """A process that is interrupted while it starts."""

    started = False

    def start(self) -> None:
        signal.raise_signal(signal.SIGUSR1)  # to this thread: at once
        for _ in range(1000):  # where the handler would run
            pass
        self.started = True


def interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A signal of this test's own stands for the interrupt, with a handler that raises it."""
    monkeypatch.setattr("onnxprof.processes.launch._INTERRUPTS", ("SIGUSR1",))
    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
def test_an_interrupt_waits_until_a_process_has_what_it_needs(handled: None) -> None:
    process = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        launch(process)
    assert process.started
    assert signal.getsignal(signal.SIGUSR1) is interrupt


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
