"""Parts that all renderers of an alignment share: the choice of blocks, names, captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import groupby

from onnxprof.analysis.grades import grade, has_interval
from onnxprof.compare.table import Alignment, Cell, Column, Fate, Row, RowKind
from onnxprof.publish.drawing.apart import apart
from onnxprof.publish.text import grades, numbers, sentences, verdicts
from onnxprof.publish.text.safe import CUTS, Cut, printable, shortened
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence

_FATES = {
    Fate.FOLDED: "folded",
    Fate.CONSTANT: "constant",
    Fate.INPUT: "input",
    Fate.NOT_EXECUTED: "not run",
    Fate.UNTIMED: "untimed",
    Fate.ABSENT: "absent",
    Fate.UNTOLD: "·",
}


class Sort(StrEnum):
    """Order of the blocks."""

    GRAPH = "graph"
    TIME = "time"
    RATIO = "ratio"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which blocks are shown, and in which order."""

    sort: Sort = Sort.GRAPH
    limit: int | None = None
    """How many blocks: those with the largest shares, or the first ones in the chosen order."""
    min_share: float = 0.0
    """Only blocks that take at least this fraction of the latency of any run."""


@dataclass(frozen=True, slots=True)
class Picked:
    """Blocks that are shown, in order, and the others."""

    shown: tuple[Row, ...]
    rest: tuple[Row, ...]


def pick(alignment: Alignment, choice: Choice) -> Picked:
    """Choose and order the blocks."""
    rows, key = alignment.rows, _KEYS[choice.sort]
    wanted = [i for i, row in enumerate(rows) if _share(row, 0) >= choice.min_share]
    ranked = sorted(wanted, key=lambda i: key(rows[i], alignment.baseline), reverse=True)
    kept = ranked if choice.limit is None else ranked[: choice.limit]
    order = sorted(kept) if choice.sort is Sort.GRAPH else kept
    rest = tuple(row for i, row in enumerate(rows) if i not in set(kept))
    return Picked(tuple(rows[i] for i in order), rest)


def _share(row: Row, _: int) -> float:
    """The row's largest share of any run's latency."""
    return max((cell.share or 0.0 for cell in row.cells), default=0.0)


def _time(row: Row, baseline: int) -> float:
    return row.cells[baseline].ns or 0


def _ratio(row: Row, _: int) -> float:
    return max((cell.ratio or 0.0 for cell in row.cells), default=0.0)


def _gap(row: Row, baseline: int) -> float:
    """The largest difference between a run's time and the baseline's, in nanoseconds."""
    first = row.cells[baseline].ns or 0
    return max(abs((cell.ns or 0) - first) for cell in row.cells)


#: Sort keys, largest first; for graph order the key only selects the blocks that are shown.
_KEYS: dict[Sort, Callable[[Row, int], float]] = {
    Sort.GRAPH: _share,
    Sort.TIME: _time,
    Sort.RATIO: _ratio,
    Sort.GAP: _gap,
}


def summed(rows: Sequence[Row]) -> Row:
    """Several blocks as one row, without ratios."""
    cells = zip(*(row.cells for row in rows), strict=True)
    return Row(RowKind.BLOCK, tuple(map(_summed, cells)))


def _summed(cells: Sequence[Cell]) -> Cell:
    if all(cell.ns is None for cell in cells):
        return Cell()
    return Cell(sum(cell.ns or 0 for cell in cells), sum(cell.share or 0.0 for cell in cells))


def layer_names(named: Sequence[Sequence[str]], longest: int) -> list[str]:
    """`layers_text` of several rows, by the cut that leaves the most of them distinct."""
    versions = [[layers_text(layers, longest, cut) for layers in named] for cut in CUTS]
    more = [f" +{len(layers) - 1}" if len(layers) > 1 else "" for layers in named]
    firsts = apart(
        [printable(layers[0]) for layers in named], longest - max(map(len, more), default=0)
    )
    versions.append([first + rest for first, rest in zip(firsts, more, strict=True)])
    return max(versions, key=lambda texts: len(set(texts)))


def layers_text(layers: Sequence[str], longest: int, cut: Cut = shortened) -> str:
    """`first … last`, shortened to `longest` where needed: the last name without a common path."""
    first, last = printable(layers[0]), printable(layers[-1])
    if len(layers) == 1:
        return cut(first, longest)
    text = f"{first} … {last}"
    if len(text) > longest:
        text = f"{first} … {_ending(first, last)}"
    if len(text) <= longest:
        return text
    more = f" +{len(layers) - 1}"
    return cut(first, longest - len(more)) + more


def _ending(first: str, last: str) -> str:
    """The last name without the path that both names have in common."""
    shared = 0
    for ours, theirs in zip(first.split("/")[:-1], last.split("/")[:-1], strict=False):
        if ours != theirs:
            break
        shared += len(theirs) + 1
    return last[shared:]


