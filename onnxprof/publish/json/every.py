"""Every kind of document by name, and the files of their schemas.

    python -m onnxprof.publish.json.every FOLDER    writes a file for each

The files are in the folder `schemas` beside this module; `onnxprof schema NAME` prints one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from onnxprof.publish.json import (
    comparing,
    gates,
    inspected,
    listing,
    loads,
    reasons,
    runs,
    sweeps,
    tools,
)
from onnxprof.publish.json.documents import ERROR, Document

DOCUMENTS: Mapping[str, Document] = {
    each.name: each
    for each in (
        *(inspected.INSPECT, inspected.COST, inspected.ALIVE, inspected.SYMBOLIC),
        inspected.OPTIMIZED,
        *(runs.PROFILE, listing.LIST, listing.HISTORY, runs.RUN),
        *(comparing.COMPARE, comparing.ALIGN, comparing.OVER_BATCHES, comparing.SCALING),
        *(comparing.PHASES, gates.GATE),
        *(reasons.ADVISE, reasons.CEILINGS, reasons.CEILINGS_LIST, reasons.PROVENANCE),
        *(loads.SCENARIOS, sweeps.EVENT, sweeps.STATUS),
        *(tools.ZOO, tools.ZOO_INFO, tools.DOCTOR),
        *(tools.SITE_BUILD, tools.REPORT, ERROR),
    )
}
FOLDER = Path(__file__).parent / "schemas"


def file_name(document: Document) -> str:
    """The name of the file of its schema: `runs-list.1.json`."""
    return f"{document.name}.{document.version}.json"


def schema_text(document: Document) -> str:
    """Its JSON Schema as the file has it."""
    return json.dumps(document.schema, indent=1) + "\n"


def write(folder: Path) -> None:
    """Write a file for each kind of document."""
    for document in DOCUMENTS.values():
        (folder / file_name(document)).write_text(schema_text(document), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
