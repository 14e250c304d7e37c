"""A run's timing table as a printable document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from onnxprof.analysis.grades import grade
from onnxprof.analysis.reconcile import Reconciliation, Status, TimedRow, reconcile
from onnxprof.analysis.widened import computed_in
from onnxprof.publish.latency.percentiles import listed_text, of_run
from onnxprof.publish.latency.streams import streams_text
from onnxprof.publish.pages import embed
from onnxprof.publish.pdf.glyphs import legible
from onnxprof.publish.pdf.rows import PrintedRow, table
from onnxprof.publish.pdf.typesetter import Manuscript, compile_pdf
from onnxprof.publish.text import grades, numbers
from onnxprof.publish.text.safe import counted, in_page, shortened
from onnxprof.publish.text.sentences import DOUBTFUL, reconciliation_text, threads, wrong_text
from onnxprof.publish.text.warnings import warning_texts
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run

_FATES = {
    Status.FOLDED: "computed while loading",
    Status.NOT_EXECUTED: "not executed",
    Status.UNKNOWN: "tied to no step",
    Status.UNTIMED: "never timed",
}


def timing_pdf(run: Run) -> bytes:
    """The PDF of a run; the same bytes every time. Raises StoreError for a failed run."""
    return compile_pdf(manuscript(run, reconcile(run)))


def manuscript(run: Run, result: Reconciliation) -> Manuscript:
    """The manuscript of a run's PDF. Names are passed to typst as data, never as source."""
    document = _document(run, result)
    data = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Manuscript("timing.typ", data, run.created)


def _document(run: Run, result: Reconciliation) -> dict[str, Any]:
    return {
        "title": _soft(run.request.model_name),
        "subtitle": f"{_plain(run.device.name or run.device.id)} · {_plain(run.request.backend)} · "
        f"batch {run.request.batch}",
        "footer": legible(shortened(in_page(run.request.model_name), 60)),
        "facts": [[name, _wrapped(value)] for name, value in _facts(run, result)],
        "sentence": _plain(reconciliation_text(result, run)) + ".",
        "wrong": _plain(wrong_text(run)),
        "warnings": [_plain(text) for text in warning_texts(run)],
        "table": table(
            *printed_rows(result, run.table),
            numbers.unit_for(result.total_ns)[0],
            "Time" if run.request.is_published else "",
        ),
        "legend": " ".join(_legend(run, result)),
        "note": _note(embed.constants(result)),
    }


def printed_rows(
    result: Reconciliation, layers: LayerTable
) -> tuple[list[PrintedRow], list[PrintedRow]]:
    """The rows that executed, and those that sum up, in the unit of the run."""
    unit, most = numbers.unit_for(result.total_ns), embed.longest(result)
    body = [
        _row(i, row, unit, most, bool(computed_in(row.step, layers)))
        for i, row in enumerate(embed.body_rows(result), 1)
    ]
    return body, [_row(0, row, unit, most) for row in embed.closing_rows(result)]


def _legend(run: Run, result: Reconciliation) -> Iterator[str]:
    """What the marks behind names and operators mean, of those that there are."""
    rows = embed.body_rows(result)
    if any(row.doubt for row in rows):
        yield f"? behind a name: {DOUBTFUL[:1].lower()}{DOUBTFUL[1:]}; the CSV says which."
    if wider := sorted({computed_in(row.step, run.table) for row in rows} - {""}):
        yield f"* behind an operator: half precision that is computed in {', '.join(wider)}."


def _note(given: int) -> str:
    if not given:
        return ""
    what = counted(given, "input or constant has", "inputs and constants have")
    return f"{what} no time and {'is' if given == 1 else 'are'} left out."


def _facts(run: Run, result: Reconciliation) -> list[tuple[str, str]]:
    request, model = run.request, run.model
    sizes = "".join(f", {name}={size}" for name, size in request.dims)
    software = ", ".join(f"{key} {value}" for key, value in run.environment[:6])
    return [
        ("Model", f"{model.reference}, {numbers.count(model.parameters)} parameters"),
        ("SHA-256", model.sha256),
        ("Device", f"{run.device.name or run.device.id} ({run.device.id})"),
        ("Runtime", f"{request.backend}, provider {request.provider}, {run.timer} timer"),
        (
            "Setting",
            f"batch {request.batch}{sizes}, {threads(request.threads)}, "
            + ", ".join((f"granularity {request.granularity}", *request.words)),
        ),
        _when(run),
        *([("Grade", text)] if (text := _grade_text(run, result)) else []),
        *([("Percentiles", listed_text(found))] if (found := of_run(run)) else []),
        *([("Streams", text)] if (text := streams_text(run)) else []),
        ("Machine", software),
        ("Command", run.command),
    ]


def _grade_text(run: Run, result: Reconciliation) -> str:
    found = grade(run, result)
    known = f"{grades.word(found)}: {grades.MEANINGS[found]}" if found else ""
    return "; ".join(filter(None, (known, grades.unchecked_text(run))))


def _when(run: Run) -> tuple[str, str]:
    if run.request.is_published:
        return "Published", f"in 2020; imported {run.created} (UTC)"
    return "Measured", f"{run.created} (UTC)"


def _row(
    place: int, row: TimedRow, unit: numbers.Unit, most: float, is_wider: bool = False
) -> PrintedRow:
    layer, step = row.layer, row.step
    operator = layer.op_type if layer else step.op_type if step else ""
    output = numbers.sized_text(layer.outputs[0]) if layer and layer.outputs else ""
    median, p5, p95 = (_time(ns, unit) for ns in (row.median_ns, row.p5_ns, row.p95_ns))
    return PrintedRow(
        place=str(place) if place else "",
        name=_letters(row.name) + (" ?" if row.doubt else ""),
        operator=_letters(operator) + (" *" if is_wider else ""),
        output=_letters(output),
        times=(median, p5, p95),
        share="" if row.share is None else numbers.percent_cell(row.share),
        fate=_fate(row),
        bar=_bar(row, most),
        is_total=row.status is Status.TOTAL,
    )


def _fate(row: TimedRow) -> str:
    if row.median_ns is not None:
        return ""
    if row.status is Status.FUSED and row.step:
        return f"fused into {_letters(row.step.name)}"
    return _FATES.get(row.status, row.status.value)


def _time(ns: int | None, unit: numbers.Unit) -> str:
    return "" if ns is None else numbers.three(ns / unit[1])


def _bar(row: TimedRow, most: float) -> float:
    """Length of the bar, relative to the longest row's."""
    if row.share is None or row.status is Status.TOTAL:
        return 0.0
    return round(max(0.0, min(1.0, row.share / most)), 4)


def _wrapped(text: str) -> str:
    """Prose with breaks only inside words that are too long for a line."""
    return " ".join(_soft(word) if len(word) > 40 else _plain(word) for word in text.split(" "))


def _soft(name: str) -> str:
    """A name that may break at its separators and inside endless words."""
    return numbers.softened(_plain(name))


def _letters(text: str) -> str:
    """The same where each letter takes its width: the font has nothing for those of none."""
    return _plain(text).replace(numbers.ZERO_WIDTH, "")


def _plain(text: str) -> str:
    """Text that the document's fonts can show whole."""
    return legible(in_page(text))
