"""Files as one text that a script unpacks: a line that says where each lies, then their bytes."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping


def packed(files: Mapping[str, bytes]) -> str:
    """The files by path, compressed, in Base64: no character of it means anything in HTML."""
    places = []
    start = 0
    for path, content in files.items():
        places.append([path, [start, len(content)]])
        start += len(content)
    line = json.dumps(places, separators=(",", ":")) + "\n"
    whole = b"".join([line.encode(), *files.values()])
    return base64.b64encode(zlib.compress(whole, 9)).decode()


def unpacked(text: str) -> dict[str, bytes]:
    """The files of `packed`."""
    line, _, whole = zlib.decompress(base64.b64decode(text)).partition(b"\n")
    return {path: whole[start : start + size] for path, (start, size) in json.loads(line)}
