"""A stored run as a workbook: facts, layers, warnings."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.publish.tables.runs import list_records
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.publish.text.warnings import warning_texts
from onnxprof.publish.workbook.book import Sheet, Value, sheet_of_csv, workbook
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run
from onnxprof.store.summary import Summary


def run_book(run: Run, summary: Summary, ceilings: Ceilings | None = None) -> bytes:
    """The workbook of `runs show`; a failed run has no sheet of layers.

    Raises StoreError for a run whose times do not match its steps.
    """
    facts = Sheet("run", ("fact", "value"), list(_facts(run, summary)))
    warnings = Sheet("warnings", ("warning",), [[text] for text in warning_texts(run)])
    if run.timings is None:
        return workbook([facts, warnings])
    layers = sheet_of_csv("layers", timing_csv([run], lambda _: ceilings))
    return workbook([facts, layers, warnings])


def _facts(run: Run, summary: Summary) -> Iterator[tuple[str, Value]]:
    [record] = list_records([summary])
    for name, value in record.items():
        if isinstance(value, dict):
            value = ";".join(f"{axis}={size}" for axis, size in value.items())
        yield name, ";".join(value) if isinstance(value, list) else value
    yield "timer used", run.timer
    yield "command", run.command
    yield from run.environment
