"""A run on a terminal of 80 columns or more: facts, sums, the slowest layers, caveats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.grades import grade
from onnxprof.analysis.memory.alive import alive_in_run, known_alive
from onnxprof.analysis.reconcile import CLOSING, Reconciliation, Status, TimedRow, reconcile
from onnxprof.analysis.widened import computed_in
from onnxprof.publish.latency.amount import amount_text
from onnxprof.publish.latency.percentiles import percentiles_text
from onnxprof.publish.latency.streams import streams_text
from onnxprof.publish.reasons.macs import macs_of
from onnxprof.publish.tables.runs import run_id
from onnxprof.publish.text import grades, numbers, sentences
from onnxprof.publish.text.memory import counted_text, peak_text, size_text
from onnxprof.publish.text.roofs import alone_text, beaten_text, bound_text, why_text
from onnxprof.publish.text.safe import Cut, printable, shortened, telling_cut
from onnxprof.publish.text.telemetry import telemetry_facts, telemetry_line
from onnxprof.publish.text.warnings import folded_text, warning_texts
from onnxprof.reasons.roofline import Roofline, roofline
from onnxprof.reasons.work import counted
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.run import Run
from onnxprof.records.warning import WarningKind

_BAR = 10
_MOST_DOUBTS = 3
#: More warnings than this are folded into a line where the caller asks for it.
_MOST_WARNINGS = 2
#: From this width on there is a column with the bytes that are alive.
_WIDE = 100
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def summary(
    run: Run, *, limit: int | None = 10, ceilings: Ceilings | None = None, folded: bool = False
) -> RenderableType:
    """Headline, grade and reconciliation line, slowest layers, percentiles and warnings of a run.

    With ceilings, what bounds each layer and the network. `limit` bounds the layers shown, None
    shows every one that has a time. The printed times add up to the total, whatever was rounded or
    left out. `folded` puts three warnings or more into a line that says their number and kinds, but
    never that outputs are wrong. Raises StoreError for a run whose times do not match its steps.
    """
    parts: list[RenderableType] = [headline(run)]
    if run.timings is None:
        parts.append(Text(f"failed: {printable(run.failure)}", style="red"))
    else:
        sums = reconcile(run)
        roofs = roofline(run, ceilings, sums) if ceilings else None
        parts += [graded(sums, run), _Fitted(sums, run, limit, roofs)]
        parts += [Text(text) for text in _possible(roofs)]
        parts += [doubts] if (doubts := _doubts(sums, limit)) else []
        parts += [legend] if (legend := _untimed(sums)) else []
        parts += [Text(line) for line in (percentiles_text(run), streams_text(run)) if line]
        parts += [Text(f"Telemetry: {line}.")] if (line := telemetry_line(run.telemetry)) else []
        memory = (peak_text(alive_in_run(run)), counted_text(run))
        parts += [Text(line) for line in memory if line]
    return Group(*parts, *_caveats(run, folded))


def graded(sums: Reconciliation, run: Run) -> Text:
    """The grade of the latency before the sentence that says how well it is known."""
    sentence, found = Text(sentences.reconciliation_text(sums, run)), grade(run, sums)
    if found is None:
        return sentence
    return Text.assemble((grades.word(found), grades.STYLES[found]), ": ", sentence)


def facts(run: Run) -> RenderableType:
    """A table of facts: model, device, options, environment, the command to repeat the run."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _facts(run):
        if value:
            grid.add_row(Text(printable(name)), Text(printable(value)))
    return grid


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The timing table, laid out for the width at which it is printed."""

    sums: Reconciliation
    run: Run
    limit: int | None
    roofs: Roofline | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        yield layers(self.sums, self.run, self.limit, options.max_width, self.roofs)


def layers(
    sums: Reconciliation,
    run: Run,
    limit: int | None = 10,
    width: int = 80,
    roofs: Roofline | None = None,
) -> Table:
    """The timing table, slowest row first, then the rest, the overhead and the total.

    The last column is what bounds each row, or a bar where there are no roofs; from 100 columns on
    there is one with the activations that are alive while the step runs. Names and types are cut to
    fit `width`; figures never are.
    """
    lines = lines_of(sums, run.table, limit, roofs, known_alive(run) if width >= _WIDE else {})
    types = max(len("type"), *(min(len(line.kind), width // 6) for line in lines))
    cells = zip(("ms", "p95", "share"), *map(Line.figures, lines), strict=True)
    figures = [max(map(len, column)) for column in cells]
    alive = max(len(line.alive) for line in lines)
    gaps = 2 * (len(_HEADINGS) + (alive > 0))
    last = max([_BAR, *(len(line.why) for line in lines)]) + max(alive, 5 * (alive > 0))
    names = max(12, width - types - sum(figures) - last - gaps)
    cut = telling_cut([(line.name, names - len(line.more)) for line in lines])
    scale = max((line.share or 0.0 for line in lines if not line.closing), default=0.0)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    least = [None, None, *figures, None]
    for heading, figure in zip(_HEADINGS, least, strict=True):
        justify = _HEADINGS[heading]
        heading = heading or ("why" if roofs else "")
        table.add_column(heading, no_wrap=True, justify=justify, min_width=figure)
    if alive:
        table.add_column("alive", no_wrap=True, justify="right", min_width=alive)
    for line in lines:
        if line.section:
            table.add_section()
        drawn = 0.0 if roofs else scale
        more = [Text(line.alive)] if alive else []
        table.add_row(*line.cells(drawn, names, types, cut), *more, style=line.style)
    return table


_HEADINGS: dict[str, Literal["left", "right"]] = {
    "layer": "left",
    "type": "left",
    "ms": "right",
    "p95": "right",
    "share": "right",
    "": "left",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the timing table as texts; its name and kind are safe to print."""

    name: str
    kind: str
    ms: str
    p95: str
    share: float | None
    """None where it is not known."""
    style: str = ""
    closing: bool = False
    more: str = ""
    """The number of further layers of the step, as ` +2`."""
    mark: str = ""
    """Printed after the time: `?` if the rank is in doubt, a blank to align decimal points."""
    section: bool = False
    """Whether a rule stands above it."""
    why: str = ""
    """What bounds it, as `L3 41 %`; empty without ceilings, and then there is a bar."""
    alive: str = ""
    """Activations that are alive while the step runs."""

    def figures(self) -> tuple[str, str, str]:
        """The cells that are never cut: time, p95, share."""
        return (
            self.ms + self.mark,
            self.p95,
            "" if self.share is None else numbers.percent(self.share),
        )

    def cells(self, scale: float, names: int, types: int, cut: Cut) -> tuple[Text, ...]:
        """The cells of all columns; the bar is relative to `scale`, names are cut by `cut`."""
        drawn = "" if self.closing else bar((self.share or 0.0) / scale if scale else 0)
        name = cut(self.name, names - len(self.more)) + self.more
        cells = (name, shortened(self.kind, types), *self.figures())
        return (*map(Text, cells), Text(self.why or drawn, style="cyan"))


