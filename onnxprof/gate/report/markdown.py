"""A gate's outcome as Markdown for a comment or a job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.report import layers, words
from onnxprof.gate.rule import plain_alarms, seen_from, unchanged_alarms
from onnxprof.publish.text import verdicts
from onnxprof.publish.text.safe import counted, in_markdown, shortened

#: A comment on GitHub has so many characters at most; bytes are counted, which are no fewer.
LARGEST = 65_536
#: By this a later run finds the comment that it is to replace.
MARK = "<!-- onnxprof gate -->"
#: Layers of one case, the most that leaves the text small enough.
_LAYERS = (20, 12, 5, 0)
#: Cases with a line of their own, likewise.
_CASES = (1000, 200, 50, 20)
_LONGEST_NAME, _LONGEST_NOTE = 80, 300
_ICONS = {Outcome.SLOWER: "🔴 ", Outcome.FAILED: "❌ ", Outcome.FASTER: "🟢 "}


def markdown(gated: Gated, largest: int = LARGEST) -> str:
    """The text, with fewer layers and then fewer cases where it would be too long."""
    sizes = [(layers_, _CASES[0]) for layers_ in _LAYERS] + [(0, cases) for cases in _CASES[1:]]
    texts = ("\n".join(_lines(gated, *size)) + "\n" for size in sizes)
    return next((text for text in texts if len(text.encode()) <= largest), _shortest(gated))


def _shortest(gated: Gated) -> str:
    return "\n".join([MARK, _title(gated), ""])


def _title(gated: Gated) -> str:
    icon = "🔴 " if gated.stopped else "🟢 "
    return f"### {icon}onnxprof gate: {in_markdown(words.headline(gated))}"


def _lines(gated: Gated, most_layers: int, most_cases: int) -> Iterator[str]:
    shown = _ranked(gated)[:most_cases]
    yield from (MARK, _title(gated), "")
    yield from _overview(gated, shown)
    left = len(gated.cases) - len(shown)
    if left:
        yield from ("", f"{counted(left, 'more case is', 'more cases are')} not shown.")
    yield ""
    for case in shown:
        yield from _case(gated, case, most_layers)
    yield from _noise(gated, shown)
    if text := words.rule_text(gated):
        yield f"<sub>{in_markdown(text)}</sub>"


def _ranked(gated: Gated) -> list[Case]:
    """What stops the gate first, else in the order given."""
    return sorted(gated.cases, key=lambda case: not gated.stops(case))


def _overview(gated: Gated, shown: Sequence[Case]) -> Iterator[str]:
    has_work = _has_work(shown)
    heads = (*_heads(has_work), "old", "new", "new / old", f"{words.confidence(gated)} interval")
    yield from _table((*heads, "verdict"), [_overview_cells(case, has_work) for case in shown])


def _has_work(shown: Sequence[Case]) -> bool:
    """Whether any case has a phase or sizes of axes, which then have a column."""
    return any(case.work for case in shown)


def _heads(has_work: bool) -> tuple[str, ...]:
    return ("model", "batch", *(["phase, axes"] if has_work else []))


def _which(case: Case, has_work: bool) -> tuple[str, ...]:
    """The cells that say which case it is."""
    batch = "" if case.batch is None else str(case.batch)
    return _name(case.model), batch, *([_name(", ".join(case.work))] if has_work else [])


def _overview_cells(case: Case, has_work: bool) -> tuple[str, ...]:
    judged = case.judgement
    ratio = ("", "") if judged is None else (f"{judged.ratio:.3f}", words.interval(judged))
    verdict = f"{_ICONS.get(case.outcome, '')}{case.outcome}"
    return (*_which(case, has_work), *words.times(case), *ratio, verdict)


def _name(text: str) -> str:
    return in_markdown(shortened(text, _LONGEST_NAME))


def _case(gated: Gated, case: Case, most_layers: int) -> Iterator[str]:
    """What changed in a case, and what a reader must know of it; nothing where nothing did."""
    shown, _ = words.rows(case, most_layers)
    notes = [*words.notes(case), *_warnings(gated, case)]
    if not (shown or notes):
        return
    yield from (f"**{_name(case.title)}**", "")
    if shown:
        yield from _layers(case, most_layers)
    yield from (f"> {in_markdown(shortened(text, _LONGEST_NOTE))}  " for text in notes)
    yield ""


def _warnings(gated: Gated, case: Case) -> Iterator[str]:
    if case.outcome in (Outcome.NEW, Outcome.FAILED):
        yield words.verdict_text(gated, case)
    if case.noise is not None and gated.is_blunt(case):
        yield f"This machine is {words.blunt_text(gated, case.noise)}."


def _layers(case: Case, most: int) -> Iterator[str]:
    if case.pair is None:
        return
    shown, called = words.rows(case, most)
    every, _ = words.rows(case, 1 << 20)
    scale = layers.Scale.of(case.pair)
    yield from (f"{words.layers_text(called, len(every) - len(shown) if called else 0)}:", "")
    lines = []
    for row in shown:
        first, *rest, verdict = layers.cells(row, case.pair, scale, _LONGEST_NAME)
        icon = verdicts.ICONS.get(row.verdict, "")
        lines.append((in_markdown(first), *rest, f"{icon}{verdict}"))
    yield from _table(layers.heads(scale), lines)
    yield ""


def _noise(gated: Gated, shown: Sequence[Case]) -> Iterator[str]:
    """What this machine's noise lets the gate see, folded."""
    known = [case for case in shown if case.noise is not None]
    if not known:
        return
    yield from ("<details><summary>How well this machine can tell</summary>", "")
    has_work = _has_work(known)
    heads = (
        *(*_heads(has_work), "processes scatter by", "tells apart from", "finds a slowdown of"),
        *("calls an unchanged model slower", f"one run of each and {words.limit(gated)} would be"),
    )
    yield from _table(heads, [_noise_cells(gated, case, has_work) for case in known])
    yield from ("", "</details>", "")


def _noise_cells(gated: Gated, case: Case, has_work: bool) -> tuple[str, ...]:
    noise, rule, pairs = case.noise, gated.rule, gated.pairs
    if noise is None:
        raise ValueError(case.title)
    return (
        *(*_which(case, has_work), words.percent(noise.of_processes)),
        *(words.percent(gated.sees(noise)), words.percent(seen_from(noise, pairs, rule))),
        f"{words.rate(unchanged_alarms(noise, pairs, rule))} of gates",
        f"wrong in {words.chance(plain_alarms(noise, rule))}",
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table whose columns but the first and the last are aligned right."""
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join(['---', *['---:'] * (len(heads) - 2), '---'])} |"
    yield from (f"| {' | '.join(line)} |" for line in lines)
