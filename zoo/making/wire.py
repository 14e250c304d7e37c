"""Protocol Buffers' wire format: as much of it as splicing weights into a model takes.

Working on the bytes keeps materialised files independent of the installed protobuf, and
lets weights stream to disk. Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message, as it lies in the bytes."""

    number: int
    wire_type: int
    raw: bytes
    """Tag, length and payload."""
    payload: bytes
    """The contents of a length-delimited field; of a varint, its own bytes."""

    @property
    def integer(self) -> int:
        """The value of a varint field."""
        return read_varint(self.payload, 0)[0]


def varint(value: int) -> bytes:
    """Encode a non-negative integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode an integer; returns it and where it ends. Raises ValueError where it is cut off."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("the message is cut off")


def header(number: int, length: int) -> bytes:
    """Tag and length of a length-delimited field."""
    return varint(number << 3 | BYTES) + varint(length)


def fields(message: bytes) -> Iterator[Field]:
    """Every field of a message, in file order. Raises ValueError where the bytes are no message."""
    at = 0
    while at < len(message):
        start = at
        tag, at = read_varint(message, at)
        body, at = _extent(message, tag & 7, at)
        if at > len(message):
            raise ValueError("the message is cut off")
        yield Field(tag >> 3, tag & 7, message[start:at], message[body:at])


def _extent(message: bytes, wire_type: int, at: int) -> tuple[int, int]:
    """Where the payload that follows a tag begins and ends."""
    if wire_type == VARINT:
        return at, read_varint(message, at)[1]
    if wire_type == BYTES:
        length, body = read_varint(message, at)
        return body, body + length
    width = {FIXED64: 8, FIXED32: 4}.get(wire_type)
    if width is None:
        raise ValueError(f"wire type {wire_type} is not used by ONNX")
    return at, at + width
