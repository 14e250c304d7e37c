"""What a folder with a step says of itself, in print and as its README."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import in_markdown, printable
from onnxprof.records.run import RUNTIME, Run
from onnxprof.records.step import Step
from onnxprof.repro.alone import CLOSE, Alone, reasons
from onnxprof.repro.build import EXPECTED, INPUTS, MODEL, SCRIPT, Built

_SAID = {
    MODEL: "the layers, with the weights that they need",
    INPUTS: "the arrays that they get in the network",
    EXPECTED: "what unoptimised onnxruntime makes of them",
    SCRIPT: "runs, checks and times them with plain onnxruntime calls",
}
#: Inputs, outputs and layers that are listed by name.
_LISTED = 8


def title(run: Run, step: Step) -> str:
    """The step and where it was measured."""
    asked = run.request
    sizes = "".join(f", {name}={size}" for name, size in asked.dims)
    sizes += f", {asked.phase}" if asked.phase else ""
    runtime = dict(run.environment).get(RUNTIME, asked.backend)
    threads = f", threads: {asked.threads}" if asked.threads else ""
    return printable(
        f"{_operators(run, step)} of {asked.model_name}, batch {asked.batch}{sizes}, on {runtime},"
        f" {run.device.name or asked.device_id}{threads}"
    )


def _operators(run: Run, step: Step) -> str:
    kinds = {layer.name: layer.op_type for layer in run.table.nodes}
    names = [kinds.get(name, "?") for name in step.layers]
    return "+".join(names) if len(names) < 4 else f"{names[0]}+…+{names[-1]}"


def facts(built: Built) -> Iterator[tuple[str, str]]:
    """Layers, inputs and outputs, each as a name and a text."""
    for what, names in (
        ("layers", built.layers),
        ("inputs", built.inputs),
        ("outputs", built.outputs),
    ):
        more = len(names) - _LISTED
        rest = f" and {more} more" if more > 0 else ""
        yield what, printable(", ".join(names[:_LISTED]) + rest) or "none"


def files(built: Built) -> Iterator[tuple[str, int, str]]:
    """Files, their bytes, and what they are for."""
    for name, size in built.sizes:
        yield name, size, _SAID[name]


def times(found: Alone) -> Iterator[tuple[str, str, str, str]]:
    """Rows of a table: what, in the network, alone, ratio."""
    ratio = "" if found.ratio is None else f"{found.ratio:.2f}"
    whole = duration(found.in_network_ns) if found.in_network_ns > 0 else "unknown"
    yield "these layers", whole, duration(found.alone_ns), ratio
    for name, ns in found.others:
        yield f"{printable(name)}, added", "", duration(ns), ""
    yield "overhead", "", duration(found.overhead_ns), ""
    yield "the call", "", duration(found.total_ns), ""


def verdict(found: Alone) -> Iterator[str]:
    """Whether both times agree, and what is known where they do not."""
    if found.ratio is None:
        yield "One of the times is not known, so they cannot be compared."
    elif found.is_close:
        yield f"Both times are within {100 * CLOSE:.0f} %."
    else:
        yield (
            f"Alone it takes {found.ratio:.2f} times as long as in the network, more than"
            f" {100 * CLOSE:.0f} % apart:"
        )
        yield from (f"- {reason}" for reason in map(printable, reasons(found)))


def markdown(run: Run, step: Step, built: Built, found: Alone | None) -> str:
    """The folder's README."""
    lines = [f"# {in_markdown(title(run, step))}", ""]
    lines += [f"`python {SCRIPT}` checks and times it; it needs NumPy and onnxruntime.", ""]
    lines += ["| file | bytes | |", "| --- | ---: | --- |"]
    lines += [f"| `{name}` | {size:,} | {said} |" for name, size, said in files(built)]
    lines.append("")
    lines += [f"- {what}: {in_markdown(shown)}" for what, shown in facts(built)]
    lines += ["", f"Model: SHA-256 `{in_markdown(run.request.model_sha256)}`."]
    if found is not None:
        lines += ["", "| | in the network | alone | ratio |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| {' | '.join(map(in_markdown, row))} |" for row in times(found)]
        lines += ["", *map(in_markdown_line, verdict(found))]
    return "\n".join(lines) + "\n"


def in_markdown_line(line: str) -> str:
    """A line that may begin as an item of a list."""
    start = "- " if line.startswith("- ") else ""
    return start + in_markdown(line.removeprefix(start))
