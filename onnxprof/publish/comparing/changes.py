"""A comparison as a terminal table, Markdown, JSON or CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.grades import grade, worst
from onnxprof.analysis.intervals import latency_interval, median_ns
from onnxprof.compare.changes import CONVERSIONS, Comparison, Pair, Row
from onnxprof.compare.systems import runtime_version
from onnxprof.compare.verdict import Verdict
from onnxprof.publish.comparing import gains
from onnxprof.publish.text import grades, numbers, sentences, verdicts
from onnxprof.publish.text.csv import csv_of_records, dims_text
from onnxprof.publish.text.safe import in_markdown, printable, shortened
from onnxprof.records.run import Run
from onnxprof.store.encoding import request_to_json, to_json

#: Columns of the CSV, in order; JSON rows have these keys from `layer` to `only_b`.
COLUMNS = (
    *("model", "batch", "layer", "layers", "share", "a_ms", "b_ms", "ratio", "low", "high"),
    *("q", "verdict", "only_a", "only_b", "ratio_of", "phase", "dims"),
)
_WIDTH = 79
_LONGEST = 80
_LOUD = (Verdict.SLOWER, Verdict.FASTER, Verdict.ONLY_A, Verdict.ONLY_B)


def table(comparison: Comparison, *, limit: int | None = 12) -> RenderableType:
    """A terminal table of 80 columns: per pair the layers by share, then the latency.

    All layers that changed are shown, and others up to `limit` rows in all.
    """
    parts: list[RenderableType] = []
    for pair in comparison.pairs:
        parts += [
            *_heading(pair),
            _pair_table(pair, limit, comparison.in_turn),
            Text(_verdict_text(pair, comparison.in_turn)),
        ]
        scale = _scale(pair)
        parts += gains.table(pair, scale.unit, scale.ns, scale.digits, limit)
        parts += [*_warned(caveats(pair)), ""]
    parts += _warned(list(_unmatched(comparison)))
    return Group(*parts, Text(_rule(comparison), style="dim"))


def _warned(texts: Sequence[str]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    for text in texts:
        grid.add_row(Text("!"), Text(text), style="yellow")
    return [grid] if texts else []


def markdown(comparison: Comparison, *, limit: int = 12) -> str:
    """Markdown for a pull request: verdict, changed layers, the others in a folded section."""
    lines = [f"### onnxprof: {_outcome(comparison)}", ""]
    for pair in comparison.pairs:
        shown, rest = _chosen(pair, limit)
        verdict = _verdict_text(pair, comparison.in_turn)
        lines += [f"**{in_markdown(_title(pair))}** — {in_markdown(verdict)}", ""]
        head = _ratio_head(comparison.in_turn)
        lines += [*_markdown_table([pair.latency, *shown], _scale(pair), head), ""]
        if rest:
            lines += [f"<details><summary>{_more(rest)}</summary>", ""]
            lines += [*_markdown_table(rest, _scale(pair), head), "", "</details>", ""]
        scale = _scale(pair)
        lines += gains.markdown(pair, scale.unit, scale.ns, scale.digits)
        notes = (*_known_texts(pair), *difference_texts(pair), *caveats(pair))
        lines += [f"> {in_markdown(text)}  " for text in notes]
        lines += [""]
    lines += [f"> {in_markdown(text)}  " for text in _unmatched(comparison)]
    return "\n".join([*lines, f"<sub>{_rule(comparison)}</sub>"]) + "\n"


def to_csv(comparison: Comparison) -> str:
    """One row a model and layer; names are joined with `;`."""
    more = gains.COLUMNS if gains.has_any(comparison.pairs) else ()
    return csv_of_records((*COLUMNS, *more), _csv_records(comparison, more))


def _csv_records(comparison: Comparison, more: Sequence[str]) -> Iterator[dict[str, Any]]:
    for pair in comparison.pairs:
        asked = pair.a[0].request
        for row in (pair.latency, *pair.rows):
            record = _record(row)
            names = {key: ";".join(record[key]) for key in ("layers", "only_a", "only_b")}
            whole = {"model": asked.model_name, "batch": asked.batch, **record, **names}
            work = {"phase": asked.phase, "dims": dims_text(asked.dims)}
            further = gains.csv_fields(pair, row) if more else {}
            yield whole | {"ratio_of": _ratio_of(comparison), **work} | further


def difference_texts(pair: Pair) -> list[str]:
    """Facts that differ between the two sides, a line each."""
    return [printable(fact.sentence()) for fact in pair.differences]


def caveats(pair: Pair) -> list[str]:
    """The caveats that limit the verdicts, as sentences."""
    return [verdicts.remark_text(remark, "AB") for remark in pair.remarks]


def plain(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as dicts, lists and numbers."""
    return {
        "threshold": comparison.threshold,
        "ratios_of": _ratio_of(comparison),
        "regressed": comparison.regressed,
        "pairs": [_plain_pair(pair) for pair in comparison.pairs],
        "unmatched_a": [_side(run) for run in comparison.unmatched_a],
        "unmatched_b": [_side(run) for run in comparison.unmatched_b],
    }


