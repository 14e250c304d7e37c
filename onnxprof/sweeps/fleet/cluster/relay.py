"""What runs inside a Ray cluster: holds a device and passes bytes between a sweep and a worker.

Ray places it on a machine that has the device, and ends it when the sweep or the machine is gone;
the worker that it starts ends with it. The worker measures in the environment that the machine was
given: Ray sets the number of threads and hides GPUs in its own processes only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onnxprof.sweeps.fleet.wire.frames import Frame, encoded

_CHUNK = 1 << 16
#: What Ray sets in its processes where nobody else did.
_SET_BY_RAY = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONBREAKPOINT")


class Relay:
    """A worker on this machine, driven from another one."""

    def __init__(self, beat_s: float) -> None:
        command = [sys.executable, "-m", "onnxprof", "worker", "--stdio"]
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._worker: Any = subprocess.Popen(command, env=environment(), bufsize=0, **pipes)
        self._came = bytearray()
        self._ending = ""
        self._changed = threading.Condition()
        self._errors: deque[str] = deque(maxlen=5)
        self._writing = threading.Lock()
        for work in (self._listen, self._complain):
            threading.Thread(target=work, daemon=True).start()
        threading.Thread(target=self._beat, args=(beat_s,), daemon=True).start()

    def place(self) -> tuple[str, int]:
        """The id of the node that this runs on, and the worker's process."""
        import ray

        return str(ray.get_runtime_context().get_node_id()), self._worker.pid

    def write(self, data: bytes) -> None:
        """Bytes for the worker; those for one that has ended are dropped."""
        with suppress(OSError), self._writing:
            left = memoryview(data)
            while left:
                left = left[self._worker.stdin.write(left) :]

    def read(self, seconds: float) -> tuple[bytes, str]:
        """What came from the worker, waiting a while for it, and why no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._came or self._ending, seconds)
            data, self._came = bytes(self._came), bytearray()
            return data, "" if data else self._ending

    def _listen(self) -> None:
        with suppress(OSError):
            while data := self._worker.stdout.read(_CHUNK):
                with self._changed:
                    self._came += data
                    self._changed.notify_all()
        status = self._worker.wait()
        said = f" ({self._errors[-1]})" if self._errors else ""
        with self._changed:
            self._ending = f"its worker ended with {status}{said}"
            self._changed.notify_all()

    def _complain(self) -> None:
        with suppress(OSError):
            for line in self._worker.stderr:
                if text := line.decode("utf-8", "replace").strip():
                    self._errors.append(text[:200])

    def _beat(self, every_s: float) -> None:
        beat = encoded(Frame("beat"))
        while self._worker.poll() is None:
            self.write(beat)
            with self._changed:
                self._changed.wait_for(lambda: self._ending, every_s)


def environment() -> Mapping[str, str]:
    """The variables that the machine's Ray was started with, without Ray's own."""
    try:
        first = Path("/proc/self/environ").read_bytes().split(b"\0")
        pairs = [os.fsdecode(pair).partition("=") for pair in first if b"=" in pair]
        given = {name: value for name, _, value in pairs}
    except OSError:  # not on Linux
        given = {name: value for name, value in os.environ.items() if name not in _SET_BY_RAY}
    return {name: value for name, value in given.items() if not name.startswith("RAY_")}
