"""`onnxprof runs`: list, show and export what was measured, and keep it in order."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import WHICH, Json, What, Which, reads
from onnxprof.cli.lazy import Lazy, lazy_group
from onnxprof.cli.output import (
    BOOKS,
    deliver,
    deliver_document,
    deliver_parts,
    display,
    file_format,
    note,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from onnxprof.reasons.stored import Shelf
    from onnxprof.records.run import Run
    from onnxprof.store.summary import Summary

_HERE = "onnxprof.cli.commands.stored"
_LATER = {
    "import": Lazy(
        f"{_HERE}.imports.runs_import",
        "command",
        "Store what another profiler wrote about an ONNX file as a run.",
        is_made=True,
    ),
    "history": Lazy(
        f"{_HERE}.runs_history", "history", "Show how a model's runs changed from run to run."
    ),
    "tag": Lazy(f"{_HERE}.runs_tags", "tag", "Give stored runs a tag.", is_made=True),
    "untag": Lazy(f"{_HERE}.runs_tags", "untag", "Take a tag from stored runs.", is_made=True),
    "pack": Lazy(f"{_HERE}.runs_pack", "pack", "Put stored runs into one small file."),
    "unpack": Lazy(f"{_HERE}.runs_pack", "unpack", "Write the runs of such a file into a store."),
    "merge": Lazy(f"{_HERE}.runs_merge", "merge", "Copy the runs of other stores into one."),
    "prune": Lazy(
        f"{_HERE}.runs_remove", "prune", "Remove all but the newest runs of each request."
    ),
    "remove": Lazy(f"{_HERE}.runs_remove", "remove", "Remove stored runs."),
}
app = typer.Typer(
    cls=lazy_group(_LATER),
    help="List, show, export, tag, merge, pack and remove stored runs.",
    no_args_is_help=True,
)


class ListFormat(StrEnum):
    """How to print a list."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ExportFormat(StrEnum):
    """Formats of exported runs."""

    CSV = "csv"
    SPREADSHEET = "spreadsheet"
    JSON = "json"
    PARQUET = "parquet"
    CHROME = "chrome"
    MODEL_EXPLORER = "model-explorer"
    KERNELS = "kernels"
    API_CALLS = "api-calls"
    DEVICE_HOST = "device-host"
    BMF = "bmf"
    GITHUB_ACTION_BENCHMARK = "github-action-benchmark"
    PYTORCH = "pytorch"
    ASV = "asv"


class By(StrEnum):
    """What the times of a run are added up by."""

    SCOPE = "scope"
    OPERATOR = "operator"


@app.command("list")
@reads(*WHICH, "format_", "as_json")
def list_(
    which: Which,
    format_: Annotated[ListFormat, typer.Option("--format", help="How to print.")] = (
        ListFormat.TABLE
    ),
    as_json: Json = False,
) -> None:
    """List stored runs, newest last."""
    from onnxprof.processes.garbage import no_garbage_collection
    from onnxprof.publish.tables import runs as runlist

    roots = which.roots
    listed = [] if _is_empty(roots) else _select("", which)
    if not listed:
        note(f"No runs in {_places(roots)}. {_REMEDY}.")
    if as_json:
        _list_document(listed, format_)
    elif format_ is ListFormat.JSON:
        deliver(runlist.list_json(listed))
    elif format_ is ListFormat.CSV:
        deliver(runlist.list_csv(listed))
    elif listed:
        with no_garbage_collection():
            display(runlist.list_table(listed))


def _list_document(listed: Sequence[Summary], format_: ListFormat) -> None:
    from onnxprof.publish.json.listing import runs_list

    if format_ is ListFormat.CSV:
        file_format("csv", None, BOOKS, "table", as_json=True)  # refuses it
    deliver_document(runs_list(listed))


#: Formats of one run; the table is for people, the others have every layer.
_SHOWN = {name: BOOKS[name] for name in ("table", "csv", "json", "xlsx")}