def _ratio_of(comparison: Comparison) -> str:
    """The basis of the ratios: in-turn ratios need not be the quotients of the printed times."""
    return "neighbouring blocks" if comparison.in_turn else "times"


def _plain_pair(pair: Pair) -> dict[str, Any]:
    return {
        "a": [_side(run) for run in pair.a],
        "b": [_side(run) for run in pair.b],
        "processes_a": pair.processes[0],
        "processes_b": pair.processes[1],
        "differences": to_json(pair.differences),
        "caveats": to_json(pair.caveats),
        "latency": _record(pair.latency),
        "rows": [_record(row) for row in pair.rows],
        "interruptions_a_ms": _ms(pair.interruptions_ns[0]),
        "interruptions_b_ms": _ms(pair.interruptions_ns[1]),
        "overhead_a_ms": pair.overhead_ns[0] / 1e6,
        "overhead_b_ms": pair.overhead_ns[1] / 1e6,
        **({} if pair.quantised is None else {"quantised": gains.plain(pair.quantised)}),
    }


def _side(run: Run) -> dict[str, Any]:
    found = grade(run)
    return {
        "request": request_to_json(run.request),
        "created": run.created,
        "command": run.command,
        "samples": 0 if run.timings is None else int(run.timings.latency_ns.size),
        "grade": found.value if found else None,
    }


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6


def _record(row: Row) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    return {
        "layer": row.name,
        "layers": list(row.layers),
        "share": row.share,
        "a_ms": _ms(row.a_ns),
        "b_ms": _ms(row.b_ns),
        "ratio": row.ratio,
        "low": low,
        "high": high,
        "q": row.q,
        "verdict": row.verdict.value,
        "only_a": list(row.only_a),
        "only_b": list(row.only_b),
    }


def _chosen(pair: Pair, limit: int | None) -> tuple[list[Row], list[Row]]:
    """Rows to show, by share, and the others."""
    rows = sorted(pair.rows, key=lambda row: (row.verdict not in _LOUD, -row.share))
    loud = sum(row.verdict in _LOUD for row in rows)
    count = len(rows) if limit is None else max(loud, limit)
    return sorted(rows[:count], key=lambda row: -row.share), rows[count:]


def _title(pair: Pair) -> str:
    ours, theirs = pair.a[0].request, pair.b[0].request
    both = ours.model_name == theirs.model_name
    names = ours.model_name if both else f"{ours.model_name} (A) and {theirs.model_name} (B)"
    return f"{names}, {ours.sizes}, {sentences.threads(ours.threads)}"


def _heading(pair: Pair) -> Iterator[Text]:
    yield Text(printable(_title(pair)), style="bold")
    names_runtimes = any(runs[0].request.runtime for runs in (pair.a, pair.b))
    for side, runs, count in zip("AB", (pair.a, pair.b), pair.processes, strict=True):
        asked = runs[0].request
        what = runtime_version(runs[0]) if names_runtimes else asked.backend
        where = f"{what} on {runs[0].device.name or asked.device_id}"
        times = f"{count} process{'' if count == 1 else 'es'}"
        moment = runs[-1].created.replace("T", " ")[:16]
        known = ", ".join(filter(None, (moment, _known_text(runs))))
        yield Text(printable(f"{side}: {where}, {times}, {known}"))


def _known_text(runs: Sequence[Run]) -> str:
    """The grade of a side's latency; of several runs the worst."""
    found, timings = worst(map(grade, runs)), runs[0].timings
    if len(runs) > 1 or timings is None or not timings.latency_ns.size:
        return grades.word(found)
    samples = timings.latency_ns
    return grades.known_text(
        found, median_ns(samples), latency_interval(timings), int(samples.size)
    )


def _known_texts(pair: Pair) -> Iterator[str]:
    sides = [(side, _known_text(runs)) for side, runs in (("A", pair.a), ("B", pair.b))]
    if told := [f"{side}: {text}" for side, text in sides if text]:
        yield "; ".join(told)


@dataclass(frozen=True, slots=True)
class _Scale:
    """One unit a table, with five digits of the latency."""

    unit: str
    ns: float
    digits: int

    def text(self, ns: float | None) -> str:
        """The figure without its unit; nothing for None."""
        return "" if ns is None else f"{ns / self.ns:.{self.digits}f}"


def _scale(pair: Pair) -> _Scale:
    longest = max(pair.latency.a_ns or 0.0, pair.latency.b_ns or 0.0)
    unit, ns = ("µs", 1e3) if longest < 1e6 else ("ms", 1e6)
    return _Scale(unit, ns, max(0, 5 - len(str(int(longest / ns)))))


