"""The section of a model's page that says how to repeat the run that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.publish.repeating.lines import Repeat
from onnxprof.publish.text.safe import in_page

#: What the page names a run's texts by, in the order of the record.
FIELDS = ("install", "model", "command", "note", "differs")


def page_data(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """The texts of all runs for the page's script: each text once, and its places in each run."""
    places: dict[str, int] = {}
    runs = [
        [places.setdefault(in_page(getattr(one, name)), len(places)) for name in FIELDS]
        for one in repeats
    ]
    return {"texts": list(places), "runs": runs}
