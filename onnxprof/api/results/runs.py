"""Runs: a sequence of what was measured, as text, tables, figures and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from onnxprof import folders
from onnxprof.api.results.shown import Printed, chosen, written
from onnxprof.errors import UsageError
from onnxprof.publish.tables.timings import (
    CeilingsOf,
    timing_csv,
    timing_parquet,
    timing_table,
    without_ceilings,
)
from onnxprof.records.run import Run

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects
    import polars
    import pyarrow
    from rich.console import RenderableType

#: Endings of files, and the format that each means.
ENDINGS: Mapping[str, str] = {
    ".csv": "csv",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "table",
}
#: More runs than this are listed, a line each.
MOST_SPELLED_OUT = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """A measurement that gave no times."""

    model: str
    batch: int
    reason: str
    dims: tuple[tuple[str, int], ...] = ()
    """Sizes of axes other than the batch."""

    @property
    def title(self) -> str:
        """The model and its sizes: `gpt2 at batch 1, past=128`."""
        axes = (f"{name}={size}" for name, size in self.dims)
        return ", ".join((f"{self.model} at batch {self.batch}", *axes))


class Runs(Printed, Sequence[Run]):
    """Runs in the order in which they were measured.

    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> runs = op.Runs([sample_run(batch=1), sample_run(batch=8)])
    >>> len(runs), runs[1].request.batch
    (2, 8)
    >>> runs[:1] + runs[1:] == runs
    True
    """

    __slots__ = ("_ceilings_of", "_failures", "_runs")

    def __init__(
        self,
        runs: Iterable[Run] = (),
        *,
        failures: Iterable[Failure] = (),
        ceilings_of: CeilingsOf = without_ceilings,
    ) -> None:
        self._runs = tuple(runs)
        self._failures = tuple(failures)
        self._ceilings_of = ceilings_of
        for run in self._runs:
            if not isinstance(run, Run):
                raise UsageError(
                    f"{type(run).__name__} is no run", remedy="Give records, as of op.load"
                )

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Measurements that gave no times, with the reasons."""
        return self._failures

    @property
    def ceilings_of(self) -> CeilingsOf:
        """What finds the ceilings that bound a run; None of a run that none fit."""
        return self._ceilings_of

    @property
    def latency_ms(self) -> tuple[float | None, ...]:
        """The un-profiled median of each run in milliseconds; None where none was measured.

        >>> from onnxprof.testing import sample_run
        >>> [round(ms, 3) for ms in Runs([sample_run()]).latency_ms]
        [2.205]
        """
        from onnxprof.analysis.intervals import median_ns

        samples = [run.timings.latency_ns if run.timings else None for run in self._runs]
        return tuple(median_ns(ns) / 1e6 if ns is not None and ns.size else None for ns in samples)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> Run | Runs:
        """A run, or Runs for a slice."""
        if isinstance(index, slice):
            return Runs(self._runs[index], ceilings_of=self._ceilings_of)
        return self._runs[index]

    def __add__(self, other: Iterable[Run]) -> Runs:
        """The runs of both, these first."""
        failures, ceilings_of = self._failures, self._ceilings_of
        if isinstance(other, Runs):
            failures += other._failures
            ceilings_of = _either(ceilings_of, other._ceilings_of)
        return Runs((*self._runs, *other), failures=failures, ceilings_of=ceilings_of)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same records, by identity, in the same order."""
        if not isinstance(other, Runs):
            return NotImplemented
        pairs = zip(self._runs, other._runs, strict=False)
        return len(self) == len(other) and all(a is b for a, b in pairs)

    def __hash__(self) -> int:
        return hash(tuple(map(id, self._runs)))

    def newest(self) -> Runs:
        """Of each system, model, batch and choice of axes the newest good run."""
        from onnxprof.compare.systems import newest

        return Runs(newest(self._runs), ceilings_of=self._ceilings_of)

    def parts(self, limit: int | None = None) -> Iterable[RenderableType]:
        """What `onnxprof profile` prints of them; of many runs the list of `onnxprof runs list`."""
        from onnxprof.publish.tables import profiled

        if not self._runs:
            return ["no runs"]
        if len(self._runs) > MOST_SPELLED_OUT and limit is None:
            return [profiled.listed(self._runs)]
        return profiled.whole(self._runs, self._ceilings_of, limit)

    def table(self, width: int = 80, limit: int | None = None) -> str:
        """The runs as plain text; `limit` layers of each, else as many as the command shows.

        >>> from onnxprof.testing import sample_run
        >>> print(Runs([sample_run()]).table().splitlines()[0])
        sample, batch 1, fake on Fake CPU, 2 threads
        """
        from onnxprof.publish.notebook.plain import plain_text

        return plain_text(*self.parts(limit), width=width)

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of each run with bars, and how its times add up."""
        from onnxprof.publish.notebook.runs import runs_html

        few = self._runs[:MOST_SPELLED_OUT]
        return runs_html(few, self._ceilings_of, len(self._runs) - len(few))

    def to_arrow(self) -> pyarrow.Table:
        """The timing table (docs/exports.md) as an Arrow table: a row a layer, all runs.

        Runs without times have no rows.

        >>> from onnxprof.testing import sample_run
        >>> table = Runs([sample_run()]).to_arrow()
        >>> table.column("layer_name").to_pylist()[-1]
        '(total)'
        """
        return timing_table(self._runs, self._ceilings_of)

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a pandas DataFrame. Raises UsageError where pandas is not installed."""
        _require("pandas", "to_pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """The same as a polars DataFrame. Raises UsageError where polars is not installed."""
        polars = _require("polars", "to_polars")
        return polars.from_arrow(self.to_arrow())

    def to_csv(self) -> str:
        """The same as CSV, as `onnxprof runs export --format csv`."""
        return timing_csv(self._runs, self._ceilings_of)

    def to_json(self) -> str:
        """Everything that is stored of each run, as `onnxprof runs export --format json`."""
        from onnxprof.publish.tables.runs import everything

        return everything(self._runs, self._ceilings_of)

    def plot(self, limit: int = 20) -> plotly.graph_objects.Figure:
        """The slowest layers with p5 to p95, as a Plotly figure.

        Raises UsageError where Plotly is not installed.
        """
        from onnxprof.publish.notebook.figure import figure

        graph_objects = _require("plotly", "plot", "plotly.graph_objects")
        return graph_objects.Figure(figure(self._runs, limit))

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a table (`.csv`, `.json`, `.parquet`, `.txt`), or the runs into a store.

        A path without such an ending is the folder of a store. Returns the path. Raises UsageError
        or StoreError where it cannot be written.
        """
        place = folders.expanded(Path(path))
        if place.is_dir() or not place.suffix:
            return self._stored(place)
        kind = chosen(place, ENDINGS)
        if kind == "parquet":
            return written(place, lambda: timing_parquet(self._runs, self._ceilings_of))
        writers = {"csv": self.to_csv, "json": self.to_json, "table": self.table}
        return written(place, writers[kind])

    def _stored(self, root: Path) -> Path:
        from onnxprof.store.folder import Store

        store = Store(root)
        store.check_writable()
        for run in self._runs:
            store.save(run)
        return root


def _either(one: CeilingsOf, other: CeilingsOf) -> CeilingsOf:
    return one if one is other else lambda run: one(run) or other(run)


def _require(package: str, method: str, module: str = "") -> Any:
    """Import an optional package. Raises UsageError that says what to install."""
    from importlib import import_module

    try:
        return import_module(module or package)
    except ImportError as error:
        raise UsageError(
            f"{method}() needs {package}, which cannot be imported: {error}",
            remedy=f'pip install {package}, or "onnxprof[notebook]" for all that a notebook needs',
        ) from None
