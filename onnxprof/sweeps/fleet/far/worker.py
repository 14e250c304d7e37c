"""The far side of a sweep: `onnxprof worker --stdio` measures what it is sent on this machine.

Nothing listens: whoever starts it holds both ends of its streams. It greets with what this machine
has, then takes a task at a time, asks for files that it lacks, and sends back events and each run
as the bytes of its file, before the next begins. It ends when its stdin closes, or when nothing
came for as long as the other end said; what it measures then is ended as by Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.machine.facts import NODE
from onnxprof.model.sources import resolve
from onnxprof.model.sources.policy import Resolved
from onnxprof.records.run import Request, Run
from onnxprof.store import encoding
from onnxprof.sweeps import events
from onnxprof.sweeps.events import JobName
from onnxprof.sweeps.fleet.far.pipe import Inbox, Pipe, attended
from onnxprof.sweeps.fleet.wire import bundles
from onnxprof.sweeps.fleet.wire.bundles import Bundle, Shelf
from onnxprof.sweeps.fleet.wire.frames import PROTOCOL, Frame, unreadable
from onnxprof.sweeps.fleet.wire.reports import of_error, of_event
from onnxprof.sweeps.fleet.wire.survey import survey
from onnxprof.sweeps.places import Desk, Place
from onnxprof.sweeps.tasks import Task

#: For the first words, before the other end said how long it is ever silent.
_GREETING_S = 300.0


def serve(pipe: Pipe, place: Callable[[], Place]) -> int:
    """Serve until the other end is gone; returns the exit code."""
    try:
        beat_s, silence_s = _greet(pipe)
        with attended(pipe, beat_s, silence_s) as inbox:
            worker = _Worker(pipe, inbox, place())
            while (frame := inbox.next()) is not None:
                worker.obey(frame)
    except (KeyboardInterrupt, BrokenPipeError):  # the other end is gone
        return 0
    except FleetError as error:
        with suppress(OSError):
            pipe.send(of_error(error))
        return error.exit_code
    return 0


def _greet(pipe: Pipe) -> tuple[float, float]:
    """Exchange greetings; returns how often to beat and how long a silence means the end."""
    heard = (frame for frame in pipe.frames(_GREETING_S) if frame.kind != "beat")
    frame = next(heard, None)
    if frame is None:
        raise KeyboardInterrupt
    if frame.kind != "hello" or frame.number("protocol") != PROTOCOL:
        raise unreadable(f"this worker speaks version {PROTOCOL} of the sweep's messages")
    os.environ[NODE] = frame.text("node")
    asked = frame.facts.get("backends")
    seen = survey(map(str, asked if isinstance(asked, list) else ()))
    pipe.send(Frame("hello", {"protocol": PROTOCOL, "survey": encoding.to_json(seen)}))
    return frame.number("beat_s"), frame.number("silence_s")


@dataclass(frozen=True, slots=True)
class _Worker:
    pipe: Pipe
    inbox: Inbox
    place: Place

    def obey(self, frame: Frame) -> None:
        """Run the task that a frame holds."""
        if frame.kind != "task":
            raise unreadable(f"{frame.kind!r} where a task was due")
        try:
            task, unwanted = self._task(frame), frozenset(_texts(frame, "unwanted"))
            self.place.run(task, _Sender(self.pipe, unwanted))
        except OnnxprofError as error:
            self.pipe.send(of_error(error, "failed"))
        else:
            self.pipe.send(Frame("done"))

    def _task(self, frame: Frame) -> Task:
        task = Task.from_json(frame.facts.get("task") or {})
        if "model" in frame.facts:
            path = self._file(frame.facts["model"])
            named = Resolved(path, frame.text("name"), frame.text("reference"))
            resolve.give(task.model, named)
        if "inputs" in frame.facts:
            task = task.asking(inputs=str(self._file(frame.facts["inputs"])))
        return task

    def _file(self, data: Any) -> Path:
        """A file of a bundle, from the cache or asked for."""
        bundle, shelf = bundles.from_json(data), Shelf.usual()
        return shelf.find(bundle) or self._sent(bundle, shelf)

    def _sent(self, bundle: Bundle, shelf: Shelf) -> Path:
        """Ask for a bundle; another worker of this machine may be receiving it already."""
        self.pipe.send(Frame("need", {"sha256": bundle.sha256, "again": False}))
        frame = self._answer(bundle)
        if frame.kind == "there":
            kept = shelf.find(bundle)
            if kept is not None:
                return kept
            self.pipe.send(Frame("need", {"sha256": bundle.sha256, "again": True}))
            frame = self._answer(bundle)
        incoming = shelf.receive(bundle)
        try:
            while frame.kind == "part":
                incoming.add(frame.body)
                frame = self._answer(bundle)
            return incoming.finish()
        finally:
            incoming.abandon()

    def _answer(self, bundle: Bundle) -> Frame:
        frame = self.inbox.next()
        if frame is None:
            raise KeyboardInterrupt
        if frame.kind == "gone":  # it cannot be read where it lies
            raise FleetError(frame.text("what"), where=frame.text("where"))
        if frame.kind not in ("part", "whole", "there") or frame.text("sha256") != bundle.sha256:
            raise unreadable(f"{frame.kind!r} where a part of a file was due")
        return frame


@dataclass(frozen=True, slots=True)
class _Sender(Desk):
    """Sends what a desk would keep."""

    pipe: Pipe
    refused: frozenset[str]

    def is_wanted(self, request: Request) -> bool:
        """Whether the other end lacks it."""
        return encoding.request_digest(request) not in self.refused

    def unwanted(self, model_name: str) -> frozenset[str]:
        """What the other end has of the model of this task."""
        del model_name
        return self.refused

    def take(
        self, job: JobName, run: Run, seconds: float, reason: str = "", data: bytes = b""
    ) -> None:
        """Send the bytes of the run's file."""
        from onnxprof.store import parquet

        facts = {"job": encoding.to_json(job), "seconds": seconds, "reason": reason}
        self.pipe.send(Frame("run", facts, data or parquet.to_bytes(run)))

    def hear(self, event: events.Event) -> None:
        """Send the event."""
        self.pipe.send(of_event(event))


def _texts(frame: Frame, name: str) -> tuple[str, ...]:
    values = frame.facts.get(name, [])
    if not isinstance(values, list):
        raise unreadable(f"{name} of {frame.kind!r}")
    return tuple(map(str, values))
