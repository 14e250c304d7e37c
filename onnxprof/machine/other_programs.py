"""How much of the processor other programs took while something was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from onnxprof.records.warning import RunWarning, WarningKind

#: Cores kept busy by others, above which a run carries a warning.
_BUSY_CORES = 0.25


@dataclass(slots=True)
class Others:
    """The processor time that other processes took during the stretches that were watched."""

    seconds: float = 0.0
    """Wall time watched so far."""
    taken: float = 0.0
    """Processor seconds that other processes took in that time."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch one stretch."""
        import psutil

        machine, own = _busy(psutil.cpu_times()), time.process_time()
        began = time.monotonic()
        yield
        self.seconds += time.monotonic() - began
        self.taken += _busy(psutil.cpu_times()) - machine - (time.process_time() - own)

    def warnings(self) -> Iterator[RunWarning]:
        """A warning if other programs kept more than a quarter of a core busy."""
        cores = self.taken / max(self.seconds, 1e-3)
        if cores > _BUSY_CORES:
            yield RunWarning(WarningKind.BUSY_MACHINE, cores)


def _busy(times: Any) -> float:
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0)) - float(
        getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    )
