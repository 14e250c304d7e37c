"""The near side of a sweep: has a worker run tasks, over whatever carries the messages."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from onnxprof.errors import FleetError, OnnxprofError, StoreError
from onnxprof.records.run import Run
from onnxprof.store import encoding
from onnxprof.sweeps import events
from onnxprof.sweeps.events import JobName
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.near.tally import Tally
from onnxprof.sweeps.fleet.wire import bundles
from onnxprof.sweeps.fleet.wire.bundles import Packed
from onnxprof.sweeps.fleet.wire.frames import PROTOCOL, Frame, unreadable
from onnxprof.sweeps.fleet.wire.reports import error_of, event_of, job_of
from onnxprof.sweeps.fleet.wire.survey import Survey
from onnxprof.sweeps.places import Desk
from onnxprof.sweeps.tasks import Task


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often both ends say that they are there, and how long a silence means the end."""

    beat_s: float = 5.0
    silence_s: float = 60.0


class Line(Protocol):
    """Carries messages to one worker and back."""

    def send(self, frame: Frame) -> None:
        """Send a message. Raises PlaceLostError where nobody can get it."""

    def next(self) -> Frame:
        """The next message. Raises PlaceLostError once there will be none."""


@dataclass(slots=True)
class Sent:
    """Which bundles a machine has been sent; its workers share what one of them was sent."""

    digests: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    bytes: int = 0
    """All that went over the line."""


def greet(line: Line, node: str, backends: Iterable[str], pulse: Pulse) -> Survey:
    """What the worker's machine has. Raises FleetError for a worker that speaks otherwise."""
    line.send(
        Frame(
            "hello",
            {
                "protocol": PROTOCOL,
                "node": node,
                "backends": sorted(backends),
                "beat_s": pulse.beat_s,
                "silence_s": pulse.silence_s,
            },
        )
    )
    frame = line.next()
    if frame.kind == "refused":
        raise error_of(frame, node)
    if frame.kind != "hello" or frame.number("protocol") != PROTOCOL:
        raise FleetError(
            f"its worker speaks another version of the sweep's messages than {PROTOCOL}",
            where=node,
            remedy="Install the same onnxprof there",
        )
    try:
        return encoding.from_json(Survey, frame.facts.get("survey"))
    except (ValueError, TypeError, LookupError) as error:
        raise unreadable(f"the survey of {node}: {error}") from None


