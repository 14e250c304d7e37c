"""What is alive while each layer runs, as terminal table, CSV, JSON or Markdown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.memory.alive import alive_in_table
from onnxprof.analysis.memory.prediction import predicted_memory
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.memory import buffers_text, peak_text, predicted_text, size_text
from onnxprof.publish.text.safe import in_json, in_markdown, printable, shortened
from onnxprof.records.layer import LayerTable
from onnxprof.records.memory import Buffer, Liveness, Moment

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("batch", "layer_name", "alive_bytes", "at_least", "tensors")


def to_table(alive: Liveness, title: str) -> Table:
    """A row for each layer or fused group, with the bytes alive and the largest tensors."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title)
    made.add_column("layer", no_wrap=True, max_width=34)
    made.add_column("alive", justify="right", no_wrap=True)
    made.add_column("largest tensor", no_wrap=True, max_width=40)
    top = max(alive.alive_bytes, default=0)
    for moment in alive.moments():
        size = f"{'≥ ' if moment.at_least else ''}{size_text(moment.alive_bytes)}"
        style = "bold" if moment.alive_bytes == top else ""
        cells = (shortened(printable(moment.step), 34), size, _largest(moment))
        made.add_row(*map(Text, cells), style=style)
    return made


def summary(table: LayerTable, alive: Liveness, block: int) -> str:
    """The peak, and what the model will take in onnxruntime on a CPU."""
    expected = predicted_text(predicted_memory(table, block))
    return f"{peak_text(alive)}\nonnxruntime on the CPU will take {expected}."


def to_csv(tables: Sequence[LayerTable]) -> str:
    """One table for all batches; `tensors` lists names and bytes, largest first, with `;`."""
    rows = [_cells(table, moment) for table in tables for moment in alive_in_table(table).moments()]
    return csv_text(COLUMNS, rows)


def to_markdown(tables: Sequence[LayerTable], name: str) -> str:
    """A Markdown table for each batch."""
    parts = []
    for table in tables:
        alive = alive_in_table(table)
        lines = ["| layer | alive | largest tensors |", "| --- | ---: | --- |"]
        for moment in alive.moments():
            cells = (moment.step, size_text(moment.alive_bytes), buffers_text(moment.buffers, 2))
            lines.append(f"| {' | '.join(map(in_markdown, cells))} |")
        title = f"## {in_markdown(f'{name}, {table.sizes}')}"
        parts.append("\n".join([title, "", *lines, "", in_markdown(peak_text(alive)), ""]))
    return "\n".join(parts)


def to_json(tables: Sequence[LayerTable], name: str, block: int) -> str:
    """Steps with all that is alive, weights, prediction: an object; a list for several batches."""
    made = [{"model": name, **plain(table, block)} for table in tables]
    whole = made[0] if len(made) == 1 else made
    return in_json(json.dumps(whole, indent=1, ensure_ascii=False)) + "\n"


def plain(table: LayerTable, block: int) -> dict[str, Any]:
    """What is in memory at one batch as dicts, lists and numbers."""
    alive = alive_in_table(table)
    expected = predicted_memory(table, block)
    return {
        "batch": table.batch,
        "weights_bytes": alive.weights_bytes,
        "weights_at_least": alive.weights_at_least,
        "peak_bytes": alive.peak.alive_bytes if alive.peak else 0,
        "peak_at_least": alive.peak_at_least,
        "predicted": dataclasses.asdict(expected) | {"peak_bytes": expected.peak_bytes},
        "steps": [
            {
                "layer": moment.step,
                "alive_bytes": moment.alive_bytes,
                "at_least": moment.at_least,
                "tensors": {_plain(b): b.size_bytes for b in moment.buffers},
            }
            for moment in alive.moments()
        ],
    }


def _cells(table: LayerTable, moment: Moment) -> tuple[str, ...]:
    listed = ";".join(
        f"{_plain(b)}={'?' if b.size_bytes is None else b.size_bytes}" for b in moment.buffers
    )
    limit = "yes" if moment.at_least else ""
    return (str(table.batch), moment.step, str(moment.alive_bytes), limit, listed)


def _largest(moment: Moment) -> str:
    """The largest tensor with its size, and how many others there are, in 40 letters."""
    if not moment.buffers:
        return ""
    first, *others = moment.buffers
    size = "?" if first.size_bytes is None else size_text(first.size_bytes)
    end = f" {size}" + (f" +{len(others)}" if others else "")
    return shortened(printable(_plain(first)), 40 - len(end)) + end


def _plain(buffer: Buffer) -> str:
    """The tensor's name, without the scope of a subgraph."""
    return buffer.tensor.rpartition("\0")[2]
