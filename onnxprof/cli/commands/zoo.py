"""`onnxprof zoo`: the networks that come with onnxprof."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.checks.zoo import Checked

app = typer.Typer(no_args_is_help=True, help="Networks that come with onnxprof.")

All = Annotated[bool, typer.Option("--all", help="Every network.")]
_CHECK_HEADING = f"{'NETWORK':<22}{'MADE':>7}{'ALL':>8}{'TENSORS':>9}{'OUTPUTS':>20}  VERDICT"


@app.command("list")
def list_networks(
    format: Annotated[str, typer.Option(help="table, json, csv or md.")] = "table",
    as_json: Json = False,
) -> None:
    """List the networks with their size and cost."""
    if as_json:
        return _print_document(format)
    from onnxprof.cli.output import file_format, terminal_width
    from onnxprof.publish.tables.zoo import FORMATS, table
    from onnxprof.zoo.catalogue import entries

    file_format(format, None, dict.fromkeys(FORMATS, ()), "table")
    if format == "table":
        return typer.echo(table(entries(), terminal_width()), nl=False)
    return typer.echo(FORMATS[format](entries()), nl=False)


def _print_document(format: str) -> None:
    from onnxprof.cli.output import deliver_document
    from onnxprof.publish.json.tools import zoo
    from onnxprof.zoo.catalogue import entries

    if format not in ("table", "json"):
        raise _usage(f"--json and --format {format} do not go together", "Give one")
    deliver_document(zoo(entries()))


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A network of the zoo.")], as_json: Json = False
) -> None:
    """Show the facts of one network."""
    from onnxprof.cli.output import deliver_document, terminal_width
    from onnxprof.publish.tables.zoo import facts
    from onnxprof.zoo.catalogue import entry, plain

    found = entry(plain(name))
    if as_json:
        from onnxprof.publish.json.tools import zoo_info

        return deliver_document(zoo_info(found))
    return typer.echo(facts(found, terminal_width()), nl=False)


@app.command()
def materialise(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the zoo.")] = None,
    everything: All = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Copy the one network here.")
    ] = "",
) -> None:
    """Make networks' files in the cache; print SHA-256 and path."""
    from pathlib import Path

    from onnxprof.zoo.catalogue import entry
    from onnxprof.zoo.materialisation import copy_out
    from onnxprof.zoo.materialisation import materialise as make

    chosen = _chosen(names, everything)
    if output and len(chosen) > 1:
        raise _usage("--output takes one network", "Leave it out to use the cache")
    for name in chosen:
        with _bar(name) as advance:
            path = make(name, advance)
        if output:
            path = copy_out(entry(name), path, Path(output))
        typer.echo(f"{entry(name).sha256}  {path}")


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the zoo.")] = None,
    everything: All = False,
    batch: Annotated[str, typer.Option(help="Batch sizes, as in 1,8.")] = "1,2",
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic axis.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Networks at a time.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Leave the files in the cache.")
    ] = False,
    activations: Annotated[
        bool,
        typer.Option("--activations/--outputs-only", help="Check inner tensors, too."),
    ] = True,
    memory: Annotated[float, typer.Option(min=0, help="GiB per network; 0 for no limit.")] = 6.0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds per network.")] = 600.0,
) -> int:
    """Materialise and run networks; look at every activation. Exit code 1 if one fails."""
    from onnxprof.checks.zoo import check_apart
    from onnxprof.cli.options import parse_batches
    from onnxprof.model.dims.grammar import fixed, parse

    def one(name: str) -> Any:
        return check_apart(
            name,
            batches,
            dims,
            keep=keep,
            activations=activations,
            memory_bytes=int(memory * 2**30),
            seconds=timeout,
        )

    import time
    from concurrent.futures import ThreadPoolExecutor

    batches, dims = parse_batches(batch), fixed(tuple(parse(dim or []).items()))
    chosen, results, began = _chosen(names, everything), [], time.perf_counter()
    typer.echo(_CHECK_HEADING)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for checked in pool.map(one, chosen):
                results.append(checked)
                typer.echo(_check_line(checked))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    typer.echo(_check_summary(results, time.perf_counter() - began))
    return int(any(checked.faults for checked in results))


def _check_line(checked: Checked) -> str:
    """A network's line in `zoo check`: seconds of making, all seconds, tensors, range, verdict."""
    from onnxprof.publish.text.numbers import scaled

    reach = f"{checked.smallest:.1e} to {checked.largest:.1e}" if checked.largest else "–"
    times = ", ".join(f"{ms:.4g} ms at {batch}" for batch, ms in checked.batch_ms)
    verdict = f"FAILED: {'; '.join(checked.faults[:5])}" if checked.faults else "ok"
    more = len(checked.faults) - 5
    return (
        f"{checked.name:<22}{checked.made_seconds:>5.1f} s{checked.seconds:>6.1f} s"
        f"{checked.activations:>9}{reach:>20}  {verdict}"
        + (f"; {more} more" if more > 0 else "")
        + (f"\n{'':<22}{times}; {scaled(checked.memory_bytes, 'B')} of memory" if times else "")
    )


def _check_summary(results: Sequence[Checked], seconds: float) -> str:
    """The last line of `zoo check`."""
    failed = [checked.name for checked in results if checked.faults]
    verdict = f"{len(failed)} failed: {', '.join(failed)}" if failed else "all are good"
    noun = "network" if len(results) == 1 else "networks"
    return f"{len(results)} {noun} in {seconds:.0f} s; {verdict}"


@app.command()
def clean(
    name: Annotated[str | None, typer.Argument(help="One network only.")] = None,
) -> None:
    """Remove materialised networks from the cache."""
    from onnxprof.publish.text.numbers import scaled
    from onnxprof.zoo.cache import folder
    from onnxprof.zoo.catalogue import entry, plain
    from onnxprof.zoo.materialisation import clear

    chosen = entry(plain(name)).name if name else None
    typer.echo(f"freed {scaled(clear(chosen), 'B')} in {folder()}")


@app.command()
def export(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the zoo.")] = None,
    everything: All = False,
) -> None:
    """For maintainers: write skeletons anew, and say what changed."""
    from onnxprof.zoo.sources.export import export as write

    for name in _chosen(names, everything):
        typer.echo(f"{name}: {write(name)}")


def _chosen(given: list[str] | None, everything: bool) -> list[str]:
    from onnxprof.zoo.catalogue import entry, names, plain

    if everything == bool(given):
        raise _usage("name networks, or pass --all", "See onnxprof zoo list")
    return list(names()) if everything else [entry(plain(name)).name for name in given or ()]


def _usage(what: str, remedy: str) -> Exception:
    from onnxprof.errors import UsageError

    return UsageError(what, where="onnxprof zoo", remedy=remedy)


def _bar(name: str) -> AbstractContextManager[Any]:
    """A context with a callback that draws a bar on stderr; None where that is no terminal."""
    from contextlib import nullcontext

    from onnxprof.cli.output import stderr_console

    console = stderr_console()
    return _drawn(name, console) if console.is_terminal else nullcontext()


def _drawn(name: str, console: Any) -> AbstractContextManager[Any]:
    from contextlib import contextmanager

    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())

    @contextmanager
    def drawing() -> Any:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(name, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    return drawing()
