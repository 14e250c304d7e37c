"""Summaries of stored runs as a terminal table, JSON or CSV; and whole runs as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from onnxprof.compare.axes.families import leading, size_in
from onnxprof.plugins.source_places import cleaned
from onnxprof.publish.tables.many_rows import Cell, Column, ManyRows
from onnxprof.publish.text import grades, sentences
from onnxprof.publish.text.csv import csv_of_records
from onnxprof.publish.text.safe import printable
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Request, Run
from onnxprof.store import encoding
from onnxprof.store.summary import Summary, short_id

#: The keys of a run in JSON and the columns of the CSV, in order.
COLUMNS = (
    "id",
    "created",
    "model",
    "device",
    "device_name",
    "backend",
    "provider",
    "batch",
    "threads",
    "granularity",
    "timer",
    "median_ms",
    "low_ms",
    "high_ms",
    "samples",
    "layer_sum_ms",
    "steps",
    "energy_mj",
    "power_w",
    "peak_resident_bytes",
    "warnings",
    "failure",
    "path",
    "dims",
    "tags",
    "grade",
    "options",
)


def run_id(run: Summary | Run) -> str:
    """The run's id: the first seven hex digits of the request's digest, as in the file's name."""
    return short_id(run.request)


def list_records(summaries: Iterable[Summary]) -> list[dict[str, Any]]:
    """A dict per run with the keys of COLUMNS; None for values that were not measured."""
    return [_record(summary) for summary in summaries]


def list_json(summaries: Iterable[Summary]) -> str:
    """The runs as a JSON list of objects; warnings are a list of kinds, dims an object."""
    return json.dumps(list_records(summaries), indent=2) + "\n"


def list_csv(summaries: Iterable[Summary]) -> str:
    """The runs as CSV; warnings, dims and tags are joined by `;`."""
    return csv_of_records(COLUMNS, map(_joined, list_records(summaries)))


def _joined(record: dict[str, Any]) -> dict[str, Any]:
    dims = [f"{axis}={size}" for axis, size in record["dims"].items()]
    lists = {name: record[name] for name in ("warnings", "tags", "options")} | {"dims": dims}
    return record | {name: ";".join(items) for name, items in lists.items()}


def list_table(summaries: Sequence[Summary]) -> RenderableType:
    """Runs under a heading for each model, backend, provider, device and number of threads.

    The sizes of axes other than the batch stand in the heading, too. The summaries come oldest
    first; so do the groups, by their newest run, and the runs in them.
    """
    groups: dict[str, list[Summary]] = {}
    axes = _telling_axes(summaries)
    for summary in reversed(summaries):
        telling = axes.get(summary.request.model_name, ())
        groups.setdefault(_heading(summary.request, telling), []).append(summary)
    ranges = any(s.samples and s.half_width is None for s in summaries)
    moment = _day if ranges else _moment
    parts = [ManyRows(name, _LISTED, _rows(g, moment)) for name, g in reversed(groups.items())]
    return Group(*parts, *_notes(summaries))


def _telling_axes(summaries: Iterable[Summary]) -> dict[str, tuple[str, ...]]:
    """By model the axes whose sizes stand in headings.

    Those are all but the ones that follow others, as a total its parts.
    """
    seen: dict[str, dict[tuple[tuple[str, int], ...], Request]] = {}
    for summary in summaries:
        asked = summary.request
        if asked.dims:
            seen.setdefault(asked.model_name, {}).setdefault(tuple(sorted(asked.dims)), asked)
    return {name: _telling(list(requests.values())) for name, requests in seen.items()}


def _telling(requests: Sequence[Request]) -> tuple[str, ...]:
    axes = sorted({axis for asked in requests for axis, _ in asked.dims})
    if len(requests) < 2:
        return tuple(axes)
    leads = set(leading(requests))
    varying = {axis for axis in axes if len({size_in(asked, axis) for asked in requests}) > 1}
    return tuple(axis for axis in axes if axis in leads or axis not in varying)


@lru_cache(maxsize=1 << 16)
def _heading(asked: Request, axes: tuple[str, ...]) -> str:
    threads = sentences.threads(asked.threads)
    sizes = [f"{axis}={size}" for axis, size in sorted(asked.dims) if axis in axes]
    names = (asked.model_name, f"{sentences.runtime(asked)} on {asked.device_id}", threads, *sizes)
    return printable(", ".join((*names, *asked.words)))


#: Nanoseconds of the unit of the table.
_MS = 1_000_000
#: Runs of a tag that are named below a list.
_MOST_IDS = 6
_LISTED = (
    Column("batch", "right"),
    Column("median ms", "right"),
    Column("grade", min_width=14),
    Column("layers", "right"),
    Column("!", "right"),
    Column("created"),
    Column("id"),
)


def _rows(
    newest_first: Sequence[Summary], moment: Callable[[Summary], str]
) -> list[tuple[Cell, ...]]:
    """The oldest first."""
    return [(*_figures(s), moment(s), run_id(s)) for s in reversed(newest_first)]


