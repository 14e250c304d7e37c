"""What a model's page embeds for its script: numbers in columns, names once a model."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onnxprof.analysis.grades import has_interval
from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.once import once
from onnxprof.analysis.reconcile import CLOSING, Reconciliation, Status, TimedRow
from onnxprof.analysis.widened import computed_in
from onnxprof.compare.settings import ANY_THREADS, Settings
from onnxprof.publish.drawing.apart import apart
from onnxprof.publish.drawing.plot import topology
from onnxprof.publish.icicle.operators import main_operator
from onnxprof.publish.latency.tail import tail_rows
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.repeating.lines import repeat
from onnxprof.publish.text.numbers import sized_text
from onnxprof.publish.text.safe import in_page
from onnxprof.publish.text.sentences import computed_text, doubt_text, reconciliation_text
from onnxprof.publish.text.warnings import folded_text, warning_texts
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence

_SEPARATORS = ("/", ".")
_GIVEN = (Status.CONSTANT, Status.INPUT)
#: Letters of a step among the slowest.
_SHORT = 32


def body_rows(result: Reconciliation) -> list[TimedRow]:
    """The rows that a reader sees: executed layers and steps, without what is given."""
    return [row for row in result.rows if row.status not in _GIVEN and not closing(row)]


def closing_rows(result: Reconciliation) -> list[TimedRow]:
    """Interruptions, where the timer tells them, overhead and total."""
    return [row for row in result.rows if closing(row) and _is_told(row)]


def _is_told(row: TimedRow) -> bool:
    return row.status is not Status.INTERRUPTIONS or row.median_ns is not None


def closing(row: TimedRow) -> bool:
    """Whether the row sums up rather than stands for a step."""
    return row.status in CLOSING


def constants(result: Reconciliation) -> int:
    """How many rows `body_rows` leaves out because they are given, not executed."""
    return sum(row.status in _GIVEN for row in result.rows)


def slowest(result: Reconciliation, n: int = 5) -> list[TimedRow]:
    """The rows that take longest, longest first."""
    timed = [row for row in body_rows(result) if row.median_ns]
    return sorted(timed, key=lambda row: -row.rank_ns)[:n]


def covered(row: TimedRow) -> tuple[str, ...]:
    """The layers whose time a row is: all of its step's, else what the row is called."""
    return row.step.layers if row.step and row.step.layers else (row.name,)


def culprit(row: TimedRow, most: int = 3) -> str:
    """A row of the slowest as its step with its layers, at most so many of them by name."""
    return joined(covered(row), most)


def slow_labels(result: Reconciliation) -> list[str]:
    """The slowest rows as a page has room for: long ones by what tells their first layers apart."""
    rows = slowest(result)
    shorter = apart([in_page(covered(row)[0]) for row in rows], _SHORT)
    whole = [in_page(culprit(row)) for row in rows]
    return [own if len(own) <= _SHORT else cut for own, cut in zip(whole, shorter, strict=True)]


def joined(names: Sequence[str], most: int = 3) -> str:
    """Names of layers in a row, without what they share with the first: `conv1 + …/relu`."""
    kept = names if len(names) <= most else names[: most - 1]
    parts = [names[0], *(_after(names[0], name) for name in kept[1:])]
    if len(kept) < len(names):
        parts.append(f"{len(names) - len(kept)} more")
    return " + ".join(parts)


def _after(first: str, name: str) -> str:
    """The name without the scopes that it shares with the first: `…/relu`."""
    pairs = enumerate(zip(first, name, strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), min(len(first), len(name)))
    cut = shared if name[shared : shared + 1] in _SEPARATORS else _last_separator(name[:shared])
    return f"…{name[cut:]}" if cut > 1 else name


def _last_separator(text: str) -> int:
    return max(text.rfind(char) for char in _SEPARATORS)


def operators(row: TimedRow, table: LayerTable) -> str:
    """The operators of a row's layers, each once: `Conv + Relu`; of no layer, its step's."""
    wanted = set(covered(row))
    found = dict.fromkeys(layer.op_type for layer in table.nodes if layer.name in wanted)
    if not found and row.step:
        return row.step.op_type
    kept = list(found)
    return " + ".join(kept[:3]) + (" + …" if len(kept) > 3 else "")


def longest(result: Reconciliation) -> float:
    """The largest share of a row; bars are drawn against it."""
    return max((row.share or 0.0 for row in body_rows(result)), default=0.0) or 1e-9


def reach(result: Reconciliation) -> int:
    """Nanoseconds up to which the bars and whiskers of the slowest rows are drawn."""
    ends = (max(row.median_ns or 0, row.p95_ns or 0) for row in slowest(result))
    return max(ends, default=1)


