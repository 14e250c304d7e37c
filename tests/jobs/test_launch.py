"""Processes that are started whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from onnxprof.processes.launch import launch

#: A process of its own: what goes wrong with its signals ends no other test.
INTERRUPTED = """
import signal
from onnxprof.processes.launch import launch

class Interrupted:
    started = False
    def start(self):
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):  # where the handler would run
            pass
        self.started = True

process, before = Interrupted(), signal.getsignal(signal.SIGINT)
try:
    launch(process)
except KeyboardInterrupt:
    print("interrupted", process.started, signal.getsignal(signal.SIGINT) is before)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_waits_until_a_process_has_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted True True\n", "")


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
