"""Runs as HTML: for each a table of its slowest layers with bars, and how its times add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.analysis.memory.alive import known_alive
from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.notebook.html import Cell, escaped, paragraph, preformatted, table
from onnxprof.publish.tables.profiled import FEW_LAYERS, MANY_LAYERS
from onnxprof.publish.tables.run_summary import Line, graded, headline, lines_of
from onnxprof.publish.tables.timings import CeilingsOf
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable
from onnxprof.publish.text.warnings import warning_texts
from onnxprof.reasons.roofline import roofline
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run


def runs_html(
    runs: Sequence[Run], ceilings_of: CeilingsOf, left_out: int = 0, sums: str = ""
) -> str:
    """Every run; below them how many more there are, and the text of what they come to."""
    limit = FEW_LAYERS if len(runs) > 1 else MANY_LAYERS
    parts = [run_html(run, ceilings_of(run), limit) for run in runs]
    if not runs:
        parts.append(paragraph("no runs"))
    if left_out:
        parts.append(paragraph(f"{left_out} more: slice the runs, or to_pandas() has all of them"))
    if sums.strip():
        parts.append(preformatted(sums))
    return f'<div style="color:inherit">{"".join(parts)}</div>'


def run_html(run: Run, ceilings: Ceilings | None = None, limit: int | None = MANY_LAYERS) -> str:
    """Headline, reconciliation line, table and warnings of a run."""
    title = f'<p style="margin:0.8em 0 0.3em"><b>{escaped(headline(run).plain)}</b></p>'
    if run.timings is None:
        return title + paragraph(f"failed: {printable(run.failure)}")
    return title + "".join(_measured(run, ceilings, limit))


def _measured(run: Run, ceilings: Ceilings | None, limit: int | None) -> Iterator[str]:
    sums = reconcile(run)
    roofs = roofline(run, ceilings, sums) if ceilings else None
    lines = lines_of(sums, run.table, limit, roofs, known_alive(run))
    scale = max((line.share or 0.0 for line in lines if not line.closing), default=0.0)
    yield paragraph(graded(sums, run).plain)
    heads = [Cell("layer"), Cell("type"), *(Cell(text, True) for text in ("ms", "p95", "share"))]
    heads.append(Cell("why" if roofs else ""))
    yield table(heads, [_row(line, scale, bool(roofs)) for line in lines])
    for text in warning_texts(run):
        yield paragraph(f"! {text}", style="font-style:italic")


def _row(line: Line, scale: float, is_bounded: bool) -> list[Cell]:
    share = "" if line.share is None else percent(line.share)
    figures = (line.ms + line.mark.strip(), line.p95, share)
    last = Cell(line.why)
    if not (is_bounded or line.closing):
        last = Cell("", part=(line.share or 0.0) / scale if scale else 0.0)
    name = Cell(f"{line.name}{line.more}")
    return [name, Cell(line.kind), *(Cell(text, True) for text in figures), last]
