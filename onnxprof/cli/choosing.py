"""Options of the commands that read stored runs, each stated once, and the runs that they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.store.folder import Filters
    from onnxprof.store.summary import Summary

_PATTERN = "Part of the name, or all of it with * and ?; repeatable."
_BACKENDS = "Part of the name, or several as in ort,torch; repeatable."
Model = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help=_PATTERN)]
Device = Annotated[list[str] | None, typer.Option("--device", metavar="NAME", help=_PATTERN)]
Backend = Annotated[list[str] | None, typer.Option("--backend", metavar="NAME", help=_BACKENDS)]
Batch = Annotated[str, typer.Option("--batch", metavar="N,N", help="Batch sizes, such as 1,8.")]
Dim = Annotated[
    list[str] | None,
    typer.Option(
        "--dim", metavar="NAME=SIZE", help="Only runs at these sizes of an axis: past=0,128."
    ),
]
Phase = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        metavar="KIND[:SIZES]",
        help="Only runs in this phase: decode, or prefill:128,512; repeatable.",
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Runs with this tag, also with * and ?; repeatable."),
]
Stores = Annotated[
    list[str] | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Folder of runs, else $ONNXPROF_STORE, else runs; repeatable.",
    ),
]
What = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="An id or its first digits, a .parquet file or a folder of runs; or options that say"
        " which.",
    ),
]
RunsOrStore = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Every run that an id means, not the newest alone.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else (docs/json.md).")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say it, and remove nothing.")]
All = Annotated[bool, typer.Option("--all", help="Every block.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
]


class TableFormat(StrEnum):
    """How to print a table."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"


class BookFormat(StrEnum):
    """The same, and a workbook."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"
    BOOK = "xlsx"


_FORMAT = typer.Option("--format", help="Default: as the file's name ends, else table.")
Form = Annotated[TableFormat | None, _FORMAT]
BookForm = Annotated[BookFormat | None, _FORMAT]


@dataclass(frozen=True, slots=True)
class Which:
    """What a command's options say of the runs that are meant."""

    model: list[str] | None = None
    device: list[str] | None = None
    backend: list[str] | None = None
    batch: str = ""
    dim: list[str] | None = None
    phase: list[str] | None = None
    tag: list[str] | None = None
    store: list[str] | None = None

    @property
    def filters(self) -> Filters:
        """The runs that pass. Raises UsageError."""
        from onnxprof.cli.options import parse_filters

        names = self.model, self.device, self.backend
        return parse_filters(*names, self.batch, self.tag, self.dim, self.phase)

    @property
    def roots(self) -> list[Path]:
        """The stores that are meant."""
        return roots_of(self.store)


#: By the name of the field of `Which`: what typer makes an option of, and what stands for none.
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "model": (Model, None),
    "device": (Device, None),
    "backend": (Backend, None),
    "batch": (Batch, ""),
    "dim": (Dim, None),
    "phase": (Phase, None),
    "tag": (Tag, None),
    "store": (Stores, None),
}
#: All of them, and those of a command that names a model or stores as its arguments.
WHICH = tuple(_OPTIONS)
OF_A_MODEL = tuple(name for name in WHICH if name != "model")
OF_STORES = tuple(name for name in WHICH if name != "store")


def reads(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a command these parameters, in this order.

    Names are the function's own parameters or fields of `Which`. The latter are passed as the
    function's first argument.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        mine = inspect.signature(function, eval_str=True).parameters
        alone = inspect.Parameter.KEYWORD_ONLY
        signature = inspect.Signature(
            [mine[name].replace(kind=alone) if name in mine else _parameter(name) for name in names]
        )

        @wraps(function)
        def command(**given: Any) -> Any:
            bound = signature.bind(**given)
            bound.apply_defaults()
            rest = {name: value for name, value in bound.arguments.items() if name in mine}
            which = {name: v for name, v in bound.arguments.items() if name not in mine}
            return function(Which(**which), **rest)

        command.__signature__ = signature  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    annotation, default = _OPTIONS[name]
    alone = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, alone, default=default, annotation=annotation)


def roots_of(store: list[str] | None) -> list[Path]:
    """The stores that are meant."""
    from onnxprof import folders

    return [folders.store(folder) for folder in store] if store else [folders.store()]


def named(
    texts: Sequence[str], roots: Sequence[Path], filters: Filters, every: bool
) -> list[Summary]:
    """The runs that arguments and filters name, each once.

    Raises UsageError where neither is given: what changes runs is not meant for all of them by
    default.
    """
    from onnxprof.errors import UsageError
    from onnxprof.store.folder import Filters
    from onnxprof.store.select import select

    if not texts and filters == Filters():
        raise UsageError(
            "no run is named", remedy="Give ids, files or folders, or filters: --model '*' is all"
        )
    runs = [
        run for text in texts or [""] for run in select(text, roots, filters, every=every, say=note)
    ]
    return changeable(list({run.file: run for run in runs}.values()))


def changeable(runs: list[Summary]) -> list[Summary]:
    """The same runs. Raises UsageError for those of an archive, which never changes."""
    from onnxprof.errors import UsageError
    from onnxprof.store.formats.archive import located

    for run in runs:
        if place := located(run.file):
            raise UsageError(
                "the runs of an archive cannot be changed",
                where=str(place[0]),
                remedy="onnxprof runs unpack FILE.parquet --into STORE writes them as files",
            )
    return runs
