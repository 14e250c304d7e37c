"""Findings of the advice as a terminal table, Markdown, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.publish.text import numbers, sentences
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.safe import counted, in_markdown, printable, shortened
from onnxprof.reasons.advice.advise import Advice
from onnxprof.reasons.advice.applied import Applied
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.records.run import Run

#: Columns of the CSV: a row a finding.
COLUMNS = (
    *("model", "backend", "provider", "device", "batch", "threads", "latency_ms"),
    *("rule", "title", "layers", "steps", "gain_ms", "gain_low_ms", "gain_high_ms", "share"),
    *("rewrite", "change", "evidence"),
)
_HEADS = ("gain", "95 %", "share", "what, and what to change")
_LONGEST = 160


def tables(
    every: Sequence[Advice], limit: int | None = 12, done: Applied | None = None
) -> list[RenderableType]:
    """Those of several runs, a line between two, and what became of a rewrite."""
    parts: list[RenderableType] = []
    for advice in every:
        parts += [*([Text()] if parts else []), table(advice, limit)]
    if done is not None:
        parts += [Text(), *(Text(line) for line in applied_lines(done))]
    return parts


def table(advice: Advice, limit: int | None = 12) -> RenderableType:
    """What is to be said of a run; without a limit small findings, too."""
    shown = _shown(advice, limit)
    parts: list[RenderableType] = [Text(title(advice), style="bold")]
    if shown:
        parts.append(_grid(shown))
    parts += [Text(line) for line in _closing(advice, len(shown))]
    return Group(*parts)


def _shown(advice: Advice, limit: int | None) -> tuple[Finding, ...]:
    return advice.findings if limit is None else advice.large[:limit]


def _grid(shown: Sequence[Finding]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, head in enumerate(_HEADS):
        right = place < 3
        grid.add_column(head, justify="right" if right else "left", no_wrap=right)
    for finding in shown:
        what = Text(_title(finding), style="bold")
        what.append(f"\n{_change(finding)}.", style="not bold")
        if finding.rewrite:
            what.append(f" (--apply: {finding.rewrite.value})", style="not bold")
        what.append(f"\n{evidence_text(finding)}", style="not bold dim")
        grid.add_row(*_gain_cells(finding.gain, finding.share), what)
    return grid


def title(advice: Advice) -> str:
    """`mobilenet-v2 on torch, AMD EPYC, 1 thread, batch 1: 59.98 ms`."""
    return printable(f"{_run_text(advice.run)}: {numbers.duration(advice.total_ns)}")


def _run_text(run: Run) -> str:
    asked = run.request
    usual = asked.provider in ("", run.device.kind)
    system = asked.backend if usual else f"{asked.backend} {asked.provider}"
    sizes = [f"{name}={size}" for name, size in asked.dims]
    facts = run.device.name or asked.device_id, sentences.threads(asked.threads)
    return ", ".join((f"{asked.model_name} on {system}", *facts, f"batch {asked.batch}", *sizes))


def _title(finding: Finding) -> str:
    return shortened(printable(finding.title), _LONGEST)


def _change(finding: Finding) -> str:
    return shortened(printable(finding.change), 2 * _LONGEST)


def _gain_cells(gain: Gain | None, share: float | None) -> tuple[str, str, str]:
    if gain is None:
        return "unknown", "", ""
    text = numbers.duration(gain.expected_ns)
    return text, _between(gain, text), "" if share is None else numbers.percent(share)


def _between(gain: Gain, text: str) -> str:
    """Both ends in the unit of the gain itself: `3.52…5.03`."""
    size = next(size for name, size in numbers.UNITS if name == text.split()[-1])
    low, high = (numbers.three(end / size, 2) for end in (gain.low_ns, gain.high_ns))
    return f"{low}…{high}"


def gain_text(gain: Gain) -> str:
    """`3.523 ms to 5.026 ms`; `up to 205.5 µs` where it may be nothing."""
    low, high = numbers.duration(gain.low_ns), numbers.duration(gain.high_ns)
    return f"up to {high}" if low == numbers.duration(0) else f"{low} to {high}"


def evidence_text(finding: Finding) -> str:
    """The figures, and the first of the layers."""
    figures = "; ".join(
        f"{shortened(one.meaning, _LONGEST)}: {value_text(one)}" for one in finding.evidence
    )
    names = [shortened(printable(name), 40) for name in finding.layers[:2]]
    more = len(finding.layers) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    return printable(figures) + (f"; layers: {listed}" if names else "")


def value_text(figure: Figure) -> str:
    """A figure with its unit."""
    match figure.unit:
        case Unit.NS:
            return numbers.duration(figure.value)
        case Unit.FRACTION:
            return numbers.percent(figure.value)
        case Unit.RATIO:
            return f"{figure.value:.2f}"
        case Unit.COUNT:
            return f"{figure.value:,.0f}"
        case _:
            return f"{numbers.figure(figure.value, numbers.PLAIN)} {figure.unit.value}"


def _closing(advice: Advice, shown: int) -> Iterator[str]:
    if not advice.findings:
        yield "Nothing found."
        return
    left_out = len(advice.findings) - shown
    if left_out and not shown:
        small = counted(left_out, "small one", "small ones")
        yield f"Nothing gains 0.2 % or more; {small} with --all."
    elif left_out:
        yield f"{counted(left_out, 'finding', 'findings')} more with --all."
    if advice.union is not None:
        yield (
            f"All together: {gain_text(advice.union)}. Findings overlap, so their gains do not add"
            " up: each step counts once, with the largest; settings of the whole run are left out."
        )
    if advice.rewritable is not None:
        yield (
            f"--apply OUT.onnx makes those marked so: {gain_text(advice.rewritable)},"
            f" {part_text(advice.rewritable, advice.total_ns)} of the latency."
        )


def part_text(gain: Gain, total_ns: float) -> str:
    """`5.9 % to 8.4 %`."""
    ends = (gain.low_ns / total_ns, gain.high_ns / total_ns) if total_ns else (0.0, 0.0)
    return " to ".join(map(numbers.percent, ends))


def applied_lines(done: Applied) -> Iterator[str]:
    """What became of a rewrite: layers, outputs, predicted and measured gain."""
    changed = ", ".join(f"{kind} {before} → {after}" for kind, before, after in done.operators)
    yield printable(f"Written to {done.target} ({numbers.scaled(done.bytes, 'B')}): {changed}.")
    yield (
        f"Outputs agree on {counted(done.checks, 'set', 'sets')} of inputs; the largest error is"
        f" {done.worst:.2g} of an output's size."
    )
    yield f"Predicted gain: {_parts(done.predicted)} of the latency."
    if done.measured is None:
        return
    was, now = (numbers.duration(ns) for ns in (done.measured.before_ns, done.measured.after_ns))
    yield (
        f"Measured in turn: {numbers.percent(done.measured.part)}"
        f" ({_parts(done.measured.interval)}), from {was} to {now}; {_inside(done)}."
    )


def _parts(ends: tuple[float, float]) -> str:
    return " to ".join(map(numbers.percent, ends))


def _inside(done: Applied) -> str:
    if done.is_inside:
        return "inside the predicted interval"
    low, high = done.measured.interval if done.measured else (0.0, 0.0)
    meets = low <= done.predicted[1] and done.predicted[0] <= high
    tail = ", though both intervals overlap" if meets else ""
    return f"outside of the predicted interval{tail}"


def markdown(advice: Advice, limit: int | None = 12, done: Applied | None = None) -> str:
    """The same for a document."""
    shown = _shown(advice, limit)
    lines = [f"**{in_markdown(title(advice))}**", ""]
    if shown:
        lines += [_line(_HEADS), f"|{' --- |' * len(_HEADS)}"]
    for finding in shown:
        mark = f" (--apply: {finding.rewrite.value})" if finding.rewrite else ""
        what = f"{_title(finding)}. {_change(finding)}.{mark} {evidence_text(finding)}"
        lines.append(_line((*_gain_cells(finding.gain, finding.share), what)))
    lines += ["", *(in_markdown(line) for line in _closing(advice, len(shown)))]
    if done is not None:
        lines += ["", *(f"- {in_markdown(line)}" for line in applied_lines(done))]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(in_markdown, cells))} |"


def to_csv(every: Sequence[Advice]) -> str:
    """CSV: a row a finding, small ones as well."""
    return csv_text(COLUMNS, (_row(one, f) for one in every for f in one.findings))


def _row(advice: Advice, finding: Finding) -> tuple[object, ...]:
    asked, gain = advice.run.request, finding.gain
    ends = (gain.expected_ns, gain.low_ns, gain.high_ns) if gain else ()
    names = [advice.run.steps[number].name for number in finding.steps]
    return (
        *(asked.model_name, asked.backend, asked.provider, asked.device_id, asked.batch),
        *(asked.threads, f"{advice.total_ns / 1e6:.6f}", finding.rule, finding.title),
        *(";".join(finding.layers), ";".join(names)),
        *(tuple(f"{ns / 1e6:.6f}" for ns in ends) or ("", "", "")),
        "" if finding.share is None else f"{finding.share:.6f}",
        finding.rewrite.value if finding.rewrite else "",
        finding.change,
        "; ".join(f"{one.meaning}={one.value:g} {one.unit.value}" for one in finding.evidence),
    )


def plain(every: Sequence[Advice], done: Applied | None = None) -> list[dict[str, Any]]:
    """All of it as dicts, lists and numbers, durations in nanoseconds."""
    return [_plain(advice) | _plain_applied(done) for advice in every]


def _plain(advice: Advice) -> dict[str, Any]:
    asked = advice.run.request
    return {
        "model": asked.model_name,
        "backend": asked.backend,
        "provider": asked.provider,
        "device": asked.device_id,
        "batch": asked.batch,
        "threads": asked.threads,
        "latency_ns": advice.total_ns,
        "has_ceilings": advice.has_ceilings,
        "findings": [_plain_finding(advice.run, finding) for finding in advice.findings],
        "union": _plain_gain(advice.union),
        "rewritable": _plain_gain(advice.rewritable),
    }


def _plain_applied(done: Applied | None) -> dict[str, Any]:
    if done is None:
        return {}
    plain = {**asdict(done), "operators": [list(one) for one in done.operators]}
    return {"applied": {**plain, "is_inside": done.is_inside}}


def _plain_finding(run: Run, finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "title": finding.title,
        "change": finding.change,
        "layers": list(finding.layers),
        "steps": [run.steps[number].name for number in finding.steps],
        "evidence": [
            {"meaning": one.meaning, "value": one.value, "unit": one.unit.value}
            for one in finding.evidence
        ],
        "gain": _plain_gain(finding.gain),
        "share": finding.share,
        "rewrite": finding.rewrite.value if finding.rewrite else None,
    }


def _plain_gain(gain: Gain | None) -> dict[str, float] | None:
    if gain is None:
        return None
    return {
        "expected_ns": gain.expected_ns,
        "low_ns": gain.low_ns,
        "high_ns": gain.high_ns,
    }