def lines_of(
    sums: Reconciliation,
    table: LayerTable,
    limit: int | None,
    roofs: Roofline | None,
    alive: Mapping[str, int],
) -> list[Line]:
    """The rows of the timing table, slowest first, then the rest, the overhead and the total.

    Their printed times add up to the total. `alive` has the bytes that are alive by step.
    """
    timed = _ranked(sums)
    shown = timed if limit is None else timed[:limit]
    digits = 6 if limit is None or sums.total_ns < 1_000_000 else 3
    nodes = {layer.name: layer for layer in table.nodes}
    total = _rounded(sums.total_ns, digits)
    lines = [_timed(row, nodes, digits, alive, computed_in(row.step, table)) for row in shown]
    if roofs:
        whys = (why_text(roofs.by_name.get(row.name)) for row in shown)
        lines = [replace(line, why=why) for line, why in zip(lines, whys, strict=True)]
    left = total - sum((Decimal(line.ms) for line in lines), Decimal(0))
    closing = []
    if sums.interruptions_ns is not None:
        interruptions = _rounded(sums.interruptions_ns, digits)
        left -= interruptions
        closing.append(_closing("(interruptions)", interruptions, sums.interruptions_ns, sums))
    rest = timed[len(shown) :]
    if rest:
        overhead = _rounded(sums.overhead_ns, digits)
        lines.append(_others(rest, left - overhead, sums))
        left = overhead
    is_rounding = bool(left) and _has_sum(sums)
    closing.append(
        _closing("(rounding)" if is_rounding else "(overhead)", left, sums.overhead_ns, sums)
    )
    closing[0] = replace(closing[0], section=True)
    lines += [*closing, _closing("(total)", total, sums.total_ns, sums)]
    return [replace(line, mark=line.mark or " ") for line in lines] if _any_marked(lines) else lines


