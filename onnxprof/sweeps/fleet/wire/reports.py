"""Events, names of jobs and errors as messages have them."""

from __future__ import annotations

from typing import TypeVar, get_args

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.store import encoding
from onnxprof.sweeps import events
from onnxprof.sweeps.events import JobName
from onnxprof.sweeps.fleet.wire.frames import Frame, unreadable

T = TypeVar("T")
_EVENTS = {kind.kind: kind for kind in get_args(events.Event)}


def of_event(event: events.Event) -> Frame:
    """The message of an event."""
    return Frame("event", {"event": event.kind, "facts": encoding.to_json(event)})


def event_of(frame: Frame) -> events.Event:
    """The event in a frame. Raises FleetError for what is none."""
    kind = _EVENTS.get(frame.text("event"))
    if kind is None:
        raise unreadable(f"an event {frame.text('event')!r}")
    event: events.Event = _record(kind, frame.facts.get("facts"))
    return event


def job_of(frame: Frame) -> JobName:
    """The job whose run a frame holds. Raises FleetError for what is none."""
    return _record(JobName, frame.facts.get("job"))


def _record(kind: type[T], data: object) -> T:
    try:
        return encoding.from_json(kind, data)
    except (ValueError, TypeError, LookupError) as error:
        raise unreadable(f"{kind.__name__}: {error}") from None


def of_error(error: OnnxprofError, kind: str = "refused") -> Frame:
    """The message of an error."""
    facts = {"what": error.what, "where": error.where, "remedy": error.remedy}
    return Frame(kind, facts)


def error_of(frame: Frame, node: str) -> FleetError:
    """The error that a machine reports."""
    where = frame.text("where")
    place = f"{node}: {where}" if where else node
    return FleetError(frame.text("what"), where=place, remedy=frame.text("remedy"))