def median(run: Run) -> int:
    """The un-profiled median of a good run, or its published bound."""
    if run.timings is None:
        return 0
    whole = run.timings.latency_ns
    return median_ns(whole if whole.size else run.timings.traced_ns)


def fate(row: TimedRow, table: LayerTable) -> str:
    """The status, how many layers a fused step covers, their wider type, and why a rank is in
    doubt."""
    covered = len(row.step.layers) if row.step and row.status is Status.TIMED else 1
    parts = [f"timed, {covered} layers" if covered > 1 else row.status.value]
    parts.append(computed_text(computed_in(row.step, table)))
    return ", ".join(filter(None, parts + ([doubt_text(row.doubt)] if row.doubt else [])))


@dataclass(slots=True)
class Pool:
    """Distinct values in the order of their first use, each known by its place."""

    places: dict[Any, int] = field(default_factory=dict)

    def place(self, value: Any) -> int:
        """Where the value is, at the end where it is new."""
        return self.places.setdefault(value, len(self.places))


def page_data(page: ModelPage) -> dict[str, Any]:
    """Everything the page's script needs to show any run of the model."""
    names, sets, tables, graphs, shapes = Pool(), Pool(), Pool(), Pool(), Pool()
    runs = [_run(entry, names, sets, tables, graphs) for entry in page.entries]
    return {
        "systems": _systems(page),
        "runs": runs,
        "sets": [
            [[name, names.place(operator), tensor] for name, operator, tensor in layers]
            for layers in sets.places
        ],
        "tables": [
            {"set": number, "graph": graph, "shapes": [shapes.place(text) for text in found]}
            for number, graph, found in tables.places
        ],
        "names": list(names.places),
        "shapes": list(shapes.places),
    }


def _systems(page: ModelPage) -> list[dict[str, Any]]:
    """What each system is called, and which are alike: as many threads, and `like` settings."""
    known = {entry.system: entry.settings for entry in page.entries}
    settings = [known.get(i, Settings()) for i in range(len(page.systems))]
    others = Pool()
    return [
        {
            "key": system.key,
            "label": in_page(system.label),
            "short": in_page(short),
            "threads": own.threads,
            "like": others.place(replace(own, threads=ANY_THREADS)),
        }
        for system, short, own in zip(page.systems, short_labels(page), settings, strict=True)
    ]


def short_labels(page: ModelPage) -> list[str]:
    """Names of the systems, without the device where there is but one, nor what all are set to."""
    one = len({system.device for system in page.systems}) == 1
    several = len(page.systems) > 1
    shared = set.intersection(*(set(s.settings) for s in page.systems)) if several else set()
    kept = [
        replace(system, settings=tuple(word for word in system.settings if word not in shared))
        for system in page.systems
    ]
    return [system.here if one else system.label for system in kept]


