"""Which charts a model's page has, and the library that draws them.

The figures stand in the page already: the script reads them from there, and asks for plotly.js
when the first chart comes into view. What stands on their x axis is the reader's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from onnxprof.compare.axes.families import BATCH
from onnxprof.errors import UsageError
from onnxprof.publish.drawing import bars
from onnxprof.publish.pages.axes import Axis
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.text.safe import in_page

LIBRARY = "plotly.min.js"
REMEDY = 'pip install "onnxprof[site]"'
GAIN = (
    "The size over the time, as a multiple of that at the smallest size: 1 is a time in proportion"
    " to the size, more is better than that."
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A place for a chart; `key` is what the script knows it by."""

    key: str
    title: str
    """In which `{x}` is what stands on the x axis, `{item}` what throughput counts over it, and
    `{each}` whether times are of an item: `per item ` over the batch, else nothing."""
    of_run: bool = False
    """Whether it shows the run that the reader chose, and follows the choice."""
    note: str = ""

    def titled(self, axes: Sequence[Axis]) -> str:
        """The title over the first of these axes; as `titled` of charts/axes.js."""
        axis = axes[0]
        each = "per item " if axis.key == BATCH else ""
        return (
            self.title.replace("{x}", in_page(axis.title))
            .replace("{item}", axis.item)
            .replace("{each}", each)
        )


def charts(page: ModelPage, axes: Sequence[Axis]) -> tuple[Chart, ...]:
    """The charts that the page's runs have figures for; one at least of the axes has them."""
    good = [entry for entry in page.entries if entry.result]
    several = any(len(axis.sizes) > 1 for axis in axes)
    whole = any(_has_latencies(page, axis) for axis in axes)
    is_measured = any(entry.bound_ns is None for entry in good)
    spent = [e.run.telemetry for e in good if e.run.telemetry]
    pairs = any(_is_comparable(page, axis) for axis in axes)
    found = (
        (whole, Chart("latency", "Latency over {x}, ms")),
        (whole, Chart("throughput", "Throughput over {x}, {item}s/s")),
        (bool(good), Chart("operators", "Time by operator type, ms", of_run=True)),
        (pairs, Chart("speedup", "Speed-up over {x}, %")),
        (bool(good), Chart("slowest", _slowest(is_measured), of_run=True)),
        (several, Chart("scaling", "Time {each}over {x}, slowest steps, µs", of_run=True)),
        (several, Chart("stack", "Time {each}over {x} in parts, ms", of_run=True)),
        (whole, Chart("gain", "Speed-up with {x}, smallest = 1", note=GAIN)),
        (any(t.device_mj() for t in spent), Chart("energy", "Energy per {item} over {x}, mJ")),
        (
            any(t.device_mj() and t.seconds for t in spent),
            Chart("power", "Mean power over {x}, W"),
        ),
        (
            any(t.peak_resident_bytes for t in spent),
            Chart("memory", "Peak resident memory over {x}, MiB"),
        ),
    )
    return tuple(chart for wanted, chart in found if wanted and (axes or "{x}" not in chart.title))


def panels(page: ModelPage, axes: Sequence[Axis]) -> str:
    """Latency and throughput over the first of the axes, one line a system, as figures."""
    if not axes:
        return ""
    axis = axes[0]
    over = bars.Over(axis.title, axis.size)
    lines = [line for i in range(len(axis.lines)) if (line := _latencies(page, axis, i)).points]
    speeds = [throughput(page, axis, i) for i in range(len(axis.lines))]
    return bars.panel("Latency, ms", lines, over) + bars.panel(
        f"Throughput, {axis.item}s/s", [line for line in speeds if line.points], over, labelled=True
    )


def throughput(page: ModelPage, axis: Axis, number: int) -> bars.Line:
    """Of a line of the axis what is counted a second."""
    line = _latencies(page, axis, number)
    batches = {size: page.entries[i].batch for size, i in axis.lines[number].points}
    points = ((s, 1e3 * axis.count(int(s), batches[int(s)]) / ms) for s, ms in line.points)
    return replace(line, points=tuple(points))


def _latencies(page: ModelPage, axis: Axis, number: int) -> bars.Line:
    """Milliseconds of a line of the axis where they are known."""
    line, name = axis.lines[number], axis.names[number]
    known = [(size, page.entries[i]) for size, i in line.points if page.entries[i].latency_ns]
    points = tuple((size, (entry.latency_ns or 0) / 1e6) for size, entry in known)
    grades = tuple(_mark(entry) for _, entry in known)
    runs = tuple(f"{page.systems[entry.system].key}/{entry.batch}" for _, entry in known)
    if axis.key == BATCH and known:
        return bars.Line(page.systems[known[0][1].system].key, name, points, grades)
    return bars.Line(runs[0] if runs else "", name, points, grades, runs)


def _mark(entry: Entry) -> str:
    """How the run's point is drawn."""
    return "wrong" if entry.is_wrong else entry.grade.value if entry.grade else ""


def _slowest(is_measured: bool) -> str:
    return "Slowest steps with p5 to p95, ms" if is_measured else "Slowest layers, ms"


def _has_latencies(page: ModelPage, axis: Axis) -> bool:
    """Whether un-profiled latencies are known at two sizes."""
    known = {size for line in axis.lines for size, i in line.points if page.entries[i].latency_ns}
    return len(known) > 1


def _is_comparable(page: ModelPage, axis: Axis) -> bool:
    """Whether two lines have a size in common."""
    known = [size for line in axis.lines for size, i in line.points if page.entries[i].latency_ns]
    return len(set(known)) < len(known)


def library() -> Path:
    """Where plotly.js lies in the installed `plotly` package, which is not imported.

    Raises UsageError where it is not installed.
    """
    found = find_spec("plotly")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "package_data" / LIBRARY
        if path.is_file():
            return path
    raise UsageError("the site's charts need plotly, which is not installed", remedy=REMEDY)
