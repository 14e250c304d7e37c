"""Amounts of which one rules out what another asks for."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.errors import UsageError

#: What is wrong, and what to do.
Contradiction = tuple[str, str]


def refuse_amount(
    *, iterations: int, duration: float, budget: float | None, processes: int, timeout: float
) -> None:
    """Raise UsageError for the first contradiction; `budget` is None where it is the usual one."""
    found = (
        *_of_iterations(iterations, duration, budget, processes),
        *_of_duration(duration, budget, timeout * processes),
    )
    for what, remedy in found:
        raise UsageError(what, remedy=remedy)


def _of_iterations(
    count: int, duration: float, budget: float | None, processes: int
) -> Iterator[Contradiction]:
    if not count:
        return
    if duration:
        what = f"--iterations {count} says how many, --duration {duration:g} how long"
        yield what, "Give one of them"
    if budget is not None:
        what = f"--iterations {count} says how many, --budget {budget:g} how long"
        yield what, "Give one of them"
    if count < processes:
        what = f"--iterations {count} is less than one for each of --processes {processes}"
        yield what, f"Use --iterations {processes} or more"


def _of_duration(seconds: float, budget: float | None, limit: float) -> Iterator[Contradiction]:
    if budget is not None and seconds > budget:
        what = f"sampling takes --duration {seconds:g} s at least or --budget {budget:g} s at most"
        yield what, "Give one of them: a --duration takes the place of a shorter --budget"
    if seconds >= limit:
        what = f"--duration {seconds:g} does not fit into the {limit:g} s of --timeout"
        yield what, "Use a longer --timeout"


def refuse_streams(streams: int, threads: int) -> None:
    """Raise UsageError where streams on a CPU would have less than a thread each."""
    if streams > threads:
        raise UsageError(
            f"--streams {streams} cannot divide --threads {threads}",
            remedy=f"Use --streams {threads}, or more --threads",
        )
