"""Options of a measurement of which one rules out what another asks for."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.errors import UsageError
from onnxprof.jobs.options import TABLE, Options
from onnxprof.records.device import Device

#: What is wrong, and what to do.
Contradiction = tuple[str, str]


def refuse_contradictions(options: Options) -> None:
    """Raise UsageError for the first contradiction in what was asked for."""
    for what, remedy in contradictions(options):
        raise UsageError(what, remedy=remedy)


def contradictions(options: Options) -> Iterator[Contradiction]:
    """Every contradiction; a budget that is the usual one counts as not given."""
    yield from _of_iterations(options)
    yield from _of_duration(options)


def _is_given(options: Options) -> bool:
    return bool(options.budget != TABLE["budget"].default)


def _of_iterations(options: Options) -> Iterator[Contradiction]:
    count, processes = options.iterations, options.processes
    if not count:
        return
    if options.duration:
        what = f"--iterations {count} says how many, --duration {options.duration:g} how long"
        yield what, "Give one of them"
    if _is_given(options):
        what = f"--iterations {count} says how many, --budget {options.budget.seconds:g} how long"
        yield what, "Give one of them"
    if count < processes:
        what = f"--iterations {count} is less than one for each of --processes {processes}"
        yield what, f"Use --iterations {processes} or more"


def _of_duration(options: Options) -> Iterator[Contradiction]:
    seconds, budget, limit = options.duration, options.budget.seconds, options.limits.seconds
    if seconds > budget and _is_given(options):
        what = f"sampling takes --duration {seconds:g} s at least or --budget {budget:g} s at most"
        yield what, "Give one of them: a --duration takes the place of a shorter --budget"
    if seconds / options.processes >= limit:
        yield (
            f"--duration {seconds:g} does not fit into --timeout {limit:g}",
            "Use a longer --timeout",
        )


def refuse_streams(options: Options, device: Device) -> None:
    """Raise UsageError where streams on a CPU would have less than a thread each.

    `options.threads` is settled.
    """
    streams, threads = options.streams, options.threads
    if device.kind == "cpu" and streams > threads:
        raise UsageError(
            f"--streams {streams} cannot divide --threads {threads}",
            remedy=f"Use --streams {threads}, or more --threads",
        )
