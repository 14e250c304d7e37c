"""From CUPTI's activity records to steps: kernels are matched with the calls that launched them,
and calls with the steps during which the host made them.

A kernel's record carries the correlation id of the runtime call that launched it (NVIDIA CUPTI
documentation, "Activity API"); that call was made at a time and on a thread, inside the window
in which the runtime executed a step on the host. All times are nanoseconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.timings import Samples

#: The step number of a window that is a whole inference; it gets the time outside of all steps.
WHOLE = -1
#: onnxruntime's profile counts whole microseconds, rounded down, in starts and in durations.
ROUNDING_NS = 1000


@dataclass(frozen=True, slots=True)
class Launch:
    """A call of the CUDA runtime or driver on the host."""

    correlation: int
    thread: int
    start_ns: int
    duration_ns: int
    name: str


@dataclass(frozen=True, slots=True)
class Activity:
    """Work of the device for a call: a kernel, copy or fill. A CUDA graph has many for one call."""

    correlation: int
    name: str
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a step took on the host in one inference."""

    step: int
    """Row of the step; WHOLE for the inference itself."""
    inference: int
    thread: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """Device and host time by step and inference, in nanoseconds."""

    device_ns: Samples
    """Shape [steps, inferences]: kernels, copies and fills, added up."""
    host_ns: Samples
    """Shape [steps, inferences]: the windows, less those of steps inside of them."""
    stray_ns: Samples
    """Shape [inferences]: device time of an inference that belongs to none of the steps."""
    lost: int
    """Number of activities without a call, or with a call outside of all windows."""
    lost_ns: int
    kernels: tuple[KernelRow, ...] = ()
    api_calls: tuple[ApiRow, ...] = ()


def clock_offset(before_ns: int, seen_ns: int, after_ns: int) -> int:
    """Nanoseconds to add to the records' clock so that `seen_ns` lies between our two times.

    0 where it does already, else the offset with the smallest size.
    """
    return max(before_ns - seen_ns, 0) + min(after_ns - seen_ns, 0)


def moved(launches: Iterable[Launch], offset_ns: int) -> list[Launch]:
    """The same calls on another clock."""
    return [replace(call, start_ns=call.start_ns + offset_ns) for call in launches]


def attribute(
    windows: Sequence[Window],
    launches: Sequence[Launch],
    activities: Sequence[Activity],
    shape: tuple[int, int],
    *,
    slack_ns: int = ROUNDING_NS,
) -> Attribution:
    """Charge each activity to the innermost window that its call was made in.

    `shape` is (steps, inferences). A window reaches `slack_ns` further where no other begins.
    The tables of kernels and calls hold what belongs to some inference.
    """
    owner = owners(windows, launches, slack_ns)
    device, stray = np.zeros(shape, np.int64), np.zeros(shape[1], np.int64)
    lost: list[int] = []
    for activity in activities:
        window = owner.get(activity.correlation)
        if window is None:
            lost.append(activity.duration_ns)
        elif window.step == WHOLE:
            stray[window.inference] += activity.duration_ns
        else:
            device[window.step, window.inference] += activity.duration_ns
    return Attribution(
        device_ns=device,
        host_ns=host_times(windows, shape),
        stray_ns=stray,
        lost=len(lost),
        lost_ns=sum(lost),
        kernels=kernel_rows(a for a in activities if a.correlation in owner),
        api_calls=api_rows(call for call in launches if call.correlation in owner),
    )


def owners(
    windows: Sequence[Window], launches: Sequence[Launch], slack_ns: int = 0
) -> dict[int, Window]:
    """From a call's correlation id to the innermost window around its start, on its thread."""
    threads = matched_threads(windows, launches)
    by_thread: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        by_thread[window.thread].append(window)
    calls: dict[int, list[Launch]] = defaultdict(list)
    for call in launches:
        calls[threads.get(call.thread, call.thread)].append(call)
    owned: dict[int, Window] = {}
    for thread, mine in by_thread.items():
        owned.update(_swept(mine, calls[thread], slack_ns))
    return owned


def _swept(
    windows: Sequence[Window], calls: Sequence[Launch], slack_ns: int
) -> Iterable[tuple[int, Window]]:
    waiting = sorted(windows, key=lambda w: (-w.start_ns, w.end_ns, w.step != WHOLE))
    open_: list[Window] = []
    for call in sorted(calls, key=lambda c: c.start_ns):
        while waiting and waiting[-1].start_ns <= call.start_ns:
            open_.append(waiting.pop())
        while open_ and open_[-1].end_ns + slack_ns <= call.start_ns:
            open_.pop()
        if open_:
            yield call.correlation, open_[-1]


