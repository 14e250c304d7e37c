"""Which charts a model's page has, and the library that draws them.

The figures stand in the page already: the script reads them from there, and asks for plotly.js
when the first chart comes into view.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

from onnxprof.errors import UsageError
from onnxprof.publish.pages.axis_lines import AxisLines, over_axes
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.text.safe import in_page

LIBRARY = "plotly.min.js"
REMEDY = 'pip install "onnxprof[site]"'


@dataclass(frozen=True, slots=True)
class Chart:
    """A place for a chart; `key` is what the script knows it by."""

    key: str
    title: str
    of_run: bool = False
    """Whether it shows the run that the reader chose, and follows the choice."""
    lines: str = ""
    """JSON of lines that no other part of the page has; see `axis_lines`."""


def charts(page: ModelPage) -> tuple[Chart, ...]:
    """The charts that the page's runs have figures for."""
    good = [entry for entry in page.entries if entry.result]
    known = [entry for entry in good if entry.latency_ns]
    several = len({entry.batch for entry in good}) > 1
    whole = len({entry.batch for entry in known}) > 1
    is_measured = any(entry.bound_ns is None for entry in good)
    spent = [e.run.telemetry for e in good if e.run.telemetry]
    found = (
        (whole, Chart("latency", "Latency over batch size, ms")),
        (whole, Chart("throughput", "Throughput over batch size, items/s")),
        (bool(good), Chart("operators", "Time by operator type, ms", of_run=True)),
        (_comparable(known), Chart("speedup", "Speed-up over batch size, %")),
        (bool(good), Chart("slowest", _slowest(is_measured), of_run=True)),
        (
            several,
            Chart("scaling", "Time per item over batch size, slowest steps, µs", of_run=True),
        ),
        (any(t.device_mj() for t in spent), Chart("energy", "Energy per item, mJ")),
        (any(t.device_mj() and t.seconds for t in spent), Chart("power", "Mean power, W")),
        (any(t.peak_resident_bytes for t in spent), Chart("memory", "Peak resident memory, MiB")),
    )
    return (*(chart for wanted, chart in found if wanted), *map(_over, over_axes(page)))


def _over(one: AxisLines) -> Chart:
    return Chart("over", f"Latency over {in_page(one.axis)}, ms", lines=one.json)


def _slowest(is_measured: bool) -> str:
    return "Slowest steps with p5 to p95, ms" if is_measured else "Slowest layers, ms"


def _comparable(entries: list[Entry]) -> bool:
    """Whether two systems have a batch size in common."""
    pairs = combinations(entries, 2)
    return any(a.batch == b.batch and a.system != b.system for a, b in pairs)


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