def _possible(roofs: Roofline | None) -> list[str]:
    """What the network could take, and which bounds are wrong."""
    if roofs is None:
        return []
    return [t for t in (bound_text(roofs), alone_text(roofs), beaten_text(roofs)) if t]


def _ranked(sums: Reconciliation) -> list[TimedRow]:
    """Rows that stand for steps and have a time, slowest first."""
    timed = [r for r in sums.rows if r.status not in CLOSING and r.median_ns is not None]
    return sorted(timed, key=lambda row: -row.rank_ns)


def _any_marked(lines: Sequence[Line]) -> bool:
    return any(line.mark for line in lines)


def _doubts(sums: Reconciliation, limit: int | None) -> Text | None:
    """A note on the shown rows whose rank is in doubt, with the reasons; None without any."""
    rows = [row for row in _ranked(sums)[:limit] if row.doubt is not None]
    if not rows:
        return None
    listed_rows = [
        f"{printable(shortened(row.name, 24))} ({sentences.doubt_text(row.doubt)})"
        for row in rows[:_MOST_DOUBTS]
        if row.doubt is not None
    ]
    more = [f"{len(rows) - len(listed_rows)} more"] if len(rows) > len(listed_rows) else []
    listed = ", ".join(listed_rows + more)
    return Text(f"? {sentences.DOUBTFUL}: {listed}.")


def _timed(
    row: TimedRow, nodes: dict[str, Layer], digits: int, alive: Mapping[str, int], wide: str
) -> Line:
    stray = row.status is Status.UNATTRIBUTED
    covered = [nodes[name] for name in row.step.layers if name in nodes] if row.step else []
    kinds = dict.fromkeys(layer.layer_type for layer in covered)
    return Line(
        printable(_namesake(row, covered)),
        "no layer" if stray else printable(sentences.types_text(kinds, wide)),
        str(_rounded(row.median_ns or 0, digits)),
        "" if row.p95_ns is None else _p95(row.p95_ns, digits),
        row.share or 0.0,
        "yellow" if stray else "",
        more=f" +{len(covered) - 1}" if len(covered) > 1 else "",
        mark="?" if row.doubt else "",
        alive=size_text(alive[row.step.name]) if row.step and row.step.name in alive else "",
    )


def _p95(ns: int, digits: int) -> str:
    return str(_rounded(ns, 3 if digits == 3 or ns >= 10**8 else digits))


def _namesake(row: TimedRow, covered: Sequence[Layer]) -> str:
    """The row's printed name: the layer whose operator is in the step's, as Conv in FusedConv."""
    executed = row.step.op_type if row.step else ""
    alike = (layer.name for layer in covered if layer.op_type and layer.op_type in executed)
    return next(alike, row.name)


def _others(rest: Sequence[TimedRow], ms: Decimal, sums: Reconciliation) -> Line:
    share = sum(row.median_ns or 0 for row in rest) / sums.total_ns if sums.total_ns else 0.0
    plural = "s" if len(rest) > 1 else ""
    return Line(f"({len(rest)} more row{plural})", "", str(ms), "", share, "dim", True)


def _has_sum(sums: Reconciliation) -> bool:
    """Whether there is a published sum in place of a latency."""
    return not sums.is_whole and bool(sums.rows) and sums.rows[-1].median_ns is not None