def embedded(data: dict[str, Any]) -> str:
    """JSON for a script element: no `<`, `>` or `&` that could end it or begin another."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def tensor_names(table: LayerTable) -> list[str]:
    """Every tensor of a table once, in order of appearance."""
    return once(_tensor_names, table)


def _tensor_names(table: LayerTable) -> list[str]:
    seen = {t.name: None for layer in table for t in (*layer.inputs, *layer.outputs)}
    return list(seen)


def shapes_of(table: LayerTable) -> tuple[str, ...]:
    """The shapes of `tensor_names`, as text."""
    return once(_shapes_of, table)


def _shapes_of(table: LayerTable) -> tuple[str, ...]:
    shapes = {t.name: sized_text(t) for layer in table for t in (*layer.inputs, *layer.outputs)}
    return tuple(shapes[name] for name in tensor_names(table))


def _run(entry: Entry, names: Pool, sets: Pool, tables: Pool, graphs: Pool) -> dict[str, Any]:
    run = entry.run
    layers = sets.place(once(_layer_set, run.table))
    graph = graphs.place(topology(run.table))
    found: dict[str, Any] = {
        "sys": entry.system,
        "batch": entry.batch,
        "table": tables.place((layers, graph, shapes_of(run.table))),
        "stem": entry.stem,
        "made": in_page(run.created),
        "cmd": in_page(run.command),
        "macs": entry.macs.sentence if entry.macs else "",
        "again": [in_page(text) for text in repeat(run).texts],
    }
    if entry.result is None:
        return found | {"fail": in_page(run.failure or "no times were stored")}
    return found | _result(entry, entry.result, names)


def _trust(entry: Entry, result: Reconciliation) -> dict[str, Any]:
    """How well the latency is known, its grade, what was not checked, and too few samples."""
    found = entry.grade
    return {
        "known": entry.known,
        **({"unchecked": entry.unchecked} if entry.unchecked else {}),
        **({"grade": found.value} if found else {}),
        **({} if has_interval(result.samples) else {"few": 1}),
    }


def _layer_set(table: LayerTable) -> tuple[tuple[str, str, int], ...]:
    """Name, operator and first output tensor of each node layer."""
    tensors = {name: i for i, name in enumerate(tensor_names(table))}
    return tuple(
        (
            in_page(layer.name),
            in_page(layer.op_type),
            tensors[layer.outputs[0].name] if layer.outputs else -1,
        )
        for layer in table.nodes
    )


def _result(entry: Entry, result: Reconciliation, names: Pool) -> dict[str, Any]:
    places = {id(layer): i for i, layer in enumerate(entry.run.table.nodes)}
    body, sums = body_rows(result), closing_rows(result)
    rows = [*body, *sums]
    return {
        "sums": len(sums),
        "total": result.total_ns,
        "whole": result.is_whole,
        **({"bound": 1} if entry.bound_ns is not None else {}),
        "pm": _half_width(result),
        **_trust(entry, result),
        "wrong": in_page(entry.wrong),
        "slow": [
            [
                label,
                in_page(" + ".join(covered(row))),
                in_page(operators(row, entry.run.table)),
                *(row.median_ns, row.p5_ns, row.p95_ns),
                places.get(id(row.layer), -1),
            ]
            for label, row in zip(slow_labels(result), slowest(result), strict=True)
        ],
        **_spent(entry.run),
        **({"tail": tail} if (tail := tail_rows(entry.run)) else {}),
        "text": in_page(reconciliation_text(result, entry.run, entry.least)),
        "kinds": folded_text(entry.run.warnings) if entry.run.warnings else "",
        "warn": [in_page(text) for text in warning_texts(entry.run)],
        "l": [places.get(id(row.layer), -1) for row in rows],
        "n": [names.place(_shown_name(row)) for row in rows],
        "s": [names.place(fate(row, entry.run.table)) for row in rows],
        "t": [names.place(in_page(row.step.name if row.step else "")) for row in rows],
        "o": [names.place(_operator(row)) for row in rows],
        "h": _homes(rows),
        "k": _kinds(rows, entry.run.table, names),
        "i": [i for i, row in enumerate(rows) if _is_inferred(row)],
        "d": [i for i, row in enumerate(rows) if row.doubt],
        **_columns(rows),
    }


def _shown_name(row: TimedRow) -> str:
    return "" if row.layer else in_page(row.name)


def _operator(row: TimedRow) -> str:
    return "" if row.layer or not row.step else in_page(row.step.op_type)


def _half_width(result: Reconciliation) -> float:
    """Half of the median's interval, or range, over the median; 0 where it is not known."""
    width = result.half_width if result.is_whole else 0.0
    return float(f"{width:.3g}") if math.isfinite(width) else 0.0


def _homes(rows: Sequence[TimedRow]) -> list[int]:
    """For each fused row in turn the row that has its step's time."""
    timed = {id(row.step): i for i, row in enumerate(rows) if row.status is Status.TIMED}
    return [timed.get(id(row.step), -1) for row in rows if row.status is Status.FUSED]


def _kinds(rows: Sequence[TimedRow], table: LayerTable, names: Pool) -> list[tuple[int, int]]:
    """Of rows whose step computes something its first layer does not say: row, operator."""
    operators = {layer.name: layer.op_type for layer in table.nodes}
    found = []
    for i, row in enumerate(rows):
        if row.status is Status.TIMED and (main := main_operator(row, operators)):
            found.append((i, names.place(in_page(main))))
    return found


def _is_inferred(row: TimedRow) -> bool:
    return row.step is not None and row.step.confidence is Confidence.INFERRED


def _spent(run: Run) -> dict[str, float]:
    """Millijoules an inference, watts and MiB resident, rounded; without what was not read."""
    found = run.telemetry
    if found is None:
        return {}
    spent: dict[str, float] = {}
    if found.peak_resident_bytes:
        spent["mib"] = round(found.peak_resident_bytes / 2**20, 1)
    whole = found.device_mj()
    if whole is not None:
        spent["mj"] = float(f"{whole / found.inferences:.4g}")
        if found.seconds:
            spent["w"] = float(f"{whole / 1e3 / found.seconds:.4g}")
    return spent


def _columns(rows: Sequence[TimedRow]) -> dict[str, list[int | None]]:
    """Medians, and how far p5 is below and p95 above them: shorter numbers than the ends are."""
    return {
        "m": [row.median_ns for row in rows],
        "lo": [_distance(row.p5_ns, row.median_ns) for row in rows],
        "hi": [_distance(row.median_ns, row.p95_ns) for row in rows],
    }


def _distance(low: int | None, high: int | None) -> int | None:
    return None if low is None or high is None else high - low