@app.command()
@reads("what", *WHICH, "all_", "by", "output", "format_", "as_json")
def show(
    which: Which,
    what: What = "",
    all_: Annotated[bool, typer.Option("--all", help="Every layer that has a time.")] = False,
    by: Annotated[
        By | None, typer.Option("--by", help="Add the times up by module scope or operator.")
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
    ] = "",
    format_: Annotated[
        str,
        typer.Option("--format", help="table, csv, json or xlsx; else as the file's name ends."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Show a run: facts, how its times add up, layers, caveats.

    Where several runs match, the newest good one is shown.
    """
    from onnxprof.analysis.standing import newest
    from onnxprof.cli.books import check_book
    from onnxprof.cli.commands.stored import shown
    from onnxprof.plugins.source_places import cleaned_run
    from onnxprof.store.folder import load
    from onnxprof.store.select import told

    chosen = check_book(file_format(format_, output, _SHOWN, "table", as_json), output)
    summaries = _select(what, which)
    meant = newest(summaries)
    run = cleaned_run(load(meant.path))
    if len(summaries) > 1:
        note(f"{len(summaries)} runs match; this is {told(meant, summaries)}: {meant.path}")
    asked = shown.Shown(run, meant, _shelf(which, [meant]), by.value if by else "", all_)
    shown.write(asked, chosen, output)


@app.command()
@reads("what", *WHICH, "output", "format_", "layers", "commit")
def export(
    which: Which,
    what: What = "",
    output: Annotated[
        str,
        typer.Option(
            *("-o", "--output"),
            metavar="FILE",
            help="File to write; for asv, and for overlays of several runs, a folder.",
        ),
    ] = "",
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Default: as the file's name ends, else csv."),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="For trackers of benchmarks: each layer, too.")
    ] = False,
    commit: Annotated[
        str,
        typer.Option(
            metavar="HASH",
            help="For asv: the commit that was measured.  [default: that of the CI job]",
        ),
    ] = "",
) -> None:
    """Export runs: csv and parquet have a row a layer, json all.

    spreadsheet is CSV whose names cannot become formulas, with a byte order mark.
    chrome is a trace for ui.perfetto.dev; model-explorer is an overlay of one run for Model
    Explorer, so several runs need a folder. kernels, api-calls and device-host (each step's time
    on a GPU and on the host) are CSV, of runs on a GPU.

    bmf (Bencher), github-action-benchmark (customSmallerIsBetter), pytorch (its benchmark database)
    and asv (a folder of results) hold the newest run of each kind, for trackers of benchmarks.
    """
    from onnxprof.cli.commands.stored import runs_tracked

    chosen = _format(format_, output)
    runs_tracked.refuse_useless(chosen, layers=layers, commit=commit)
    summaries = _select(what, which)
    runs = _loaded(summaries, keeps_failed=chosen is ExportFormat.JSON)
    if chosen is ExportFormat.MODEL_EXPLORER:
        _overlay(list(runs), output)
    elif chosen in runs_tracked.FORMATS:
        runs_tracked.deliver_tracked(runs, chosen, output, layers=layers, commit=commit)
    else:
        _deliver(_render(runs, chosen, _shelf(which, summaries)), output, chosen)


def _loaded(summaries: Sequence[Summary], *, keeps_failed: bool) -> Iterator[Run]:
    """A few at a time, as all of a store may be more than memory holds."""
    from collections import deque
    from itertools import islice

    from onnxprof.publish.text.safe import counted
    from onnxprof.store.folder import each_good

    failed = 0
    readable = each_good((summary.path for summary in summaries), note)
    while few := deque(run for _, run in islice(readable, _AT_ONCE)):
        while few:
            if keeps_failed or few[0].timings is not None:
                yield few.popleft()
            else:
                few.popleft()
                failed += 1
    if failed:
        lost = counted(failed, "failed run", "failed runs")
        note(f"{lost} left out; --format json has them")


#: Runs that are read before they are rendered: by turns, each finds the caches full of the other.
_AT_ONCE = 16

_REMEDY = "`onnxprof profile MODEL` measures a model and stores the run"


def _shelf(which: Which, summaries: Sequence[Summary]) -> Shelf:
    """Ceilings of the stores and of those that the runs lie in."""
    from onnxprof.api.loading import shelf_of

    return shelf_of(summaries, which.roots)


def _is_empty(roots: Sequence[Path]) -> bool:
    from onnxprof.store.folder import Store

    return not any(path for root in roots for path in Store(root).paths())


def _places(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots))


def _select(what: str, which: Which) -> list[Summary]:
    """Summaries of the stored runs that the text and the filters name, oldest first."""
    from onnxprof.store.select import select

    return select(what, which.roots, which.filters, shown=True, say=note)


def _format(given: ExportFormat | None, output: str) -> ExportFormat:
    endings: dict[str, tuple[str, ...]] = dict.fromkeys(map(str, ExportFormat), (".csv",))
    endings |= dict.fromkeys(("json", "chrome", "model-explorer"), (".json",))
    endings |= dict.fromkeys(("bmf", "github-action-benchmark", "pytorch"), (".json",))
    endings["parquet"] = (".parquet",)
    endings["asv"] = ()  # a folder
    may_be_folders = (ExportFormat.MODEL_EXPLORER, ExportFormat.ASV)
    found = file_format(given or "", output, endings, ExportFormat.CSV, folders=may_be_folders)
    return ExportFormat(found)


def _render(runs: Iterable[Run], chosen: ExportFormat, shelf: Shelf) -> Iterable[str | bytes]:
    from onnxprof.publish.overlays import chrome
    from onnxprof.publish.tables import gpu, timings
    from onnxprof.publish.tables import runs as runlist
    from onnxprof.publish.text.csv import spreadsheet_parts

    in_parts: dict[ExportFormat, Callable[..., Iterable[str | bytes]]] = {
        ExportFormat.CSV: timings.timing_csv_parts,
        ExportFormat.SPREADSHEET: lambda *given: spreadsheet_parts(
            timings.timing_csv_parts(*given)
        ),
        ExportFormat.JSON: runlist.everything_parts,
        ExportFormat.PARQUET: timings.timing_parquet_parts,
    }
    if chosen in in_parts:
        return in_parts[chosen](runs, shelf.of)
    writers = {
        ExportFormat.CHROME: chrome.chrome_trace,
        ExportFormat.KERNELS: gpu.kernels_csv,
        ExportFormat.API_CALLS: gpu.api_csv,
        ExportFormat.DEVICE_HOST: gpu.steps_csv,
    }
    return (writers[chosen](runs),)


def _overlay(runs: Sequence[Run], output: str) -> None:
    """Write one file per run: Model Explorer shows a file as one set of results."""
    from pathlib import Path

    from onnxprof.errors import UsageError
    from onnxprof.publish.overlays.model_explorer import files, node_data
    from onnxprof.writing import no_folder

    chosen = ExportFormat.MODEL_EXPLORER
    is_file = output.lower().endswith(".json") and not Path(output).is_dir()
    if runs and (is_file or (len(runs) == 1 and not Path(output or "-").is_dir())):
        if len(runs) > 1:
            note(f"{len(runs)} runs match; {output} is of the newest")
        return _deliver([node_data(runs[-1])], output, chosen)
    if not runs or output in ("", "-"):
        raise UsageError(
            f"an overlay is of one run with times, {len(runs)} match",
            remedy="Choose one (--model, --batch, an id), or name a folder with -o DIR",
        )
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise no_folder(output, error) from error
    for name, text in files(runs).items():
        _deliver([text], str(Path(output) / name), chosen)


def _deliver(parts: Iterable[str | bytes], output: str, chosen: ExportFormat) -> None:
    import sys

    from onnxprof.errors import UsageError

    if not output and chosen is ExportFormat.PARQUET and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal", remedy="Name a file with -o FILE")
    deliver_parts(parts, output)
