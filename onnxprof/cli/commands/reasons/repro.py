"""`onnxprof repro`: a step as a small model with inputs and a script, timed alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import OF_A_MODEL, Which, reads
from onnxprof.cli.output import display, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from onnxprof.processes.confined import Limits
    from onnxprof.records.run import Run
    from onnxprof.records.step import Step
    from onnxprof.repro.alone import Alone
    from onnxprof.repro.build import Built


@reads("run", "layer", "output", "model", "inputs", "budget", "timeout", "memory", *OF_A_MODEL)
def repro(
    which: Which,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="An id or its first digits, a .parquet file or a folder of runs."
        ),
    ],
    layer: Annotated[
        str, typer.Option(metavar="NAME", help="A layer of the step, or the step's name.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="A new or empty folder.")
    ],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="The model; needed where the run was of a file.")
    ] = "",
    inputs: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="The arrays that the run was fed with.")
    ] = None,
    budget: Annotated[
        float, typer.Option(min=0.0, help="Seconds of timing it alone; 0 for none.")
    ] = 2.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds before it is ended.")] = 600.0,
    memory: Annotated[
        float, typer.Option(min=0.0, help="GiB of memory; 0 for most of the machine's.")
    ] = 0.0,
) -> None:
    """Write a step of a run as a small ONNX file, with its inputs and a script that runs it.

    The script calls onnxruntime alone: it is what an issue about a slow layer needs. The step is
    timed on its own, and that is set against its time in the network.
    """
    from functools import partial

    from onnxprof.cli.options import memory_limit
    from onnxprof.cli.sources import model_of
    from onnxprof.processes.confined import Limits, confined
    from onnxprof.repro.build import step_of, write

    measured = _run(run, which, model)
    step = step_of(measured, layer)
    source = model_of(measured, model)
    limits = Limits(timeout, memory_limit(memory))
    _prepare_folder(output)
    built = confined(
        partial(write, measured, step, source, inputs, output),
        limits,
        "cutting out the step",
        source.reference,
        (output,),
    )
    alone = _alone_or_why(measured, step, built, output, budget, limits) if budget else None
    _close(measured, step, built, alone, output)


def _run(text: str, which: Which, model: str) -> Run:
    """The newest run that the text means; of the model's own where there are any."""
    from onnxprof.model.sources.resolve import resolve
    from onnxprof.store.folder import load
    from onnxprof.store.select import Need, select

    runs = select(text, which.roots, which.filters, Need.TIMES, say=say)
    name = resolve(model).name if model and len(runs) > 1 else ""
    own = [run for run in runs if run.request.model_name == name]
    return load((own or runs)[-1].path)


def _prepare_folder(folder: Path) -> None:
    from onnxprof.errors import UsageError
    from onnxprof.writing import no_folder

    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise no_folder(folder, error) from error
    if taken is not None:
        raise UsageError(
            "has files in it", where=str(folder), remedy="Name a new or an empty folder"
        )


def _alone_or_why(
    run: Run, step: Step, built: Built, folder: Path, budget: float, limits: Limits
) -> Alone | None:
    """The step timed; None where this machine cannot, as with a run that another one measured."""
    from onnxprof.errors import OnnxprofError

    try:
        return _alone(run, step, built, folder, budget, limits)
    except OnnxprofError as error:
        say(f"the step was written, and not timed alone: {error}")
        return None


def _alone(
    run: Run, step: Step, built: Built, folder: Path, budget: float, limits: Limits
) -> Alone:
    from dataclasses import replace

    from onnxprof.cli.output import stderr_console
    from onnxprof.cli.progress import Meter
    from onnxprof.jobs.options import Options
    from onnxprof.jobs.sweep import measured, plan
    from onnxprof.measure.budget import Budget
    from onnxprof.processes.device_lock import held
    from onnxprof.repro.alone import against_network
    from onnxprof.repro.build import INPUTS, MODEL

    asked = run.request
    options = Options(
        models=(str(folder / MODEL),),
        backend=asked.backend,
        provider="" if asked.provider == run.device.kind else asked.provider,
        device=asked.device_id,
        batches=(built.batch,),
        threads=asked.threads,
        budget=Budget(budget),
        granularity=asked.granularity,
        optimization_level=asked.optimization_level,
        session_options=asked.session_options,
        provider_options=asked.provider_options,
        inputs=str(folder / INPUTS) if built.inputs else "",
        parity=False,
        telemetry=False,
        limits=limits,
    )
    [job] = plan(options)
    if built.states.states:  # handed on as they are in the network
        job = replace(job, states=built.states, options=replace(job.options, phase=asked.phase))
    with held(job.device.id, say), Meter(stderr_console(), 1, budget) as meter:
        return against_network(run, step, measured(job, limits, meter.update))


def _close(run: Run, step: Step, built: Built, alone: Alone | None, folder: Path) -> None:
    from onnxprof.repro.readme import markdown

    (folder / "README.md").write_text(markdown(run, step, built, alone), "utf-8")
    display(*_parts(run, step, built, alone, folder))


def _parts(
    run: Run, step: Step, built: Built, alone: Alone | None, folder: Path
) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from onnxprof.publish.text.safe import printable, shortened
    from onnxprof.repro import readme

    yield Text(readme.title(run, step), style="bold")
    for what, shown in readme.facts(built):
        yield f"{what}: {shortened(shown, 240)}"
    yield f"\nWritten to {printable(str(folder))}:"
    grid = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for name, size, said in readme.files(built):
        grid.add_row(f"  {name}", Text(f"{size:,} bytes", justify="right"), said)
    yield grid
    if alone is None:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("")
    for head in ("in the network", "alone", "ratio"):
        table.add_column(head, justify="right")
    for row in readme.times(alone):
        table.add_row(*map(Text, row))
    yield table
    yield from readme.verdict(alone)
