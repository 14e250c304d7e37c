"""Progress without a command line: a line that is written anew, in a notebook as on a terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from onnxprof.api.base.door import in_python
from onnxprof.publish.text.safe import printable

#: A line is written anew no more often than this: in a notebook each time is a message.
_EVERY_S = 0.2
_WIDTH = 79


def _stderr() -> TextIO:
    return sys.stderr


@dataclass(slots=True)
class Line:
    """Shows on stderr what is going on; where a line cannot be written anew, what stays alone."""

    is_wanted: bool = True
    stream: TextIO = field(default_factory=_stderr)
    _shown: str = ""
    _last: float = 0.0

    def show(self, text: str) -> None:
        """Show what work is at, in place of what it was at."""
        now = time.monotonic()
        if self.is_wanted and _is_live(self.stream) and now - self._last >= _EVERY_S:
            self._last = now
            self._write(printable(text)[:_WIDTH])

    def note(self, text: str) -> None:
        """Print a line that stays."""
        if not self.is_wanted:
            return
        self.clear()
        print(f"onnxprof: {printable(in_python(text))}", file=self.stream, flush=True)

    def clear(self) -> None:
        """Take away what `show` has shown."""
        if self._shown:
            self._write("")
            self.stream.write("\r")
            self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"\r{text.ljust(len(self._shown))}")
        self.stream.flush()
        self._shown = text


def _is_live(stream: TextIO) -> bool:
    """Whether a line can be written anew: on a terminal, and in the output of a notebook's cell."""
    if type(stream).__module__.startswith("ipykernel"):
        return True
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # a replaced or closed stream
        return False
