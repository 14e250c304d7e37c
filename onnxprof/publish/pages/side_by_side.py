"""A model's runs of one batch size side by side, a block of layers a row: files for its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.compare.align import align
from onnxprof.compare.table import Alignment, Cell, Row
from onnxprof.publish.comparing.alignment import (
    interval_text,
    is_inferred,
    operators_text,
    remark_texts,
    rule_text,
    untimed_text,
)
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pages.embed import embedded, joined
from onnxprof.publish.text.safe import in_page
from onnxprof.publish.text.verdicts import INFERRED, mark

#: More runs than this do not stand side by side on a page; the command shows them all.
MOST_COLUMNS = 8
#: Blocks with the largest shares; the others are one row.
MOST_ROWS = 500
_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that compare: one batch size, one number of threads on CPUs, the same inputs."""

    batch: int
    name: str
    entries: tuple[Entry, ...]


def groups(page: ModelPage) -> list[Group]:
    """What can be aligned, by batch; runs on GPUs stand beside those of each thread count."""
    whole = [entry for entry in page.entries if entry.latency_ns is not None]
    found: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in whole:
        found.setdefault(_kind(entry), []).append(entry)
    groups: list[Group] = []
    for key, members in found.items():
        threads = {_threads(entry) for entry in members} - {0}
        for count in sorted(threads) or [0]:
            chosen = [entry for entry in members if _threads(entry) in (0, count)]
            if len(chosen) > 1:
                name = f"b{key[0]}.{len(groups)}"
                groups.append(Group(key[0], name, tuple(chosen[:MOST_COLUMNS])))
    return groups


def _kind(entry: Entry) -> tuple[Any, ...]:
    asked = entry.run.request
    return asked.batch, tuple(sorted(asked.dims)), asked.inputs_sha256, asked.phase


def _threads(entry: Entry) -> int:
    """Threads of a CPU; 0 elsewhere, where they do not matter."""
    run = entry.run
    return run.request.threads if run.device.kind == "cpu" else 0


def listed(page: ModelPage) -> list[dict[str, Any]]:
    """What the page's script must know to ask for a group's file."""
    return [
        {"batch": g.batch, "name": g.name, "systems": [entry.system for entry in g.entries]}
        for g in groups(page)
    ]


def scripts(page: ModelPage) -> Iterator[tuple[str, str]]:
    """A file a group."""
    for group in groups(page):
        values = _plain(align([entry.run for entry in group.entries]))
        text = f'onnxprof.aligned("{group.name}",{embedded(values)});\n'
        yield f"aligned/{group.name}.js", text


def _plain(alignment: Alignment) -> dict[str, Any]:
    rows, rest = _split(alignment.rows)
    converting = alignment.conversions
    sums = (
        *((("(Q/DQ)", converting),) if converting else ()),
        ("(no layer)", alignment.no_layer),
        ("(interruptions)", alignment.interruptions),
        ("(overhead)", alignment.overhead),
        ("(total)", alignment.total),
    )
    return {
        "rows": [_row(row) for row in rows],
        "rest": [len(rest), _added(rest)] if rest else None,
        "sums": [[name, [_cell(cell) for cell in row.cells]] for name, row in sums],
        "remarks": remark_texts(alignment),
        "rule": rule_text(alignment),
        "labels": [in_page(column.label) for column in alignment.columns],
        "wrong": [column.wrong for column in alignment.columns],
    }


def _split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are shown, in graph order, and the others."""
    if len(rows) <= MOST_ROWS:
        return list(rows), []
    kept = sorted(range(len(rows)), key=lambda i: -_share(rows[i]))[:MOST_ROWS]
    shown = set(kept)
    return (
        [rows[i] for i in sorted(kept)],
        [row for i, row in enumerate(rows) if i not in shown],
    )


def _share(row: Row) -> float:
    return max(cell.share or 0.0 for cell in row.cells)


def _added(rows: Sequence[Row]) -> list[int]:
    columns = zip(*(row.cells for row in rows), strict=True)
    return [sum(cell.ns or 0 for cell in column) for column in columns]


def _row(row: Row) -> list[Any]:
    """What it is called, all of its layers, operators, a cell a run, and its first layer."""
    names = [in_page(name) for name in row.layers[:_MOST_NAMES]]
    more = len(row.layers) - len(names)
    whole = " + ".join([*names, *([f"{more} more"] if more else [])])
    return [
        in_page(joined(row.layers)),
        whole,
        operators_text(row.operators, 40),
        [_cell(cell) for cell in row.cells],
        in_page(row.layers[0]) if row.layers else "",
    ]


def _cell(cell: Cell) -> list[Any]:
    """Nanoseconds, marks of the verdict and of inference, the ratio's interval; or why no time."""
    if cell.ns is None:
        return [None, untimed_text(cell)]
    return [
        cell.ns,
        mark(cell.verdict),
        interval_text(cell),
        *([INFERRED] if is_inferred(cell) else []),
    ]
