"""A sweep's plan as a table: for each task what is left, how long that takes, what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.table import Table

from onnxprof.publish.text.memory import size_text
from onnxprof.publish.text.safe import counted, printable, shortened

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


def plan_table(lines: Iterable[PlanLine], most: int | None = None) -> Table:
    """One row a task; of more than `most` the others are summed up in one."""
    lines = list(lines)
    rest: list[PlanLine] = []
    if most is not None and len(lines) > most + 1:
        lines, rest = lines[:most], lines[most:]
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
    if rest:
        table.add_row(*_summed(rest))
    return table


def _summed(rest: Sequence[PlanLine]) -> tuple[str, ...]:
    """Jobs, times and the largest memory of rows that are not shown; `?` where one is not known."""
    left = [line for line in rest if line.left]
    seconds = [line.seconds for line in left]
    memory = [line.memory_bytes for line in left if line.memory_bytes is not None]
    known = [each for each in seconds if each is not None]
    time = time_text(sum(known)) if known and len(known) == len(seconds) else "?"
    systems = counted(len({line.where for line in rest}), "system", "systems")
    return (
        f"({len(rest):,} more rows)",
        systems,
        counted(sum(len(line.left) for line in left), "job", "jobs"),
        str(sum(line.done for line in rest) or "-"),
        str(sum(line.failed for line in rest) or "-"),
        time if left else "-",
        size_text(max(memory)) if memory else "?" if left else "-",
    )


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
