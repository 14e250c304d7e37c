"""LoadGen's detailed log: lines of `:::MLLOG` and a JSON object with a key and a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.records.scenarios.answer import Answer

NAME = "mlperf_log_detail.txt"
_MARK = ":::MLLOG "
_EFFECTIVE = "effective_"
_PERCENTILE = re.compile(r"result_([\d.]+)_percentile_latency_ns")
_OF_QUERY = re.compile(r"result_([\d.]+)_percentile_per_query_latency_ns")
#: Samples a second in the server, offline and single-stream scenarios.
_RATES = (
    "result_completed_samples_per_sec",
    "result_samples_per_second",
    "result_qps_with_loadgen_overhead",
)
#: Errors that are kept; a run logs one or two.
_MOST_ERRORS = 8


def read(folder: Path) -> Answer:
    """What the log in a folder says of the run. Raises BackendError where it says too little."""
    try:
        text = (folder / NAME).read_text("utf-8", "replace")
    except OSError as error:
        raise BackendError(f"LoadGen wrote no log: {error.strerror or error}") from error
    return answer(text.splitlines())


def answer(lines: Iterable[str]) -> Answer:
    """What the lines of a log say. Raises BackendError where they lack a result."""
    entries = list(_entries(lines))
    values = {str(entry["key"]): entry.get("value") for entry in entries}
    errors = tuple(str(e.get("value"))[:400] for e in entries if _is_error(e))[:_MOST_ERRORS]
    try:
        return _answer(values, errors)
    except (KeyError, TypeError, ValueError) as error:
        why = f": {errors[0]}" if errors else f" ({error})"
        raise BackendError(f"LoadGen's log has no result{why}") from error


def _entries(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line.startswith(_MARK):
            try:
                entry = json.loads(line.removeprefix(_MARK))
            except ValueError:
                continue
            if isinstance(entry, dict) and "key" in entry:
                yield entry


def _is_error(entry: Mapping[str, Any]) -> bool:
    facts = entry.get("metadata")
    return isinstance(facts, dict) and bool(facts.get("is_error"))


def _answer(values: Mapping[str, Any], errors: tuple[str, ...]) -> Answer:
    settings = tuple(
        (key.removeprefix(_EFFECTIVE), _text(value))
        for key, value in values.items()
        if key.startswith(_EFFECTIVE)
    )
    effective = dict(settings)
    percentile = float(effective["target_latency_percentile"])
    queries = int(values["result_query_count"])
    latencies = dict(_latencies(values))
    estimates = (values.get("early_stopping_latency_ss"), values.get("early_stopping_latency_ms"))
    return Answer(
        valid=values["result_validity"] == "VALID",
        queries=queries,
        samples=queries * int(effective["samples_per_query"]),
        percentile=percentile,
        percentile_ns=latencies[_name(100 * percentile)],
        latency_ns=tuple(latencies.items()),
        min_duration_met=_truth(values["result_min_duration_met"]),
        min_queries_met=_truth(values["result_min_queries_met"]),
        early_stopping_met=_truth(values["early_stopping_met"]),
        latency_met=_truth(values.get("result_perf_constraints_met", True)),
        early_stopping=_plain(str(values.get("early_stopping_result", ""))),
        estimate_ns=next((int(e) for e in estimates if e), 0),
        over_latency=int(values.get("result_overlatency_query_count", 0)),
        scheduled_rate=float(values.get("result_scheduled_samples_per_sec", 0.0)),
        completed_rate=next((float(values[name]) for name in _RATES if name in values), 0.0),
        settings=settings,
        errors=errors,
    )


def _latencies(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Of queries where LoadGen gives these, else of samples."""
    is_query = any(map(_OF_QUERY.fullmatch, values))
    form, middle = (_OF_QUERY, "query_") if is_query else (_PERCENTILE, "")
    for name in ("min", "mean"):
        yield name, int(values[f"result_{name}_{middle}latency_ns"])
    for key, value in values.items():
        if found := form.fullmatch(key):
            yield _name(float(found[1])), int(value)
    yield "max", int(values[f"result_max_{middle}latency_ns"])


def _name(percentile: float) -> str:
    """`99`, `99.9`."""
    return f"{percentile:.4g}"


def _truth(value: object) -> bool:
    return value in (True, "true", "True", 1)


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _plain(text: str) -> str:
    """LoadGen's list of points as one line."""
    parts = (part.strip() for part in re.split(r"\s*\* ", text))
    return " ".join(" ".join(part.split()) for part in parts if part)