def operators_text(operators: Sequence[str], longest: int) -> str:
    """`Conv+BatchNormalization+Relu`; operators in the middle are omitted to fit `longest`."""
    parts = [printable(name) for name in operators if name]
    counted = [(name, len(list(same))) for name, same in groupby(parts)]
    names = [f"{name}×{count}" if count > 1 else name for name, count in counted]
    if len("+".join(names)) <= longest or len(names) < 2:
        return shortened("+".join(names), longest)
    for kept in range(len(names) - 1, 0, -1):
        short = "+".join([*names[:kept], "…", names[-1]])
        if len(short) <= longest:
            return short
    return shortened(f"{names[0]}+…", longest)


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit and decimals of all times in a table: five digits for the shortest latency."""

    unit: str
    digits: int

    @classmethod
    def of(cls, alignment: Alignment) -> Scale:
        """The scale of an alignment's times."""
        sums = zip(alignment.columns, alignment.layer_sum.cells, strict=True)
        least = min(cell.ns or 0 if c.total_ns is None else c.total_ns for c, cell in sums)
        unit, ns = ("µs", 1_000) if least < 1_000_000 else ("ms", 1_000_000)
        return cls(unit, max(0, 5 - len(str(least // ns))))

    def rounded(self, ns: int) -> Decimal:
        """A time of so many nanoseconds in the unit, rounded."""
        unit = 1_000 if self.unit == "µs" else 1_000_000
        return (Decimal(ns) / unit).quantize(Decimal(1).scaleb(-self.digits))


def number(ratio: float) -> str:
    """A ratio with about three digits; `>9999` from 10,000 on."""
    for limit, digits in ((0.0995, 3), (9.995, 2), (99.95, 1)):
        if ratio < limit:
            return f"{ratio:.{digits}f}"
    return f"{ratio:.0f}" if ratio < 10_000 else ">9999"


def interval_text(cell: Cell) -> str:
    """The interval of the ratio, as `0.97–1.04`; empty without one."""
    return "" if cell.interval is None else "–".join(map(number, cell.interval))


def untimed_text(cell: Cell) -> str:
    """Why a cell has no time: the most frequent fate of its layers."""
    counts = Counter(fate for _, fate in cell.missing)
    return _FATES[counts.most_common(1)[0][0]] if counts else "·"


def is_inferred(cell: Cell) -> bool:
    """Whether a step in the cell was assigned to layers by inference alone."""
    return cell.ns is not None and cell.confidence is Confidence.INFERRED


def title(alignment: Alignment) -> str:
    """The title: model, batch, facts common to all runs, number of runs and blocks."""
    asked = alignment.columns[0].run.request
    names = " and ".join(dict.fromkeys(c.run.request.model_name for c in alignment.columns))
    sizes = "".join(f", {name}={size}" for name, size in asked.dims)
    runs, blocks = len(alignment.columns), len(alignment.rows)
    return printable(
        f"{', '.join((names, f'batch {asked.batch}{sizes}', *_common(alignment)))}:"
        f" {_plural(runs, 'run')}, {_plural(blocks, 'block')} of layers"
    )


def _common(alignment: Alignment) -> list[str]:
    """Facts that are the same in all columns."""
    rows = [_facts(column) for column in alignment.columns]
    return [fact for fact, *others in zip(*rows, strict=True) if set(others) <= {fact}]


def _facts(column: Column) -> tuple[str, ...]:
    run = column.run
    return (
        run.device.name or run.request.device_id,
        sentences.threads(run.request.threads),
        f"{column.processes} process{'' if column.processes == 1 else 'es'}",
    )


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def column_text(column: Column, alignment: Alignment) -> str:
    """A column's latency, and where and how it was measured, without facts in the title."""
    run = column.run
    provider = run.request.provider
    common = _common(alignment)
    parts = (
        _latency(column),
        column.version,
        "" if provider == run.device.kind else f"provider {provider}",
        *(fact for fact in _facts(column) if fact not in common),
        "" if run.request.granularity.value == "executed" else "as written",
        *run.request.words,
        _timer(run),
        _outputs(run),
    )
    return printable(", ".join(part for part in parts if part))


def _timer(run: Run) -> str:
    if run.origin is not None:
        return f"{run.origin.timer}, imported from {run.origin.program}"
    return f"{run.timer} timer" if run.steps else ""


def _latency(column: Column) -> str:
    """The median latency, how well it is known, and its grade."""
    if column.total_ns is None or column.interval_ns is None:
        return "no latency"
    given = column.total_ns, column.interval_ns, column.samples
    spread = grades.spread_cell(*given)
    if not has_interval(column.samples):
        spread = f"({grades.spread_text(*given)})"
    parts = numbers.duration(column.total_ns), spread, grades.word(grade(column.run))
    return " ".join(filter(None, parts))


def _outputs(run: Run) -> str:
    passed = run.parity.passed if run.parity is not None else None
    return {True: "outputs ✓", False: "outputs ✗", None: "outputs not compared"}[passed]


def remark_texts(alignment: Alignment) -> list[str]:
    """The caveats as sentences."""
    names = [column.label for column in alignment.columns]
    return [verdicts.remark_text(remark, names) for remark in alignment.remarks]


def untimed_texts(alignment: Alignment) -> Iterator[str]:
    """Counts of layers without a time by fate: per column for those in blocks, then the others."""
    for i, column in enumerate(alignment.columns):
        fates = Counter(fate for row in alignment.rows for _, fate in row.cells[i].missing)
        del fates[Fate.UNTOLD]
        if fates:
            yield f"Layers that {printable(column.label)} spent no time on: {_counted(fates)}."
    if alignment.unplaced:
        fates = Counter(min(layer.fates, key=list(Fate).index) for layer in alignment.unplaced)
        yield f"Layers in no row, since no run timed them: {_counted(fates)}."


def _counted(fates: Counter[Fate]) -> str:
    return ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate if fates[fate])


def rule_text(alignment: Alignment) -> str:
    """A legend: the ratio, the marks, and how blocks are formed."""
    base = printable(alignment.columns[alignment.baseline].label)
    return (
        f"Ratio: time over that of {base}. {verdicts.marks_text(alignment.threshold)} Layers that"
        " any run executes as one step share a row."
    )
