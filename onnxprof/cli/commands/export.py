"""`onnxprof export`: a network of yours as an ONNX file, checked against its framework."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from onnxprof.checks.exported import Agreement
    from onnxprof.jobs.exporting.export import Exported, Order


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="package.module:factory (torch; importing it runs its code), a .keras or .h5 "
            "file, the folder of a SavedModel, or zoo:NAME.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Write here.")],
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:dtype[shape]",
            help="An input, as in x:float32[batch,3,224,224]; words are free axes. Repeatable.",
        ),
    ] = None,
    dynamic_batch: Annotated[
        bool, typer.Option(help="Keep axis 0 of every input and output free.")
    ] = True,
    opset: Annotated[int, typer.Option(help="Version of ONNX's operators (Keras: 18).")] = 20,
    exporter: Annotated[
        str, typer.Option(metavar="NAME", help="torch, keras, or a plugin's; else by the target.")
    ] = "",
    dim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="Size to check another free axis at (16)."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep a file that fails its check.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that the framework may take.")] = 1800.0,
) -> int:
    """Export a network to ONNX, and check the file against its framework at two batch sizes.

    Exit code 1: the file was made, but computes something else.
    """
    from onnxprof.api.exporting import is_of_zoo
    from onnxprof.jobs.exporting.export import Order, parse_input
    from onnxprof.model.dims.grammar import fixed, parse

    if is_of_zoo(target, exporter):
        return _from_zoo(target, output, bool(input))
    order = Order(
        target=target,
        output=output,
        inputs=tuple(parse_input(text) for text in input or ()),
        dynamic_batch=dynamic_batch,
        opset=opset,
        exporter=exporter,
        dims=tuple(fixed(tuple(parse(dim or []).items())).items()),
        keep=keep,
        seconds=timeout,
    )
    made = _run(order)
    typer.echo(_report(made))
    return 0 if made.passed else 1


def _from_zoo(target: str, output: Path, with_inputs: bool) -> int:
    from onnxprof.api.exporting import from_zoo

    path, item = from_zoo(target, output, with_inputs)
    typer.echo(
        f"{path}: {item.title}, {item.nodes} nodes, {item.parameters:,} parameters, "
        f"opset {item.opset}\nsha256 {item.sha256}, as published"
    )
    return 0


def _run(order: Order) -> Exported:
    from onnxprof.jobs.exporting.export import export as run

    with _status(f"exporting {order.target}"):
        return run(order)


def _status(text: str) -> AbstractContextManager[Any]:
    """A status line on stderr for the time of a `with` block; none where that is no terminal."""
    from contextlib import nullcontext

    from onnxprof.cli.output import stderr_console
    from onnxprof.publish.text.safe import printable

    console = stderr_console()
    return console.status(printable(text)) if console.is_terminal else nullcontext()


def _report(made: Exported) -> str:
    from onnxprof.publish.text.safe import printable

    head = "" if made.written else "not written: "
    lines = [
        f"{head}{made.path}: {made.nodes} nodes, {made.parameters:,} parameters, "
        f"opset {made.opset} ({made.framework})",
        f"inputs   {'; '.join(made.inputs)}",
        f"outputs  {'; '.join(made.outputs)}",
        *map(_line, made.agreements),
    ]
    return "\n".join(map(printable, lines))


def _line(agreement: Agreement) -> str:
    worst = agreement.worst
    verdict = "agrees with" if agreement.passed else "DIFFERS from"
    note = f" ({worst.note})" if worst.note else ""
    return (
        f"batch {agreement.batch}  {verdict} the framework: largest error {worst.max_abs:.1e}, "
        f"relative {worst.max_rel:.1e} of {worst.tolerance:.0e} allowed ({worst.name}){note}"
    )
