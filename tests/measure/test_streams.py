"""Several inferences at a time: what each stream keeps, and what an error in one of them does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from onnxprof.errors import BackendError
from onnxprof.measure.budget import Load
from onnxprof.measure.streams import run_streams
from onnxprof.testing import ScriptedClock

MS = 1_000_000


@dataclass
class Runtime:
    """Sessions that move one clock; `broken` says at which inference one of them fails."""

    step_ns: int = 2 * MS
    unloadable: int = -1
    broken: dict[int, int] = field(default_factory=dict)
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    calls: list[int] = field(default_factory=list)
    threads: list[set[int]] = field(default_factory=list)
    closed: int = 0

    @contextmanager
    def open(self) -> Iterator[Runtime.Session]:
        number = len(self.calls)
        if number == self.unloadable:
            raise BackendError("no room for another")
        self.calls.append(0)
        self.threads.append({threading.get_ident()})
        try:
            yield self.Session(self, number)
        finally:
            self.closed += 1

    @dataclass
    class Session:
        runtime: Runtime
        number: int

        def infer(self) -> None:
            runtime = self.runtime
            runtime.calls[self.number] += 1
            runtime.threads[self.number].add(threading.get_ident())
            if runtime.calls[self.number] == runtime.broken.get(self.number):
                raise BackendError("broke")
            runtime.clock.advance(runtime.step_ns)


def run(runtime: Runtime, load: Load) -> tuple[tuple[int, ...], ...]:
    return run_streams(runtime.open, load, runtime.clock)


def test_one_stream_is_one_inference_after_another() -> None:
    runtime = Runtime()
    ((*samples,),) = run(runtime, Load(1, 1.0))
    assert samples == [2 * MS] * 500
    assert runtime.calls == [500 + 50], "a tenth of the time warms up"


def test_every_stream_has_a_session_and_a_thread_of_its_own() -> None:
    runtime = Runtime()
    found = run(runtime, Load(3, 0.5))
    assert len(found) == len(runtime.calls) == runtime.closed == 3
    assert all(found)
    assert [len(each) for each in runtime.threads] == [1, 1, 1]
    assert len(set.union(*runtime.threads)) == 3
    assert threading.get_ident() not in set.union(*runtime.threads)


def test_samples_of_a_stream_leave_no_gap() -> None:
    """One clock for all: what the others take is in a stream's own samples."""
    found = run(Runtime(), Load(2, 1.0))
    assert all(sum(stream) >= 1e9 for stream in found)


def test_a_number_of_samples_is_that_of_each_stream() -> None:
    runtime = Runtime()
    found = run(runtime, Load(2, 0.001, iterations=40))
    assert [len(stream) for stream in found] == [40, 40]
    assert all(calls >= 40 + 2 for calls in runtime.calls)


def test_there_are_no_more_samples_than_a_record_can_hold() -> None:
    assert Load(4, 1.0).most == 5_000
    assert Load(4, 1.0, iterations=70).most == 70
    assert Load(4, 1.0, iterations=9_000_000).most == 5_000
    found = run(Runtime(step_ns=1), Load(2, 1e-3))
    assert [len(stream) for stream in found] == [10_000, 10_000]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_session_that_cannot_be_loaded_ends_them_all(which: int) -> None:
    runtime = Runtime(unloadable=which)
    with pytest.raises(BackendError, match="no room"):
        run(runtime, Load(3, 1000.0))
    assert runtime.closed == which
    assert runtime.calls == [0] * which, "none infers before all are loaded"


@pytest.mark.parametrize("call", [1, 3, 200])
def test_an_inference_that_fails_ends_them_all(call: int) -> None:
    runtime = Runtime(broken={1: call})
    with pytest.raises(BackendError, match="broke"):
        run(runtime, Load(3, 1000.0))
    assert runtime.closed == 3