def _ratio_head(in_turn: bool) -> str:
    return "paired" if in_turn else "B / A"


def _pair_table(pair: Pair, limit: int | None, in_turn: bool) -> Table:
    shown, rest = _chosen(pair, limit)
    scale = _scale(pair)
    lines = [_figures(row, scale) for row in (*shown, pair.latency)]
    a, b = map(scale.text, pair.overhead_ns)
    times, ratio = (f"A {scale.unit}", f"B {scale.unit}"), _ratio_head(in_turn)
    heads = ("share", *times, ratio, "95 % interval", "verdict")
    widths = [max(map(len, c)) for c in zip(heads, *lines, ("", a, b, "", "", ""), strict=True)]
    names = max(12, _WIDTH - sum(widths) - 2 * len(widths))
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column("layer", no_wrap=True)
    for head, width in zip(heads, widths, strict=True):
        justify: Literal["left", "right"] = "left" if head == "verdict" else "right"
        grid.add_column(head, justify=justify, no_wrap=True, min_width=width)
    for row, line in zip(shown, lines, strict=False):
        grid.add_row(
            *map(Text, (_name(row, names), *line)), style=verdicts.STYLES.get(row.verdict, "")
        )
    if rest:
        grid.add_row(Text(f"({len(rest)} more rows)"), style="dim")
    grid.add_section()
    if any(ns is not None for ns in pair.interruptions_ns):
        interruptions = map(scale.text, pair.interruptions_ns)
        grid.add_row("(interruptions)", "", *interruptions, style="dim")
    grid.add_row("(overhead)", "", a, b, style="dim")
    style = f"bold {verdicts.STYLES.get(pair.latency.verdict, '')}".strip()
    grid.add_row(*map(Text, (pair.latency.name, *lines[-1])), style=style)
    return grid


def _figures(row: Row, scale: _Scale) -> tuple[str, ...]:
    return (
        numbers.percent(row.share),
        scale.text(row.a_ns),
        scale.text(row.b_ns),
        "" if row.ratio is None else f"{row.ratio:.3f}",
        "" if row.interval is None else f"{row.interval[0]:.3f}–{row.interval[1]:.3f}",
        row.verdict.value,
    )


def _name(row: Row, longest: int) -> str:
    counted = len(row.layers) > 1 and row.name != CONVERSIONS
    more = f" +{len(row.layers) - 1}" if counted else ""
    return shortened(printable(row.name), longest - len(more)) + more


def _more(rest: Sequence[Row]) -> str:
    return f"({len(rest)} more: {_counted(rest)})"


def _counted(rows: Sequence[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])


def _verdict_text(pair: Pair, in_turn: bool) -> str:
    row = pair.latency
    of = f"{_ratio_head(in_turn)} " if in_turn else ""
    between = "{:.3f} to {:.3f}".format(*row.interval) if row.interval else "no 95 % interval"
    ratio = "" if row.ratio is None else f" ({of}{row.ratio:.3f}, {between})"
    layers = f"; layers: {_counted(pair.rows)}" if pair.rows else ""
    return f"Latency of B: {row.verdict}{ratio}{layers}."


def _outcome(comparison: Comparison) -> str:
    if comparison.regressed:
        return f"{verdicts.ICONS[Verdict.SLOWER]}slower"
    rows = [row for pair in comparison.pairs for row in (pair.latency, *pair.rows)]
    faster = any(row.verdict is Verdict.FASTER for row in rows)
    return f"{verdicts.ICONS[Verdict.FASTER]}faster" if faster else "no regression found"


def _unmatched(comparison: Comparison) -> Iterator[str]:
    for side, runs in (("A", comparison.unmatched_a), ("B", comparison.unmatched_b)):
        for run in runs:
            asked = run.request
            where = f"{asked.backend} on {asked.device_id}, {sentences.threads(asked.threads)}"
            yield printable(f"Only in {side}: {asked.model_name}, {asked.sizes}, {where}")


def _rule(comparison: Comparison) -> str:
    paired = (
        "paired: B over A as the median of blocks that were measured one after the other, without"
        " what the profiler adds to a layer; it need not be the quotient of the times beside it. "
    )
    return f"{paired if comparison.in_turn else ''}{verdicts.words_text(comparison.threshold)}"


def _markdown_table(rows: Sequence[Row], scale: _Scale, head: str) -> Iterator[str]:
    yield f"| layer | share | A {scale.unit} | B {scale.unit} | {head} | 95 % interval | verdict |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        figures = _figures(row, scale)
        cells = [in_markdown(_name(row, _LONGEST)), *figures[:-1]]
        yield f"| {' | '.join(cells)} | {verdicts.ICONS.get(row.verdict, '')}{figures[-1]} |"
