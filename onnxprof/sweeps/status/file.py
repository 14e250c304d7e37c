"""How a sweep stands, in a small file of its store that `onnxprof sweep status` reads.

Each sweep has a file of its own, so several may work on one store. The file is replaced as a whole.
A sweep that was killed leaves its file; it is told from a living one by the process that wrote it.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from onnxprof.errors import StoreError
from onnxprof.processes.identity import Identity, is_alive, myself
from onnxprof.store import guard
from onnxprof.store.encoding import dumps, from_json, to_json
from onnxprof.store.names import path_part
from onnxprof.sweeps.events import Event
from onnxprof.sweeps.status.pace import Pace
from onnxprof.sweeps.status.tally import Tally

FOLDER = ".onnxprof-sweeps"
#: Grows when a reader of the last version would be misled.
STATUS_VERSION = 1
#: How often the file is written, at most.
INTERVAL_S = 1.0
#: Many times what a sweep over hundreds of devices takes.
_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Status:
    """How a sweep stood when its file was written."""

    writer: Identity
    began: str
    """UTC, ISO 8601."""
    written: str
    tally: Tally
    version: int = STATUS_VERSION


class State(StrEnum):
    """Whether a sweep still goes on."""

    RUNNING = "running"
    ENDED = "ended"
    DEAD = "dead"
    """Its process is gone without having said so."""
    UNKNOWN = "unknown"
    """It runs on another machine, so nobody here can tell."""


def state(status: Status) -> State:
    """Whether the sweep still goes on, as far as this machine can tell."""
    if status.tally.is_over:
        return State.ENDED
    alive = is_alive(status.writer)
    if alive is None:
        return State.UNKNOWN
    return State.RUNNING if alive else State.DEAD


def statuses(store: Path) -> tuple[list[Status], list[StoreError]]:
    """Those of all sweeps on a store, oldest first, and what cannot be read."""
    good: list[Status] = []
    bad: list[StoreError] = []
    for place in sorted((store / FOLDER).glob("*.json")):
        try:
            good.append(_read(place))
        except FileNotFoundError:
            continue  # its sweep has just taken it away
        except guard.ERRORS as error:
            bad.append(StoreError(f"cannot be read as a sweep's status: {error}", where=str(place)))
    return sorted(good, key=lambda status: status.began), bad


class StatusFile:
    """Keeps the file of this process's sweep up to date; `hear` is to be called by one at a time.

    It says in the end that the sweep is over. Files of sweeps that are over or dead are taken away
    when the next sweep on the store begins. Where the file cannot be written, as on a full disk,
    the sweep goes on without.
    """

    def __init__(self, store: Path, interval_s: float = INTERVAL_S) -> None:
        self._writer = myself()
        self._place = store / FOLDER / f"{path_part(self._writer.host)}-{self._writer.pid}.json"
        self._began = _now()
        self._start_s = time.monotonic()
        self._tally = Tally()
        self._interval_s = interval_s
        self._pace: Pace | None = None

    def __enter__(self) -> StatusFile:
        _tidy(self._place.parent)
        self._pace = Pace(self._write, self._interval_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pace is not None:
            self._pace.close()
        if not self._tally.is_over:
            with suppress(OSError):
                self._place.unlink(missing_ok=True)

    def hear(self, event: Event) -> None:
        """Take one more event into account."""
        self._tally = self._tally.after(event, time.monotonic() - self._start_s)
        if self._pace is not None:
            self._pace.nudge()

    def _write(self) -> None:
        status = Status(self._writer, self._began, _now(), self._tally)
        temporary = self._place.with_name(f".{secrets.token_hex(8)}.tmp")
        with suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(dumps(to_json(status)))
                temporary.replace(self._place)
            finally:
                temporary.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Take away the files of sweeps that are over or dead."""
    with suppress(OSError):
        for place in folder.glob("*.json"):
            with suppress(*guard.ERRORS):
                if state(_read(place)) in (State.ENDED, State.DEAD):
                    place.unlink(missing_ok=True)


def _read(place: Path) -> Status:
    """Raises one of `guard.ERRORS`."""
    guard.check_file(place)
    if place.stat().st_size > _MOST_BYTES:
        raise ValueError("it is larger than any status")
    facts = guard.facts_in(place.read_bytes())
    if facts.get("version") != STATUS_VERSION:
        raise ValueError(f"it has version {str(facts.get('version'))[:40]!r}")
    found = from_json(Status, facts)
    datetime.fromisoformat(found.written)
    return found


def age_s(status: Status) -> float:
    """Seconds since the file was written; 0 where the clock has been set back."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(status.written)).total_seconds())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