def _closing(name: str, ms: Decimal, ns: int, sums: Reconciliation) -> Line:
    style = "bold" if name == "(total)" else "dim"
    if not sums.is_whole and (name == "(overhead)" or not _has_sum(sums)):
        return Line(name, "", "not known", "", None, style, True)
    share = ns / sums.total_ns if sums.total_ns else 0.0
    return Line(name, "", str(ms), "", share, style, True)


def _rounded(ns: int, digits: int) -> Decimal:
    return (Decimal(ns) / 1_000_000).quantize(Decimal(1).scaleb(-digits))


def bar(fraction: float) -> str:
    """A bar of at most ten characters for a fraction from 0 to 1."""
    eighths = round(max(0.0, min(1.0, fraction)) * _BAR * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _untimed(sums: Reconciliation) -> Text | None:
    """A note on how many layers have no row, by reason; None if all have one."""
    counts = [
        (sum(row.status is status for row in sums.rows), text)
        for status, text in (
            (Status.FUSED, "fused into a step counted above (+n)"),
            (Status.FOLDED, "computed while loading"),
            (Status.NOT_EXECUTED, "not executed"),
            (Status.UNKNOWN, "without a step that provably did its work"),
            (Status.UNTIMED, "never timed"),
        )
    ]
    text_parts = "; ".join(f"{count} {text}" for count, text in counts if count)
    return Text(f"Layers without a row: {text_parts}.", style="dim") if text_parts else None


def headline(run: Run) -> Text:
    """Model, sizes, runtime, device, threads and what is not as usual on a line."""
    asked = run.request
    threads = sentences.threads(asked.threads)
    where = f"{sentences.runtime(asked)} on {run.device.name or asked.device_id}"
    head = Text(printable(asked.model_name), style="bold")
    facts = ("", asked.sizes, where, threads, *asked.setup.words)
    return head.append(printable(", ".join(facts)), style="not bold")


def _caveats(run: Run, folded: bool) -> list[RenderableType]:
    if not run.warnings:
        return []
    texts = warning_texts(run)
    if folded and len(texts) > _MOST_WARNINGS:
        texts = [*_wrong(run, texts), f"{folded_text(run.warnings)}; {_spelled(run)}"]
    grid = Table.grid(padding=(0, 1))
    for text in texts:
        grid.add_row(Text("!"), Text(text), style="yellow")
    return ["", grid]


def _wrong(run: Run, texts: Sequence[str]) -> list[str]:
    pairs = zip(run.warnings, texts, strict=True)
    return [text for warning, text in pairs if warning.kind is WarningKind.PARITY_FAILED]


def _spelled(run: Run) -> str:
    return f"`onnxprof runs show {run_id(run)}` spells them out"


def _facts(run: Run) -> list[tuple[str, str]]:
    asked, model, timings = run.request, run.model, run.timings
    sizes = ", ".join(f"{name}={size}" for name, size in asked.dims)
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opsets)
    file_size = f"{model.file_bytes:,} bytes, " if model.file_bytes else ""
    return [
        ("model", model.reference),
        ("sha256", model.sha256),
        ("opset", opsets),
        ("size", f"{file_size}{model.parameters:,} parameters"),
        ("work", macs_of(counted(run.table).costs.values(), run.table).sentence),
        ("device", f"{run.device.name} ({asked.device_id})"),
        ("backend", f"{asked.backend}, provider {asked.provider}"),
        ("asked", f"{asked.granularity.value} steps, timer {asked.timer}, seed {asked.seed}"),
        ("amount", amount_text(asked)),
        ("options", ", ".join(asked.words)),
        ("axes", sizes),
        ("samples", sentences.thinned_text(run)),
        ("load", numbers.duration(timings.load_ns) if timings and timings.load_ns else ""),
        ("first", numbers.duration(timings.first_ns) if timings and timings.first_ns else ""),
        ("outputs", sentences.parity_text(run.parity)),
        *telemetry_facts(run.telemetry),
        ("created", run.created),
        ("again", run.command),
        *run.environment,
    ]
