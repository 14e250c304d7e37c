"""Messages between a sweep and its workers: a line of JSON each, and the bytes that it announces.

The line has `kind`, what that kind needs, and `bytes`: how many follow it. Neither end believes
the other: a line and what follows it are bounded before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxprof.errors import FleetError
from onnxprof.store import encoding

#: Version of the messages; both ends say theirs first, and others are refused.
PROTOCOL = 1
#: A task with its options takes a kilobyte or two.
MOST_LINE = 1 << 20
#: A run takes some ten to a hundred kilobytes; one of hours some ten megabytes.
MOST_BODY = 1 << 28
#: Models travel in parts of this size.
PART = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def text(self, name: str) -> str:
        """A fact that is a text. Raises FleetError for any other."""
        return str(self._of(name, str))

    def number(self, name: str) -> float:
        """A fact that is a number. Raises FleetError for any other."""
        return float(self._of(name, (int, float)))

    def _of(self, name: str, kind: Any) -> Any:
        value = self.facts.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise unreadable(f"{name} of {self.kind!r} is {str(value)[:40]!r}")
        return value


def encoded(frame: Frame) -> bytes:
    """The message as bytes. Raises FleetError for one that the other end would refuse."""
    line = encoding.dumps({**frame.facts, "kind": frame.kind, "bytes": len(frame.body)})
    if len(line) >= MOST_LINE or len(frame.body) > MOST_BODY:
        raise FleetError(f"{frame.kind!r} is too long for a message")
    return b"%b\n%b" % (line, frame.body)


class Decoder:
    """Messages out of bytes as they come."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._head: Frame | None = None
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages that are complete by now. Raises FleetError for what is none."""
        self._waiting += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._head is None:
            self._read_line()
        if self._head is None or len(self._waiting) < self._size:
            return None
        head, self._head = self._head, None
        body = bytes(self._waiting[: self._size])
        del self._waiting[: self._size]
        return Frame(head.kind, head.facts, body)

    def _read_line(self) -> None:
        end = self._waiting.find(b"\n", 0, MOST_LINE)
        if end >= 0:
            line = bytes(self._waiting[:end])
            del self._waiting[: end + 1]
            self._head, self._size = _head(line)
        elif len(self._waiting) >= MOST_LINE:
            raise unreadable("a line does not end")


def _head(line: bytes) -> tuple[Frame, int]:
    try:
        facts = json.loads(line)
        kind, size = facts.pop("kind"), facts.pop("bytes")
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise unreadable(f"{line[:40]!r} is no message") from None
    if not isinstance(kind, str) or type(size) is not int or not 0 <= size <= MOST_BODY:
        raise unreadable(f"{line[:40]!r} is no message")
    return Frame(kind, facts), size


def unreadable(what: str) -> FleetError:
    """The error for bytes that are no message of this protocol."""
    return FleetError(
        f"cannot be understood: {what}",
        remedy="Both ends need the same onnxprof; nothing else may print on the far stdout",
    )
