"""The board on a terminal: drawn again after changes, twice a second at most."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from onnxprof.cli.board import view
from onnxprof.cli.board.words import one_line, over
from onnxprof.sweeps.events import Ended, Event, Failed, Noted, Skipped
from onnxprof.sweeps.status.pace import Pace
from onnxprof.sweeps.status.tally import Tally

if TYPE_CHECKING:
    from rich.console import Console

INTERVAL_S = 0.5


class Board:
    """Shows the sweep on a terminal; its last state stays there.

    Above it stand notes and why jobs are skipped; below it, once it is over, the reasons of
    failures that are in no record, and that the rest can be done later.
    """

    def __init__(
        self,
        console: Console,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.live import Live

        self._console = console
        self._clock = clock
        self._start_s = clock()
        self._tally = Tally()
        self._interval_s = interval_s
        self._live = Live(console=console, auto_refresh=False)
        self._closing: dict[str, None] = {}
        self._said: set[str] = set()
        self._unprinted: deque[str] = deque()
        self._pace: Pace | None = None

    def __enter__(self) -> Board:
        self._live.start()
        self._pace = Pace(self._draw, self._interval_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pace is not None:
            self._pace.close()
        self._live.stop()
        for reason in self._closing:
            self._print(reason)

    def hear(self, event: Event) -> None:
        """Show what one more event changes."""
        before = self._tally
        self._tally = before.after(event, self._clock() - self._start_s)
        match event:
            case Failed(_, reason, ""):
                self._closing[one_line(reason)] = None
            case Ended(left=left) if left:
                self._closing[over(event, self._tally.found)] = None
            case Noted(text) | Skipped(_, text):
                self._once(one_line(text))
            case _:
                pass
        is_new = bool(self._unprinted) or _shown(self._tally) != _shown(before)
        if self._pace is not None and is_new:
            self._pace.nudge()

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._unprinted.append(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        """Draw the board once, with what is new above it."""
        texts = [self._unprinted.popleft() for _ in range(len(self._unprinted))]
        with self._console:  # what it prints until the end is one write
            if texts:
                self._print("\n".join(texts))
            self._live.update(view.Board(self._tally), refresh=True)


def _shown(tally: Tally) -> Tally:
    """What of it can be seen: shares in whole per cent, and no time that passes by itself."""
    places = tuple(
        replace(place, running=replace(running, share=round(running.share, 2)))
        if (running := place.running) is not None
        else place
        for place in tally.places
    )
    return replace(tally, places=places, elapsed_s=0.0, expected_at_s=0.0, note="")
