"""Names of runs: STORE/<model>/<device>/<backend>/<batch, threads, request, sizes, moment>."""

from __future__ import annotations

import re
import unicodedata

from onnxprof.records.run import Request
from onnxprof.store.encoding import request_digest

FAILED = "-failed"
_LONGEST_PART = 80
#: Names that Windows keeps for devices.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def folders_of(request: Request) -> tuple[str, str, str]:
    """The folders below a store's that hold the runs of a request."""
    model, device, backend = request.model_name, request.device_id, request.backend
    return path_part(model), path_part(device), path_part(backend)


def prefix(request: Request) -> str:
    """What the file names of all runs of a request begin with."""
    return f"b{request.batch:04d}-t{request.threads}-{request_digest(request)}-"


def stem(request: Request, created: str) -> str:
    """What a run is known by in its folder, whatever its file is called: tags name it."""
    return prefix(request) + _moment(created)


def file_stem(request: Request, created: str) -> str:
    """The file name of a run, without `-failed`, a number and the ending.

    The phase and sizes of axes are there for whoever reads it; the digest tells requests apart.
    """
    axes = [request.phase.replace(":", "=")] if request.phase else []
    axes += [f"{path_part(name)}={size}" for name, size in sorted(request.dims)]
    sizes = ",".join(axes).replace("-", "_")[:_LONGEST_PART]
    return prefix(request) + "-".join(filter(None, (sizes, _moment(created))))


def _moment(created: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]", "", created)[:32]


def path_part(text: str) -> str:
    """A readable name for a folder, safe on every file system, whatever the text.

    Letters and digits of any script, `.`, `_` and `-` stay; all else becomes `-`. Two texts may
    share a folder: which run a file holds is told by its own facts.
    """
    normal = unicodedata.normalize("NFC", text)
    safe = "".join(c if c.isalnum() or c in "._" else "-" for c in normal)
    safe = re.sub(r"-{2,}", "-", safe).strip("-. ")
    safe = safe.encode("utf-8", "ignore")[:_LONGEST_PART].decode("utf-8", "ignore").rstrip("-.")
    if not safe or _RESERVED.match(safe):
        return f"_{safe}"
    return safe
