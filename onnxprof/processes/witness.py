"""What is known of a process that ended: the last that it printed, and the memory that it took."""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: What is kept of the text.
_KEPT_BYTES = 16_384
#: Memory is looked at in growing intervals: some processes end early.
_FIRST_LOOK_S, _LOOK_S = 0.01, 0.2
_PIECE = 65_536
#: How long what is in the pipe already is read, once the process is gone.
_LAST_S = 1.0
_STREAMS = (1, 2)
#: Elsewhere pipes are no file descriptors, and what a process prints is passed on.
_HEARS = os.name == "posix"


def kernel_bytes(file: Path, name: str) -> int | None:
    """Bytes of a line such as `VmHWM:  120 kB`, as proc(5) has them; None where there is none."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return None
    match = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


@dataclass(slots=True)
class Witness:
    """Reads what a process prints on stdout and stderr, of which it keeps the end.

    A thread empties the pipe, so that the process never waits, and looks at its memory.
    """

    reader: Connection
    writer: Connection
    """Goes with the process: `speak_into` makes it both of its streams."""
    pass_on: bool = False
    """Print what the process prints, as it comes."""
    peak_bytes: int = 0
    """The most resident memory that was seen; 0 where the system does not say."""
    _pid: int = 0
    _pieces: deque[bytes] = field(default_factory=deque)
    _size: int = 0
    _thread: threading.Thread | None = None
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, process: Any) -> None:
        """Begin, once the process runs."""
        self._pid = process.pid
        self.writer.close()
        if not _HEARS:
            return
        self._thread = threading.Thread(target=self._read, daemon=True, name="onnxprof-witness")
        self._thread.start()

    def begin(self) -> None:
        """Forget what was before: the process begins with another piece of work."""
        with self._lock:
            self._pieces.clear()
            self._size = 0
        self.peak_bytes = 0

    def look(self) -> None:
        """See how much memory the process has taken by now."""
        seen = kernel_bytes(Path("/proc", str(self._pid), "status"), "VmHWM")
        self.peak_bytes = max(self.peak_bytes, seen or 0)

    def text(self) -> str:
        """The end of what the process printed, which is gone or about to be."""
        if self._thread is not None:
            self._thread.join(_LAST_S)
        return b"".join(self._pieces)[-_KEPT_BYTES:].decode("utf-8", "replace")

    def close(self) -> None:
        """To be called once the process is gone."""
        self._over = True
        self.writer.close()
        if self._thread is not None:
            self._thread.join()
        self.reader.close()

    def _read(self) -> None:
        due, pause = 0.0, _FIRST_LOOK_S
        with suppress(OSError):
            while not self._over:
                if time.monotonic() >= due:
                    self.look()
                    due = time.monotonic() + pause
                    pause = min(2 * pause, _LOOK_S)
                left = max(0.0, due - time.monotonic())
                ready, _, _ = select.select([self.reader], [], [], left)
                if ready and not self._take(os.read(self.reader.fileno(), _PIECE)):
                    return

    def _take(self, piece: bytes) -> bool:
        with self._lock:
            self._pieces.append(piece)
            self._size += len(piece)
            while self._size - len(self._pieces[0]) > _KEPT_BYTES:
                self._size -= len(self._pieces.popleft())
        if self.pass_on:
            with suppress(OSError):
                os.write(_STREAMS[1], piece)
        return bool(piece)


@contextmanager
def witness(context: Any) -> Iterator[Witness]:
    """One for a process of this multiprocessing context, which is started during the body."""
    reader, writer = context.Pipe(duplex=False)
    found = Witness(reader, writer, pass_on=bool(os.environ.get("ONNXPROF_DEBUG")))
    try:
        yield found
    finally:
        found.close()


def speak_into(writer: Connection) -> None:
    """In the process: have everything that it prints go there, a runtime's own words too."""
    for number in _STREAMS if _HEARS else ():
        os.dup2(writer.fileno(), number)
    writer.close()
