"""`onnxprof provenance`: which layers each step claims, checked by what the step computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import TABLES, deliver, display, file_format, plain_text
from onnxprof.cli.parameters import ONE_PHASE, ONE_SIZE, Own, takes
from onnxprof.jobs.options import Options
from onnxprof.records.step import Timer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from onnxprof.publish.tables.provenance import Checked
    from onnxprof.records.run import Request, Run

_FORMATS = {name: TABLES[name] for name in ("table", "csv", "json")}


@takes(
    *("model", "backend", "provider", "device", "batch", "threads", "budget", "dim", "phase"),
    *("inputs", "seed", "optimization_level", "session_option", "provider_option"),
    *("format", "as_json", "output"),
    provider=Own("Provider of the backend; see docs/backends.md."),
    dim=ONE_SIZE,
    device=Own("A device's id or kind [default: the provider's]."),
    batch=Own("Batch size.", default=1, least=1),
    budget=Own("Seconds of measuring, for the steps' shares.", default=0.5),
    phase=Own(ONE_PHASE),
)
def provenance(
    asked: dict[str, Any],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An ONNX file, zoo:NAME, hub:NAME or hf:…")
    ],
    format: Annotated[
        str, typer.Option(help="table, csv or json; by default that of the output file.")
    ] = "",
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
) -> int:
    """Check by values that each step did the work of the layers that it is tied to.

    Exits with 1 where a step did not.
    """
    from onnxprof.cli.output import stderr_console

    chosen = file_format(format, output, _FORMATS, "table", as_json)
    options = Options(
        models=(model,),
        timer=Timer.TRACE,
        parity=False,
        only_verify=True,
        telemetry=False,
        **asked,
    )
    run = _measured(options, stderr_console())
    _write(run, "document" if as_json else chosen, output)
    return int(any(step.is_refuted for step in run.steps))


def _measured(options: Options, console: Console) -> Run:
    from onnxprof.cli.progress import Meter, fetching
    from onnxprof.jobs.sweep import measured, plan

    with fetching(console) as progress:
        job = plan(options, progress)[0]
    with Meter(console, 1, options.budget.seconds) as meter:
        return measured(job, options.limits, meter.update)


def _write(run: Run, chosen: str, output: Path | None) -> None:
    from onnxprof.analysis.step_times import estimates
    from onnxprof.publish.tables import provenance as shown

    times = [] if run.timings is None else estimates(run.steps, run.timings).tolist()
    checked = shown.rows(run.steps, times)
    if chosen == "document":
        from onnxprof.cli.output import deliver_document
        from onnxprof.publish.json.reasons import checked as document

        return deliver_document(document(run.request, checked), output)
    if chosen == "table":
        parts = _parts(run.request, checked)
        if output is None:
            return display(*parts)
        text = plain_text(*parts)
    else:
        text = shown.to_csv(checked) if chosen == "csv" else shown.to_json(run.request, checked)
    deliver(text, output)


def _parts(request: Request, checked: list[Checked]) -> Iterator[RenderableType]:
    from onnxprof.publish.tables import provenance as shown
    from onnxprof.publish.text.safe import printable

    title = f"{request.model_name}, {request.sizes}, {request.backend} {request.provider}"
    yield shown.to_table(checked, printable(title))
    for i, reason in enumerate(shown.reasons(checked), 1):
        yield f"[{i}] {printable(reason)}"
    yield ""
    yield shown.summary(checked)