def matched_threads(windows: Sequence[Window], launches: Sequence[Launch]) -> Mapping[int, int]:
    """From a thread as the records name it to the same thread as the windows name it.

    Both use the system's id where it is known, but CUPTI may number threads in another way. A
    thread that the windows do not know is matched with the thread whose windows contain most
    of its calls.
    """
    known = {window.thread for window in windows}
    spans = {thread: _union([w for w in windows if w.thread == thread]) for thread in sorted(known)}
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for call in launches:
        if call.thread not in known:
            votes[call.thread].update(t for t, span in spans.items() if _holds(span, call.start_ns))
    taken = {call.thread for call in launches} & known
    chosen: dict[int, int] = {}
    for stranger, count in sorted(votes.items(), key=lambda v: -max(v[1].values(), default=0)):
        free = [thread for thread, _ in count.most_common() if thread not in taken]
        if free:
            chosen[stranger] = free[0]
            taken.add(free[0])
    return chosen


def _union(windows: Iterable[Window]) -> tuple[Samples, Samples]:
    """Starts and ends of the time that windows cover together."""
    starts: list[int] = []
    ends: list[int] = []
    for window in sorted(windows, key=lambda w: w.start_ns):
        if ends and window.start_ns <= ends[-1]:
            ends[-1] = max(ends[-1], window.end_ns)
        else:
            starts.append(window.start_ns)
            ends.append(window.end_ns)
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _holds(span: tuple[Samples, Samples], moment: int) -> bool:
    place = int(np.searchsorted(span[0], moment, side="right")) - 1
    return place >= 0 and moment < int(span[1][place])


def host_times(windows: Sequence[Window], shape: tuple[int, int]) -> Samples:
    """Host time of steps, less that of steps inside of them; shape [steps, inferences]."""
    times = np.zeros(shape, np.int64)
    inside: dict[int, list[Window]] = defaultdict(list)
    for window in sorted(windows, key=lambda w: (w.start_ns, -w.end_ns)):
        if window.step == WHOLE:
            continue
        around = inside[window.thread]
        while around and around[-1].end_ns < window.end_ns:
            around.pop()
        taken = window.end_ns - window.start_ns
        times[window.step, window.inference] += taken
        if around:
            times[around[-1].step, around[-1].inference] -= taken
        around.append(window)
    return np.maximum(times, 0)


def kernel_rows(activities: Iterable[Activity]) -> tuple[KernelRow, ...]:
    """One row for each kernel name, the longest total first."""
    times: dict[str, list[int]] = defaultdict(list)
    for activity in activities:
        times[activity.name].append(activity.duration_ns)
    rows = [KernelRow(n, sum(t), len(t), min(t), max(t)) for n, t in times.items()]
    return tuple(sorted(rows, key=lambda row: (-row.total_ns, row.name)))


def api_rows(calls: Iterable[Launch]) -> tuple[ApiRow, ...]:
    """One row for each function of the CUDA runtime, the longest total first."""
    times: dict[str, list[int]] = defaultdict(list)
    for call in calls:
        times[call.name].append(call.duration_ns)
    rows = [ApiRow(n, sum(t), len(t), min(t), max(t)) for n, t in times.items()]
    return tuple(sorted(rows, key=lambda row: (-row.total_ns, row.name)))


def profile_windows(
    events: Iterable[Mapping[str, Any]], rows: Mapping[Any, int], key: Any, start_ns: int
) -> list[Window]:
    """Windows from the events of an onnxruntime profile that began at `start_ns`.

    `key` returns an event's key, and `rows` maps keys to steps. An inference ends with the event
    `model_run`, which follows the events of the nodes and gives the window of the inference.
    """
    opened: list[Window] = []
    inference = 0
    for event in events:
        is_run = event.get("name") == "model_run"
        if not is_run and not (
            event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        ):
            continue
        step = WHOLE if is_run else rows.get(key(event), WHOLE)
        began = start_ns + int(event["ts"]) * 1000
        ended = began + int(event["dur"]) * 1000
        if is_run or step != WHOLE:
            opened.append(Window(step, inference, int(event.get("tid", 0)), began, ended))
        inference += is_run
    return opened
