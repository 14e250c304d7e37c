"""What watching a sweep costs: CPU of the board, of the status file and of lines, while jobs run.

    python benchmarks/sweeps/board_cost.py [--seconds 30] [--devices 4] [--rate 20]

Each way is a process of its own that hears so many events a second, spread over the devices, a job
ending every two seconds on each: with nothing, and with what is to be measured. CPU seconds a
minute above the process that shows nothing, redraws and writes a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from onnxprof.cli.board.lines import Lines
from onnxprof.cli.board.live import Board
from onnxprof.sweeps.events import Advanced, Ended, Finished, JobName, Listener, Planned, Started
from onnxprof.sweeps.status.file import StatusFile

_JOB_S = 2.0
WAYS = ("nothing", "lines", "status", "board")


def job(device: int, number: int) -> JobName:
    name = f"network-{number % 40:02}"
    return JobName(f"{device}-{number}", name, "ort", "cuda", f"cuda:{device}:nvidia-x", 8, 1)


def play(hear: Listener, seconds: float, devices: int, rate: float) -> None:
    """The events of a sweep, at their pace."""
    hear(Planned(100_000, 0, 100_000, 3600.0))
    began = time.monotonic()
    count = 0
    running: dict[int, JobName] = {}
    while (now := time.monotonic() - began) < seconds:
        device = count % devices
        current = job(device, int(now / _JOB_S))
        if running.get(device) != current:
            if device in running:
                hear(Finished(running[device], "", 1e6, _JOB_S))
            running[device] = current
            hear(Started(current))
        hear(Advanced(current, "sampling", now % _JOB_S / _JOB_S))
        count += 1
        time.sleep(max(0.0, count / rate - (time.monotonic() - began)))
    hear(Ended(count, 0, 0, 0))


def counted(owner: type, name: str) -> list[int]:
    """Counts the calls of a method."""
    calls = [0]
    method: Callable[[object], None] = getattr(owner, name)

    def call(self: object) -> None:
        calls[0] += 1
        method(self)

    setattr(owner, name, call)
    return calls


def child(way: str, seconds: float, devices: int, rate: float) -> None:
    """Print CPU seconds and the number of redraws or writes."""
    draws, writes = counted(Board, "_draw"), counted(StatusFile, "_write")
    with ExitStack() as stack, open(os.devnull, "w", encoding="utf-8") as sink:
        console = Console(file=sink, force_terminal=True, width=120, height=40)
        hear: Listener = lambda _: None  # noqa: E731
        if way == "lines":
            hear = Lines(sink.write, sink.write).hear
        elif way == "status":
            store = Path(stack.enter_context(TemporaryDirectory()))
            hear = stack.enter_context(StatusFile(store)).hear
        elif way == "board":
            hear = stack.enter_context(Board(console)).hear
        before = time.process_time()
        play(hear, seconds, devices, rate)
        stack.close()
        used = time.process_time() - before
    print(json.dumps([used, draws[0] + writes[0]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--way", choices=WAYS)
    given = parser.parse_args()
    if given.way:
        child(given.way, given.seconds, given.devices, given.rate)
        return
    print("| shown | CPU s a minute | of a core | redraws or writes a second |")
    print("| --- | ---: | ---: | ---: |")
    least = 0.0
    for way in WAYS:
        words = [f"--{name}={getattr(given, name)}" for name in ("seconds", "devices", "rate")]
        command = [sys.executable, __file__, "--way", way, *words]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        used, works = json.loads(done.stdout)
        least = used if way == "nothing" else least
        extra = (used - least) / given.seconds
        print(f"| {way} | {60 * extra:.3f} | {100 * extra:.2f} % | {works / given.seconds:.2f} |")


if __name__ == "__main__":
    main()
