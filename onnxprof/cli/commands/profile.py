"""`onnxprof profile`: time every layer of models at batch sizes, and store what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.jobs.sweep import Options, Outcome, Planned
    from onnxprof.records.step import Granularity, Timer
    from onnxprof.store.folder import Store

_FEW_LAYERS, _MANY_LAYERS = 5, 10


def profile(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="ONNX files, zoo:NAME, hub:NAME or hf:…")
    ],
    backend: Annotated[str, typer.Option(help="The runtime; see onnxprof doctor.")] = "ort",
    device: Annotated[
        str,
        typer.Option(help="A device's id, its kind, or all of the backend's [default: its first]."),
    ] = "",
    provider: Annotated[
        str,
        typer.Option(help="Execution provider or mode of the backend: cuda, openvino, compile."),
    ] = "",
    batch: Annotated[str, typer.Option(help="Batch sizes, as in 1,8.")] = "1,2,4,8,16,32",
    threads: Annotated[
        int, typer.Option(min=0, max=1024, help="Threads; 0 for every usable core.")
    ] = 0,
    budget: Annotated[
        float,
        typer.Option(min=0.01, help="Seconds of measuring for each model and batch size."),
    ] = 5.0,
    processes: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Fresh processes that share the budget, 0.25 s each at least."
        ),
    ] = 1,
    granularity: Annotated[
        str, typer.Option(help="executed (optimised) or written (one step a layer).")
    ] = "executed",
    timer: Annotated[
        str,
        typer.Option(
            help="auto, trace (the runtime's profiler), prefix (un-profiled) or cupti (on a GPU)."
        ),
    ] = "auto",
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic axis.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Arrays to feed, by input name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of generated inputs.")] = 0,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where runs are stored [default: runs].")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which one measurement is given up.")
    ] = 900.0,
    memory: Annotated[
        float,
        typer.Option(min=0, help="GiB that one measurement may use; 0 for what is free."),
    ] = 0.0,
    parity: Annotated[
        bool,
        typer.Option("--parity/--no-parity", help="Compare outputs with unoptimised onnxruntime."),
    ] = True,
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Check by values which layers a step computed."),
    ] = True,
    telemetry: Annotated[
        bool,
        typer.Option("--telemetry/--no-telemetry", help="Read power, memory, clocks afterwards."),
    ] = True,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for a device that onnxprof is measuring on."),
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables.")] = False,
) -> int:
    """Time every layer of each model at each batch size, on one runtime and device."""
    from rich.console import Console

    from onnxprof import folders
    from onnxprof.cli.options import memory_limit, parse_batches, parse_dims
    from onnxprof.jobs.sweep import Options
    from onnxprof.measure.protocol import Budget
    from onnxprof.processes.confined import Limits
    from onnxprof.store.folder import Store

    options = Options(
        models=tuple(models),
        backend=backend,
        device=device,
        provider=provider,
        batches=parse_batches(batch),
        dims=tuple(parse_dims(dim or []).items()),
        threads=threads,
        granularity=_granularity(granularity),
        budget=Budget(budget),
        timer=_timer(timer),
        seed=seed,
        inputs=str(inputs.resolve()) if inputs else "",
        limits=Limits(timeout, memory_limit(memory)),
        parity=parity,
        verify=verify,
        telemetry=telemetry,
        processes=processes,
    )
    console = Console(stderr=True)
    planned = _plan(options, console)
    place = Store(folders.store(store))
    place.check_writable()
    return _measure(planned, options, place, console, quiet, None if wait else 0.0)


def _plan(options: Options, console: Console) -> list[Planned]:
    from onnxprof.cli.progress import fetching
    from onnxprof.jobs.sweep import plan

    with fetching(console) as progress:
        planned = plan(options, progress)
    _say_obstacles(planned)
    _say_dims(planned, options)
    return planned


def _say_obstacles(planned: list[Planned]) -> None:
    for name, batch, obstacle in dict.fromkeys(
        (p.job.facts.name, p.table.batch, p.table.obstacle) for p in planned if p.table.obstacle
    ):
        say(f"{name} stays at batch {batch}: {obstacle}")


def _say_dims(planned: list[Planned], options: Options) -> None:
    """A size that is not for every model."""
    for name, axis in dict.fromkeys(
        (p.job.facts.name, axis)
        for p in planned
        for axis, _ in options.dims
        if axis not in dict(p.job.dims)
    ):
        say(f"{name} has no axis {axis!r}: --dim {axis} is for the other models")


def _granularity(text: str) -> Granularity:
    from onnxprof.errors import UsageError
    from onnxprof.records.step import Granularity

    try:
        return Granularity(text)
    except ValueError:
        raise UsageError(f"no granularity {text!r}", remedy="Choose executed or written") from None


def _timer(text: str) -> Timer:
    from onnxprof.errors import UsageError
    from onnxprof.records.step import Timer

    try:
        return Timer(text)
    except ValueError:
        raise UsageError(
            f"no timer {text!r}", remedy="Choose auto, trace, prefix or cupti"
        ) from None


def _measure(
    planned: list[Planned],
    options: Options,
    store: Store,
    console: Console,
    quiet: bool,
    wait_s: float | None,
) -> int:
    from onnxprof.cli.progress import Meter

    outcomes: list[Outcome] = []
    try:
        with Meter(console, len(planned), options.budget.seconds) as meter:
            for outcome in _swept(planned, options, store, meter, wait_s):
                outcomes.append(outcome)
                meter.done()
                _show(outcome, quiet, _MANY_LAYERS if len(planned) == 1 else _FEW_LAYERS)
    except KeyboardInterrupt:
        say(f"interrupted; {len(outcomes)} of {len(planned)} done and stored in {store.root}")
        return 130
    return _close(outcomes, store)


def _swept(
    planned: list[Planned], options: Options, store: Store, meter: Meter, wait_s: float | None
) -> Iterator[Outcome]:
    """Device by device, each locked while it is measured on."""
    from itertools import groupby

    from onnxprof.jobs.proving import proven
    from onnxprof.jobs.sweep import sweep
    from onnxprof.processes.device_lock import held

    for device_id, jobs in groupby(planned, lambda each: each.job.device.id):
        with held(device_id, say, wait_s):
            asked = list(jobs)
            kept = proven(asked, options, meter.update)
            _say_obstacles([each for each in kept if each not in asked])
            for _ in asked[len(kept) :]:
                meter.done()
            yield from sweep(kept, options.limits, store, meter.update)


def _show(outcome: Outcome, quiet: bool, limit: int) -> None:
    from onnxprof.cli.output import stdout_console
    from onnxprof.publish.tables.run_summary import summary

    if outcome.error is not None:
        say(str(outcome.error))
    elif not quiet:
        console = stdout_console()
        console.print(summary(outcome.run, limit=limit))
        console.print()


def _close(outcomes: list[Outcome], store: Store) -> int:
    lost = sum(outcome.error is not None for outcome in outcomes)
    wrong = sum(o.run.parity is not None and o.run.parity.passed is False for o in outcomes)
    good = len(outcomes) - lost
    say(
        (f"{good} {'run' if good == 1 else 'runs'} stored in {store.root}" if good else "")
        + (f"{'; ' if good else ''}{lost} failed" if lost else "")
        + (f"; {wrong} with wrong outputs" if wrong else "")
        + (". Next: onnxprof runs list, onnxprof site build" if good else "")
    )
    return 2 if lost else int(wrong > 0)