def everything(
    runs: Iterable[Run], ceilings_of: Callable[[Run], Ceilings | None] | None = None
) -> str:
    """Every fact, every sample, the timing rows and percentiles of each run, as one JSON object.

    The facts are those of the stored file (docs/store.md); `rows` is empty for a failed run.
    """
    return "".join(everything_parts(runs, ceilings_of))


def everything_parts(
    runs: Iterable[Run], ceilings_of: Callable[[Run], Ceilings | None] | None = None
) -> Iterator[str]:
    """The same text in parts, a run each, as the runs come."""
    before = '{"runs":['
    for run in runs:
        ceilings = ceilings_of(run) if ceilings_of else None
        yield before + json.dumps(_whole(run, ceilings), separators=(",", ":"))
        before = ","
    yield "]}\n" if before == "," else f"{before}]}}\n"


def _whole(run: Run, ceilings: Ceilings | None) -> dict[str, Any]:
    from onnxprof.publish.latency.percentiles import of_run, percentile_records
    from onnxprof.publish.latency.streams import streams_record
    from onnxprof.publish.reasons.roofs import roofline_json
    from onnxprof.publish.tables.timings import timing_records

    return encoding.run_to_json(run) | {
        "timings": encoding.timings_to_json(run.timings),
        "rows": timing_records(run, ceilings) if run.timings else [],
        "roofline": roofline_json(run, ceilings) if run.timings else None,
        "percentiles": percentile_records(of_run(run)),
        "streams": streams_record(run),
    }


def _record(summary: Summary) -> dict[str, Any]:
    asked = summary.request
    low, high = summary.interval_ns or (None, None)
    values = (
        run_id(summary),
        summary.created,
        asked.model_name,
        asked.device_id,
        summary.device_name,
        asked.backend,
        asked.provider,
        asked.batch,
        asked.threads,
        asked.granularity.value,
        asked.timer,
        _ms(summary.median_ns),
        _ms(low),
        _ms(high),
        summary.samples,
        _ms(summary.layer_sum_ns),
        summary.steps,
        summary.energy_mj,
        summary.power_w,
        summary.peak_resident_bytes,
        [kind.value for kind in summary.warnings],
        cleaned(summary.failure),
        summary.file,
        dict(asked.dims),
        list(summary.tags),
        summary.grade.value if summary.grade else None,
        list(asked.words),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _tag_texts(summaries: Iterable[Summary]) -> list[str]:
    """`baseline: 3f9a2c5, 91ab03f`, for each tag."""
    tagged: dict[str, dict[str, None]] = {}
    for summary in summaries:
        for tag in summary.tags:
            tagged.setdefault(tag, {})[run_id(summary)] = None
    return [f"tag {tag}: {_few(list(ids))}" for tag, ids in sorted(tagged.items())]


def _few(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:_MOST_IDS])
    return f"{shown} and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else shown


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _moment(summary: Summary) -> str:
    return printable(summary.created.replace("T", " ")[:16])


def _day(summary: Summary) -> str:
    """The moment without its time, which leaves room for ranges."""
    return _moment(summary)[:10]


def _figures(summary: Summary) -> tuple[Cell, ...]:
    batch = str(summary.request.batch)
    count = str(len(summary.warnings) or "")
    caveats = Text(count, style="red") if summary.is_wrong else count
    if summary.failure:
        return batch, Text("failed", style="red"), "", "", caveats
    if summary.median_ns is None:
        return batch, "not known", "", "", caveats
    share = summary.layer_share
    return (
        batch,
        f"{summary.median_ns / 1e6:.3f}",
        _known(summary),
        "" if share is None else f"{100 * share:.0f} %",
        caveats,
    )


def _known(summary: Summary) -> str:
    """`● solid ±0.6 %`; of fewer than six samples the range in milliseconds."""
    given = summary.median_ns or 0, summary.interval_ns or (0, 0), summary.samples
    parts = grades.word(summary.grade), grades.spread_cell(*given, _MS)
    return " ".join(filter(None, parts))


def _notes(summaries: Sequence[Summary]) -> list[RenderableType]:
    notes: list[RenderableType] = [Text(text) for text in _tag_texts(summaries)]
    notes += [
        Text(f"{run_id(s)} failed: {printable(cleaned(s.failure))}", style="red")
        for s in summaries
        if s.failure
    ]
    notes += [
        Text(f"{run_id(s)} gave wrong outputs: do not trust its times", style="red")
        for s in summaries
        if s.is_wrong
    ]
    if any(s.grade for s in summaries):
        notes.append(Text(grades.legend_text(), style="dim"))
    if any(s.layer_share is not None for s in summaries):
        words = "layers: what the steps add up to, in per cent of the median latency"
        notes.append(Text(words, style="dim"))
    if any(s.warnings for s in summaries):
        notes.append(
            Text("!: number of warnings; `onnxprof runs show ID` spells them out", style="dim")
        )
    return notes
