"""Raw samples of one measurement, from which every statistic is derived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxprof.records.step import Timer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.int64]
    Indices = NDArray[np.int32]
else:  # to import NumPy takes a list of runs, which has no samples, a fifth of its time
    Samples = Indices = Any


def traced_by(host_ns: Samples) -> Timer:
    """The timer of a trace: CUPTI where the trace has host times as well, else the trace timer."""
    return Timer.CUPTI if host_ns.size else Timer.TRACE


def _no_samples() -> Samples:
    import numpy as np

    return np.zeros(0, np.int64)


def _no_rows() -> Samples:
    import numpy as np

    return np.zeros((0, 0), np.int64)


def _no_indices() -> Indices:
    import numpy as np

    return np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Timings:
    """Raw samples of one measurement."""

    load_ns: int
    """Creating the session, once."""
    first_ns: int
    """The first inference after loading."""
    warmup_ns: Samples
    """Every warm-up inference, in order."""
    latency_ns: Samples
    """Un-profiled inferences, shape [n]."""
    latency_block: Indices
    """The alternation block of each latency sample, counted on over processes, shape [n]."""
    traced_ns: Samples
    """Inferences under the runtime's profiler, shape [m]."""
    step_ns: Samples
    """Time of each step in each traced inference, shape [steps, m]."""
    traced_block: Indices = field(default_factory=_no_indices)
    """The alternation block of each traced inference, shape [m]."""
    prefix_ns: Samples = field(default_factory=_no_rows)
    """Un-profiled inferences of growing prefixes of the graph, shape [prefixes, rounds]."""
    prefix_steps: tuple[int, ...] = ()
    """How many steps each prefix holds: 0 first, all of them last; empty for other timers."""
    empty_ns: Samples = field(default_factory=_no_samples)
    """Un-profiled calls of an empty session with the same inputs; for the prefix timer, the first
    prefix takes this role."""
    block_process: tuple[int, ...] = ()
    """The process that each block was measured in; empty if there was one."""
    round_process: tuple[int, ...] = ()
    """The process that each round of prefixes was measured in; empty if there was one."""
    host_ns: Samples = field(default_factory=_no_rows)
    """Times of the steps on the host, where `step_ns` is a device's time; of the same shape."""
    repeats: tuple[int, ...] = ()
    """Copies of each step in the un-profiled session that repeats it alone; 0 for steps that were
    not repeated, empty if none was."""
    repeat_ns: Samples = field(default_factory=_no_rows)
    """Inferences of these sessions, shape [repeated steps, rounds]."""
    repeat_process: tuple[int, ...] = ()
    """The process that each round of repeats was measured in; empty if there was one."""
    timer: Timer = Timer.TRACE
    """The source of the steps' times; `PREFIX` has `prefix_ns`, and `CUPTI` has `host_ns`."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Raw samples of several inferences at a time, un-profiled, apart from every other sample."""

    streams: int
    """Sessions that infer at the same time, each in a closed loop."""
    threads: int
    """Threads of the processor that each of them has."""
    latency_ns: tuple[tuple[int, ...], ...] = ()
    """Every inference of each stream, one right after the other; empty where that failed."""
    failure: str = ""
    """Why there are no samples; empty where there are."""
