"""Load scenarios on disk: one JSON file each, under STORE/scenarios/<model>/<device>/<backend>/."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from pathlib import Path

from onnxprof.analysis.standing import standing
from onnxprof.errors import StoreError, UsageError
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Asked
from onnxprof.records.scenarios.run import SCENARIO_SCHEMA, ScenarioRun
from onnxprof.records.step import USUAL
from onnxprof.store.beside import json_files
from onnxprof.store.beside.json_files import SUFFIX
from onnxprof.store.encoding import dumps, to_json
from onnxprof.store.folder import write_new
from onnxprof.store.guard import LARGEST
from onnxprof.store.names import path_part

FOLDER = "scenarios"
_FAILED = "-failed"
#: Hex digits of an id, as of a run's.
ID_DIGITS = 7


def asked_id(asked: Asked) -> str:
    """The first digits of the SHA-256 over what was asked."""
    facts = to_json(asked)
    if asked.setup == USUAL:
        del facts["setup"]  # records that do not have it keep their ids
    if not asked.runtime:
        del facts["runtime"]
    return hashlib.sha256(dumps(facts)).hexdigest()[:ID_DIGITS]


def save(root: Path, run: ScenarioRun) -> Path:
    """Write the run under a new name and return where. Raises StoreError."""
    asked = run.asked
    created = re.sub(r"[^0-9A-Za-z.]", "", run.created)[:32]
    stem = f"{asked.scenario}-t{asked.threads}-{asked_id(asked)}-{created}"
    parts = (asked.model_name, asked.device_id, asked.backend)
    folder = root.joinpath(FOLDER, *map(path_part, parts))
    stem += _FAILED if run.answer is None else ""
    return write_new(folder, stem, SUFFIX, dumps(to_json(run)), "the scenario")


def load(path: Path) -> ScenarioRun:
    """Read one file. Raises StoreError, naming it, where it cannot be read."""
    return json_files.load(_KIND, path)


def stored(roots: Iterable[Path]) -> tuple[list[tuple[Path, ScenarioRun]], list[StoreError]]:
    """All scenarios with their files, oldest first, and what could not be read."""
    return json_files.stored(_KIND, roots)


def newest(roots: Iterable[Path], text: str) -> tuple[Path, ScenarioRun]:
    """The newest good run that a text means: a file, an id or its first digits, any for no text.

    A failed one where no other succeeded.

    Raises UsageError where there is none, StoreError for a file that cannot be read.
    """
    if text.endswith(SUFFIX):
        return Path(text), load(Path(text))
    good, _ = stored(roots)
    fitting = [found for found in good if asked_id(found[1].asked).startswith(text.lower())]
    if not fitting:
        what = f"no stored scenario has the id {text!r}" if text else "no scenario is stored here"
        raise UsageError(what, remedy="List them with onnxprof scenarios list")
    return sorted(fitting, key=lambda found: standing(found[1]))[-1]


def _check(run: ScenarioRun) -> None:
    """Raise ValueError for figures that no run gives."""
    for answer in (run.answer, run.floor):
        if answer is not None:
            _check_answer(answer)
    asked = run.asked
    numbers = (asked.rate, asked.duration_s, run.seconds, *(probe.rate for probe in run.probes))
    counts = (asked.threads, asked.sessions, asked.max_batch, asked.max_wait_ns, asked.samples)
    sizes = (number for pair in run.batches for number in pair)
    _check_numbers(numbers, (*counts, asked.target_latency_ns, run.load_ns, *sizes))


def _check_answer(answer: Answer) -> None:
    counts = (answer.queries, answer.samples, answer.percentile_ns, answer.estimate_ns)
    latencies = (ns for _, ns in answer.latency_ns)
    rates = (answer.percentile, answer.scheduled_rate, answer.completed_rate)
    _check_numbers(rates, (*counts, answer.over_latency, *latencies))


def _check_numbers(numbers: Iterable[float], counts: Iterable[int]) -> None:
    if any(not 0 <= count <= LARGEST for count in counts):
        raise ValueError("it has a negative or too large figure")
    if any(not math.isfinite(number) or number < 0 for number in numbers):
        raise ValueError("it has a figure that no clock gives")


_KIND = json_files.Kind(
    cls=ScenarioRun,
    noun="scenario",
    schema=SCENARIO_SCHEMA,
    pattern=f"{FOLDER}/*/*/*/*{SUFFIX}",
    check=_check,
    remedy="Delete the file, and measure again",
)