@dataclass(slots=True)
class Call:
    """One task on one worker."""

    line: Line
    node: str
    task: Task
    desk: Desk
    stock: Stock
    sent: Sent
    tally: Tally
    _files: dict[str, Packed] = field(default_factory=dict)

    def run(self) -> None:
        """Run the task and give what comes back to the desk.

        Raises PlaceLostError with the worker gone, FleetError where it makes no sense.
        """
        left = self.tally.left(self.task)
        if not left:
            return
        try:
            facts = self._facts(left)
        except OnnxprofError as error:  # the model cannot be read here
            self._fail(error, "")
            return
        self.line.send(Frame("task", facts))
        while (frame := self.line.next()).kind not in ("done", "failed"):
            self._take(frame)
        if frame.kind == "failed":
            self._fail(error_of(frame, self.node))
        elif self.tally.left(self.task):
            self._fail(FleetError("its worker went on without a word about it", where=self.node))

    def give_up(self, reason: str) -> None:
        """Report what is left as failed."""
        self._fail(FleetError(reason))

    def _facts(self, left: tuple[int, ...]) -> dict[str, object]:
        facts: dict[str, object] = {
            "task": self.task.asking(batches=left).to_json(),
            "unwanted": sorted(self.desk.unwanted(self.task.model_name)),
        }
        item, inputs = self.stock.model(self.task), self.stock.inputs(self.task)
        if item:
            facts |= {"name": item.named.name, "reference": item.named.reference}
            facts["model"] = self._offer(item.packed)
        if inputs:
            facts["inputs"] = self._offer(inputs)
        return facts

    def _offer(self, packed: Packed) -> dict[str, object]:
        self._files[packed.bundle.sha256] = packed
        return bundles.as_json(packed.bundle)

    def _take(self, frame: Frame) -> None:
        if frame.kind == "need":
            self._deliver(frame)
        elif frame.kind == "run":
            self._keep(frame)
        elif frame.kind == "event":
            self._hear(event_of(frame))
        elif frame.kind == "refused":
            raise error_of(frame, self.node)
        elif frame.kind != "beat":
            raise unreadable(f"{frame.kind!r} from {self.node}")

    def _hear(self, event: events.Event) -> None:
        """Pass an event of a job on; how the whole sweep goes is not a worker's to say."""
        if isinstance(event, events.Noted):
            self.desk.hear(events.Noted(f"{self.node}: {event.text}"))
        elif isinstance(event, events.Started | events.Advanced):
            self.desk.hear(replace(event, job=self._ours(event.job)[1]))
        elif isinstance(event, events.Failed | events.Skipped | events.AlreadyStored):
            batch, job = self._ours(event.job)
            if self.tally.end(self.task, batch):
                self.desk.hear(replace(event, job=job))

    def _keep(self, frame: Frame) -> None:
        """Have a run stored as the bytes that came, once it is known to be one of this task."""
        batch, job = self._ours(job_of(frame))
        run = run_in(frame.body, self.node)
        self._refuse_other(run)
        if self.tally.end(self.task, batch):
            seconds, reason = frame.number("seconds"), frame.text("reason")
            self.desk.take(job, run, seconds, reason, data=frame.body)

    def _ours(self, theirs: JobName) -> tuple[int, JobName]:
        """The batch that a job was asked for at, and its name here. Raises FleetError."""
        asked = theirs.key.rpartition("-b")[2]
        if asked not in map(str, self.task.options.batches):
            raise FleetError(f"reports a job {theirs.key!r}, which is not its own", where=self.node)
        named = self.task.job(int(asked), self.node)
        return int(asked), replace(theirs, key=named.key, node=named.node)

    def _refuse_other(self, run: Run) -> None:
        asked, options = run.request, self.task.options
        device = self.task.device_id or asked.device_id
        if (asked.backend, asked.device_id) != (options.backend, device):
            raise FleetError(
                f"sent a run of {asked.backend} on {asked.device_id} for another task",
                where=self.node,
            )

    def _deliver(self, frame: Frame) -> None:
        """Send a bundle that the task names; one worker of a machine at a time."""
        sha256 = frame.text("sha256")
        packed = self._files.get(sha256)
        if packed is None:
            raise FleetError("asks for a file that is not of its task", where=self.node)
        with self.sent.lock:
            if sha256 in self.sent.digests and not frame.facts.get("again"):
                self.line.send(Frame("there", {"sha256": sha256}))
                return
            try:
                for part in packed.parts():
                    self.line.send(part)
                    self.sent.bytes += len(part.body)
            except FleetError as error:
                self.line.send(Frame("gone", {"what": error.what, "where": error.where}))
                return
            self.line.send(Frame("whole", {"sha256": sha256}))
            self.sent.digests.add(sha256)

    def _fail(self, error: OnnxprofError, node: str | None = None) -> None:
        for batch in self.tally.left(self.task):
            self.tally.end(self.task, batch)
            job = self.task.job(batch, self.node if node is None else node)
            self.desk.hear(events.Failed(job, str(error)))


def run_in(data: bytes, node: str) -> Run:
    """The run that a file's bytes hold. Raises FleetError for what is none."""
    from onnxprof.store.folder import load

    with tempfile.NamedTemporaryFile(prefix="onnxprof-", suffix=".parquet") as file:
        file.write(data)
        file.flush()
        try:
            return load(Path(file.name))
        except StoreError as error:
            raise FleetError(f"sent a run that {error.what}", where=node) from None
