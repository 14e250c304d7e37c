"""Tries the fences out, so that what is said of them is what they do here."""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnxprof.processes.confined import Limits, confined
from onnxprof.processes.fence import enclose
from onnxprof.processes.fence.enclose import Enclosure

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What a fenced process could do."""

    promised: Enclosure
    wrote: bool
    """It wrote outside of its folder."""
    connected: bool
    """It reached a listener on this machine's loopback."""


def probe() -> Probe:
    """Have a process of its own try to write outside and to reach a listener of ours."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        port = 0
        with suppress(OSError):  # no network at all
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
        outside = Path(folder, "outside")
        return confined(partial(_tried, str(outside), port), Limits(_SECONDS), "trying fences")


def _tried(outside: str, port: int) -> Probe:
    wrote = connected = False
    with suppress(OSError):
        Path(outside).touch()
        wrote = True
    with suppress(OSError), socket.socket() as calling:
        calling.connect(("127.0.0.1", port))
        connected = True
    return Probe(enclose.here(), wrote, connected)
