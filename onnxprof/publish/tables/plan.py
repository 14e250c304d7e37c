"""A sweep's plan as a table: for each task what is left, how long that takes, what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from rich.table import Table

from onnxprof.publish.text.memory import size_text
from onnxprof.publish.text.safe import printable, shortened

_LONGEST = 30

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A task: what it measures, and what is left of it."""

    model: str
    where: str
    """Backend, provider or device, threads where not all cores, what else is rare: `ort cpu t1`."""
    left: tuple[int, ...]
    done: int
    failed: int
    seconds: float | None
    memory_bytes: int | None


def plan_table(lines: Iterable[PlanLine]) -> Table:
    """One row a task."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("runs on", overflow="fold")
    table.add_column("batches left", overflow="fold")
    for name in ("done", "failed", "time", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            printable(shortened(line.model, _LONGEST)),
            printable(line.where),
            ",".join(map(str, line.left)) or "-",
            str(line.done or "-"),
            str(line.failed or "-"),
            _figure(line, line.seconds, time_text),
            _figure(line, line.memory_bytes, size_text),
        )
    return table


def _figure(line: PlanLine, value: T | None, text: Callable[[T], str]) -> str:
    if not line.left:
        return "-"
    return "?" if value is None else text(value)


def time_text(seconds: float) -> str:
    """Seconds as `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes and hours < 24 else f"{hours} h"
