"""`onnxprof runs import`, with the options of the readers that the backends here have."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from onnxprof import folders
from onnxprof.cli.commands.stored.imports.runs_published import import_published
from onnxprof.cli.options import memory_limit
from onnxprof.cli.output import stdout_console
from onnxprof.errors import UsageError
from onnxprof.imports.build import Facts, build
from onnxprof.imports.files import chosen, options, readers
from onnxprof.jobs.job import now
from onnxprof.model.dims.grammar import parse, single
from onnxprof.model.file import open_found
from onnxprof.model.sizing import sizing
from onnxprof.model.sources.policy import Resolved
from onnxprof.model.sources.resolve import argument, is_remote, resolve
from onnxprof.plugins.readers import FileOption, FileReader
from onnxprof.processes.confined import Limits, confined
from onnxprof.publish.tables import run_summary
from onnxprof.records.run import Run
from onnxprof.store.folder import Store


def command() -> Callable[..., None]:
    """The command, with an option for each file that a backend here can read."""
    plain = inspect.signature(_import, eval_str=True).parameters
    known = readers()
    given = {option.name: option for option in options(known) if _variable(option) not in plain}

    def command(**values: object) -> None:
        files = {name: str(values.pop(_variable(option))) for name, option in given.items()}
        _import(files=files, **values)  # type: ignore[arg-type]

    _, model, *rest = plain.values()
    parameters = [model, *map(_parameter, given.values()), *rest]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = f"{_import.__doc__}\n\n{' '.join(map(_summary, known))}"
    return command


def _variable(option: FileOption) -> str:
    return option.name.removeprefix("--").replace("-", "_")


def _parameter(option: FileOption) -> inspect.Parameter:
    typed = Annotated[str, typer.Option(option.name, metavar="FILE", help=option.help)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(_variable(option), kind, default="", annotation=typed)


def _summary(reader: FileReader) -> str:
    """`trtexec: --profile, with --engine-layers and --times.`"""
    first, *more = (option.name for option in reader.options)
    return f"{reader.program}: {first}{', with ' if more else ''}{' and '.join(more)}."


def _import(
    files: Mapping[str, str],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The ONNX file that was profiled.")
    ] = "",
    batch: Annotated[int, typer.Option(min=1, help="Batch size that was profiled.")] = 1,
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic axis.")
    ] = None,
    device_name: Annotated[
        str, typer.Option(metavar="NAME", help="Where it ran: 'NVIDIA H200'.")
    ] = "",
    device_kind: Annotated[
        str, typer.Option(metavar="KIND", help="cpu, cuda, gpu or npu. Default: as is usual.")
    ] = "",
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Name and version: 'TensorRT 11.0'.")
    ] = "",
    threads: Annotated[int, typer.Option(min=0, help="Threads that it had; 0: not known.")] = 0,
    dlperf: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="A clone of rai-project/dlperf: all its tables, without MODEL.",
        ),
    ] = "",
    store: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of runs, else $ONNXPROF_STORE, else runs.")
    ] = "",
) -> None:
    """Store what another profiler wrote about an ONNX file as a run."""
    context = Context(batch, tuple(dim or ()), device_name, device_kind, runtime, threads)
    if dlperf:
        _refuse_more(model, files, context)
        import_published(Path(dlperf), folders.store(store))
        return
    if not model:
        raise UsageError("no MODEL to import for", remedy="Name the ONNX file that was profiled")
    run, path = import_run(model, files, context, folders.store(store))
    console = stdout_console(highlight=False)
    for part in (run_summary.facts(run), "", run_summary.summary(run, limit=20)):
        console.print(part, markup=False)
    typer.echo(f"stored as {path}", err=True)


def _refuse_more(model: str, files: Mapping[str, str], context: Context) -> None:
    """Raise UsageError for what goes with one model's files and not with published tables."""
    given = [option for option, file in files.items() if file]
    if model or given or context != Context():
        what = model or " and ".join(given) or "an option about the profiled run"
        raise UsageError(f"{what} beside --dlperf, whose tables name their models and devices")


@dataclass(frozen=True, slots=True)
class Context:
    """Facts about the profiled run that the files do not contain, as options."""

    batch: int = 1
    dims: tuple[str, ...] = ()
    device_name: str = ""
    device_kind: str = ""
    runtime: str = ""
    threads: int = 0


def import_run(
    model: str, files: Mapping[str, str], context: Context, root: Path
) -> tuple[Run, Path]:
    """The run that these files make, and where it is stored. Raises OnnxprofError."""
    chosen(files)  # refuses before anything is fetched
    work = partial(_made, resolve(model), dict(files), context, command_line(model, files, context))
    run = confined(work, Limits(memory_bytes=memory_limit(0)), "reading", model)
    return run, Store(root).save(run)


def _made(file: Resolved, files: Mapping[str, str], context: Context, command: str) -> Run:
    opened = open_found(file)
    asked = dict(single(tuple(parse(context.dims).items())))
    dims = sizing(opened, asked).at(context.batch)
    facts = Facts(
        batch=context.batch,
        dims=tuple(dims.items()),
        device_name=context.device_name,
        device_kind=context.device_kind,
        runtime=context.runtime,
        threads=context.threads,
        command=command,
        created=now(),
    )
    return build(opened, chosen(files), facts)


def command_line(model: str, files: Mapping[str, str], context: Context) -> str:
    """The command that repeats this import, with files' names instead of paths."""
    named = model if is_remote(model) else Path(model).name
    words = ["onnxprof", "runs", "import", argument(named)]
    options = {option: Path(file).name for option, file in sorted(files.items()) if file} | {
        "--batch": str(context.batch),
        "--device-name": context.device_name,
        "--device-kind": context.device_kind,
        "--runtime": context.runtime,
        "--threads": str(context.threads or ""),
    }
    for option, text in options.items():
        words += [option, text] if text else []
    for item in context.dims:
        words += ["--dim", item]
    return shlex.join(words)
