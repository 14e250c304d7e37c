"""The columns of the timing table that say why: what a step does, attains, and may attain.

`site/assets/roofline.js` writes the same cells for the runs that it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from onnxprof.analysis.reconcile import TimedRow
from onnxprof.publish.pages.embed import Pool, body_rows
from onnxprof.publish.roofline.kinds import bound_of, kind_of
from onnxprof.publish.text.numbers import count, decimals, three
from onnxprof.publish.text.roofs import possible_text
from onnxprof.reasons.roofline import Roof, Roofline, step_rows

#: How many columns there are.
COLUMNS = 6
#: Classes of the columns: `w` ones are not on phones, `x` ones not on paper.
_WORK, _POSSIBLE, _BOUND = "w x", "roof", "l roof"
EMPTY = (
    f'<td class="{_WORK}"></td>' * 4 + f'<td class="{_POSSIBLE}"></td><td class="{_BOUND}"></td>'
)
_UNKNOWN = f'<td class="{_WORK}">?</td>'


def by_row(roofs: Roofline) -> Mapping[int, Roof]:
    """From the identity of a row to its roof, for rows that stand for steps."""
    pairs = zip(step_rows(roofs.sums), roofs.roofs, strict=True)
    return {id(row): roof for row, roof in pairs}


def cells_of(roofs: Roofline) -> Callable[[TimedRow], str]:
    """The cells of a row as HTML."""
    known = by_row(roofs)

    def cells(row: TimedRow) -> str:
        roof = known.get(id(row))
        return EMPTY if roof is None or roof.work is None else _cells(roof)

    return cells


def _cells(roof: Roof) -> str:
    work = roof.work
    assert work is not None
    macs = None if work.flops is None else work.macs
    return (
        f"{_amount(macs, '')}{_amount(work.bytes, 'B')}{_rate(roof.gflops)}{_rate(roof.gbps)}"
        f"{_possible(roof)}{_bound(bound_of(roof))}"
    )


def _amount(value: int | None, unit: str) -> str:
    """A known zero is blank, as in a table of many; unknown is a question mark."""
    if value is None:
        return _UNKNOWN
    text = amount(value, unit) if value else ""
    return f'<td class="{_WORK}" data-v="{value}">{text}</td>'


def amount(value: int, unit: str) -> str:
    """`116 M`, `3.41 MB`, `512 B`."""
    text = count(value)
    space = "" if text[-1:].isalpha() or not unit else "\u00a0"
    return f"{text}{space}{unit}"


def _rate(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    text = three(value) if value else ""
    return f'<td class="d{decimals(value)} {_WORK}" data-v="{round(1e9 * value)}">{text}</td>'


def _possible(roof: Roof) -> str:
    if roof.fraction is None:
        return f'<td class="{_POSSIBLE}"></td>'
    value = _millionths(roof)
    return f'<td class="{_POSSIBLE}" data-v="{value}">{escape(possible_text(roof))}</td>'


def _bound(bound: str) -> str:
    kind = f" {kind_of(bound).value}" if bound else ""
    return f'<td class="{_BOUND}{kind}">{escape(bound)}</td>'


def columns(roofs: Roofline) -> dict[str, Any]:
    """The figures of the cells for the page's script, a place in each list for each known row."""
    known, words = by_row(roofs), Pool()
    found = [
        (number, roof)
        for number, row in enumerate(body_rows(roofs.sums))
        if (roof := known.get(id(row))) is not None and roof.work is not None
    ]
    held = [roof for _, roof in found]
    bounds = [words.place(bound_of(roof)) for roof in held]
    return {
        "i": [number for number, _ in found],
        **_work(held),
        "possible": [_millionths(roof) for roof in held],
        "parts": [possible_text(roof) for roof in held],
        "bound": bounds,
        "words": list(words.places),
        "kinds": [kind_of(word).value for word in words.places],
    }


def _work(held: Sequence[Roof]) -> dict[str, list[int | None]]:
    works = [roof.work for roof in held if roof.work is not None]
    return {
        "macs": [None if work.flops is None else work.macs for work in works],
        "flops": [work.flops for work in works],
        "bytes": [work.bytes for work in works],
    }


def _millionths(roof: Roof) -> int | None:
    """The part of possible as a whole number, for sorting."""
    return None if roof.fraction is None else round(1e6 * roof.fraction)
