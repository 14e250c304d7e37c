"""Systems against each other: how many times as fast a row is as a column, over how many models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from onnxprof.compare.settings import ANY_THREADS
from onnxprof.publish.leaderboard.board import Column, Row
from onnxprof.publish.text.numbers import three

#: A mean of fewer models than this has no colour.
FEWEST_MODELS = 2
#: From which ratio on each of three tints stands.
TINTS = (1.05, 1.5, 3.0)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two systems over the models that both ran with the same settings."""

    mean: float
    """Geometric mean of the column's latency over the row's; 0 of no model."""
    models: int
    page: str = ""
    """Name of the pair's page at the chosen threads; empty where it has none."""
    pages: str = ""
    """All of its pages for the script: `1=NAME 2=NAME`, threads and names."""

    @property
    def tint(self) -> str:
        """A class of the style sheet: `up3` for a much faster row, `down1` for a slower one."""
        if self.models < FEWEST_MODELS:
            return "few"
        size = max(self.mean, 1 / self.mean)
        steps = sum(size >= bound for bound in TINTS)
        return f"{'up' if self.mean > 1 else 'down'}{steps}" if steps else "even"

    @property
    def figure(self) -> str:
        """The mean with three digits."""
        return three(self.mean)


#: Names of a pair's pages by the number of threads; ANY_THREADS between two GPUs.
Pages = Mapping[int, str]


def versus(
    rows: Sequence[Row],
    columns: Sequence[Column],
    pages: Mapping[frozenset[Column], Pages],
    threads: int = ANY_THREADS,
) -> list[list[Ratio | None]]:
    """A row a system, a cell each other one; None on the diagonal.

    `pages` are those of pairs; a ratio has that of the chosen threads.
    """
    times = [[cell.record.time_ns if cell.record else None for cell in row.cells] for row in rows]
    by_column = list(zip(*times, strict=True)) if times else [()] * len(columns)
    return [
        [
            None
            if i == j
            else _ratio(by_column[i], by_column[j], pages.get(frozenset((a, b)), {}), threads)
            for j, b in enumerate(columns)
        ]
        for i, a in enumerate(columns)
    ]


def _ratio(
    ours: Sequence[int | None], theirs: Sequence[int | None], pages: Pages, threads: int
) -> Ratio:
    logs = [math.log(b / a) for a, b in zip(ours, theirs, strict=True) if a and b]
    page = pages.get(threads, pages.get(ANY_THREADS, ""))
    listed = " ".join(f"{count}={name}" for count, name in pages.items())
    return Ratio(math.exp(fmean(logs)) if logs else 0.0, len(logs), page, listed)
