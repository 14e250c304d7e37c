"""The board of a sweep: what is done, what runs on each device, what failed and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from onnxprof.cli.board import words
from onnxprof.publish.text.safe import printable
from onnxprof.sweeps.status.tally import MOST_FAILURES, Place, Running, Tally

#: Devices that are shown one by one.
_MOST_PLACES = 12
#: From so many columns on batch and threads are written out.
_WIDE = 100


@dataclass(frozen=True, slots=True)
class Board:
    """The board as it stands; what does not fit into a line is cut."""

    tally: Tally
    is_dead: bool = False
    """Whether nobody works on it any more, though it never said so."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """What rich calls to print this."""
        is_narrow = options.max_width < _WIDE
        yield from _parts(self.tally, is_narrow=is_narrow, is_dead=self.is_dead)


def _parts(tally: Tally, *, is_narrow: bool, is_dead: bool) -> Iterator[RenderableType]:
    yield _head(tally, "" if is_dead else words.time_left(tally))
    yield _bar(tally)
    if said := words.counts(tally):
        yield _line((said, ""))
    if tally.places and not tally.is_over and not is_dead:
        yield Text()
        yield _places(tally.places, is_narrow)
    if tally.latest is not None:
        latest = tally.latest
        yield Text()
        yield _line(
            ("last  ", "dim"),
            (f"{words.title(latest.job)}: {words.latency(latest.latency_ns)}", ""),
        )
    if tally.failures:
        yield Text()
        yield from _failures(tally)


def _head(tally: Tally, left: str) -> Table:
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    grid.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    ended = f"{tally.jobs - tally.left:,} of {tally.jobs:,} jobs"
    grid.add_row(Text(ended, style="bold"), Text(left))
    return grid


def _bar(tally: Tally) -> Table:
    """The bar on a line of its own."""
    running = sum(place.running.share for place in tally.places if place.running)
    grid = Table.grid(expand=True)
    ended = tally.jobs - tally.left + running
    grid.add_row(ProgressBar(total=max(1, tally.jobs), completed=ended))
    return grid


def _places(places: tuple[Place, ...], is_narrow: bool) -> Table:
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    grid.add_column(overflow="ellipsis", no_wrap=True, max_width=24)
    grid.add_column(ratio=2, overflow="ellipsis", no_wrap=True)
    grid.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for place in places[:_MOST_PLACES]:
        grid.add_row(Text(_place_name(place), style="cyan"), *_running(place.running, is_narrow))
    rest = places[_MOST_PLACES:]
    if rest:
        busy = sum(place.running is not None for place in rest)
        grid.add_row(Text(f"{len(rest)} more", style="cyan"), Text(f"{busy} of them busy"), "", "")
    return grid


def _place_name(place: Place) -> str:
    name = words.device_name(place.device)
    return printable(f"{name} of {place.node}" if place.node else name)


def _running(running: Running | None, is_narrow: bool) -> tuple[Text, Text, Text]:
    if running is None:
        return Text("idle", style="dim"), Text(), Text()
    return (
        Text(words.title(running.job, with_device=False, is_short=is_narrow)),
        Text(words.one_line(running.doing)),
        Text(f"{100 * running.share:.0f} %"),
    )


def _failures(tally: Tally) -> Iterator[RenderableType]:
    most = f", the last {MOST_FAILURES} of {tally.failed:,}"
    yield Text(f"failed{most if tally.failed > len(tally.failures) else ''}", style="red")
    for failure in tally.failures:
        yield _line((f"  {words.title(failure.job)}", "red"))
        yield _line((f"    {words.one_line(failure.reason)}", ""))


def _line(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
