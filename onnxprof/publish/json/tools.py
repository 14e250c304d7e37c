"""The zoo, the state of this machine and a built site, as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, FLAG, TEXT, fields_of, known, listed, mapped, record
from onnxprof.publish.json.parts import DEVICE, device
from onnxprof.zoo.declaration import Entry, Published

if TYPE_CHECKING:
    from pathlib import Path

    from onnxprof.doctor import Diagnosis, Tested
    from onnxprof.publish.report.write import Folded
    from onnxprof.publish.site.build import Built

_PUBLISHED = {**fields_of(Published), "parameters": known(COUNT), "macs": known(COUNT)}
_NETWORK = {**fields_of(Entry), "published": record(_PUBLISHED)}
ZOO = Document(
    "zoo-list", "The networks that come with onnxprof", {"networks": listed(record(_NETWORK))}
)
ZOO_INFO = Document("zoo-info", "One network that comes with onnxprof", _NETWORK)

_AVAILABLE = {"backend": TEXT, "device": TEXT, "usable": FLAG, "detail": TEXT, "remedy": TEXT}
_SEEN = record(
    {
        **{"device": DEVICE, "backends": listed(TEXT), "sources": listed(TEXT)},
        "absent": listed(record({"what": TEXT, "reason": TEXT})),
    }
)
_BROKEN = ("name", "kind", "distribution", "error", "remedy")
_EXTRA = record(
    {
        **{"name": TEXT, "purpose": TEXT, "installed": listed(listed(TEXT))},
        **{"missing": listed(TEXT), "remedy": TEXT},
    }
)
_FOLDER = record(
    {"purpose": TEXT, "path": TEXT, "exists": FLAG, "writable": FLAG, "free_bytes": COUNT}
)
_SELF_TEST = record(
    {},
    {
        **{"error": TEXT, "runtime": TEXT, "suite": TEXT, "passed": COUNT},
        "verdicts": listed(record({"name": TEXT, "failure": TEXT})),
        "yardstick": known(record({"name": TEXT, "passed": COUNT, "of": COUNT})),
    },
)
DOCTOR = Document(
    "doctor",
    "What works on this machine, and what the rest needs",
    {
        **{"works": FLAG, "version": TEXT, "config_file": known(TEXT)},
        **{"backends": listed(record(_AVAILABLE)), "devices": listed(_SEEN), "no_gpu": TEXT},
        **{"broken": listed(record(dict.fromkeys(_BROKEN, TEXT))), "extras": listed(_EXTRA)},
        "folders": listed(_FOLDER),
        "runtimes": listed(record({"name": TEXT, "path": TEXT, "size_bytes": COUNT})),
        "guards": listed(record({"name": TEXT, "holds": FLAG, "detail": TEXT})),
        **{"facts": mapped(TEXT), "notes": listed(TEXT)},
    },
    {"conformance": mapped(_SELF_TEST)},
)

REPORT = Document(
    "report",
    "What a report holds, and where it is",
    {
        **{"path": TEXT, "bytes": COUNT, "models": COUNT, "runs": COUNT, "failed": COUNT},
        **{"earlier": COUNT, "problems": listed(TEXT)},
    },
)
SITE_BUILD = Document(
    "site-build",
    "What a build of the site made",
    {
        **{"index": TEXT, "models": COUNT, "runs": COUNT, "files": COUNT},
        **{"reused_models": COUNT, "problems": listed(TEXT), "failed": COUNT, "earlier": COUNT},
    },
)


def zoo(entries: Sequence[Entry]) -> dict[str, Any]:
    """The document of `zoo list`; published figures are null where nobody published them."""
    return ZOO.of({"networks": [_network(entry) for entry in entries]})


def zoo_info(entry: Entry) -> dict[str, Any]:
    """The document of `zoo info`."""
    return ZOO_INFO.of(_network(entry))


def _network(entry: Entry) -> dict[str, Any]:
    from onnxprof.store.encoding import to_json

    facts: dict[str, Any] = to_json(entry)
    published = facts["published"]
    figures = {name: published[name] or None for name in ("parameters", "macs")}
    return facts | {"published": published | figures}


def doctor(
    diagnosis: Diagnosis, tests: Sequence[Tested] = (), config_file: str = ""
) -> dict[str, Any]:
    """The document of `doctor`; `config_file` is the one in force, if any."""
    from dataclasses import asdict

    body: dict[str, Any] = {
        "works": diagnosis.works,
        "config_file": config_file or None,
        **asdict(diagnosis),
        "devices": [asdict(seen) | {"device": device(seen.device)} for seen in diagnosis.devices],
        "facts": dict(diagnosis.facts),
    }
    if tests:
        body["conformance"] = {tested.backend: _tested(tested) for tested in tests}
    return DOCTOR.of(body)


def _tested(tested: Tested) -> dict[str, Any]:
    from dataclasses import asdict

    if tested.result is None:
        return {"error": tested.error}
    return {**asdict(tested.result), "passed": tested.result.passed}


def site_build(built: Built) -> dict[str, Any]:
    """The document of `site build`."""
    return SITE_BUILD.of(
        {
            "index": str(built.index),
            "models": built.models,
            "runs": built.runs,
            "files": built.files,
            "reused_models": built.reused,
            "failed": built.failed,
            "earlier": built.earlier,
            "problems": list(built.problems),
        }
    )


def report_made(made: Folded, path: Path) -> dict[str, Any]:
    """The document of `report`."""
    return REPORT.of(
        {
            **{"path": str(path), "bytes": len(made.content), "models": made.models},
            **{"runs": made.runs, "failed": made.failed, "earlier": made.earlier},
            "problems": list(made.problems),
        }
    )
