"""LoadGen's log: its verdict, its figures, and what a damaged log is worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxprof.errors import BackendError
from onnxprof.scenarios import log

VALUES: dict[str, object] = {
    "effective_samples_per_query": 1,
    "effective_target_latency_percentile": 0.99,
    "effective_min_duration_ms": 600000,
    "effective_print_timestamps": False,
    "result_validity": "VALID",
    "result_perf_constraints_met": True,
    "result_min_duration_met": True,
    "result_min_queries_met": True,
    "early_stopping_met": True,
    "early_stopping_result": " * Run successful.",
    "result_query_count": 700,
    "result_overlatency_query_count": 3,
    "result_scheduled_samples_per_sec": 50.5,
    "result_completed_samples_per_sec": 49.5,
    "result_min_latency_ns": 10,
    "result_max_latency_ns": 99,
    "result_mean_latency_ns": 30,
    "result_50.00_percentile_latency_ns": 20,
    "result_99.00_percentile_latency_ns": 90,
    "result_99.90_percentile_latency_ns": 95,
}
QUERY = {
    "effective_samples_per_query": 8,
    "result_min_query_latency_ns": 100,
    "result_max_query_latency_ns": 990,
    "result_mean_query_latency_ns": 300,
    "result_99.00_percentile_per_query_latency_ns": 900,
    "early_stopping_latency_ms": 910,
}


def lines(values: dict[str, object], **facts: object) -> list[str]:
    return [
        ":::MLLOG " + json.dumps({"key": key, "value": value, "metadata": facts})
        for key, value in values.items()
    ]


def test_a_server_run() -> None:
    found = log.answer(["a line of another kind", *lines(VALUES), ":::MLLOG {cut"])
    assert found.valid
    assert (found.queries, found.samples, found.over_latency) == (700, 700, 3)
    assert (found.percentile, found.percentile_ns) == (0.99, 90)
    assert (found.scheduled_rate, found.completed_rate) == (50.5, 49.5)
    assert dict(found.latency_ns) == {
        "min": 10, "mean": 30, "50": 20, "99": 90, "99.9": 95, "max": 99,
    }  # fmt: skip
    assert found.early_stopping == "Run successful."
    assert dict(found.settings)["min_duration_ms"] == "600000"
    assert dict(found.settings)["print_timestamps"] == "false"
    assert (found.reasons, found.errors) == ((), ())


def test_queries_of_several_samples_have_latencies_of_their_own() -> None:
    found = log.answer(lines(VALUES | QUERY))
    assert (found.queries, found.samples) == (700, 5600)
    assert (found.percentile_ns, found.estimate_ns) == (900, 910)
    assert dict(found.latency_ns) == {"min": 100, "mean": 300, "99": 900, "max": 990}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("result_perf_constraints_met", "above the target latency"),
        ("result_min_duration_met", "least duration"),
        ("result_min_queries_met", "least number of queries"),
        ("early_stopping_met", "early stopping"),
    ],
)
def test_what_was_not_met_is_named(key: str, reason: str) -> None:
    found = log.answer(lines(VALUES | {"result_validity": "INVALID", key: False}))
    assert not found.valid
    assert len(found.reasons) == 1
    assert reason in found.reasons[0]


def test_errors_are_kept_and_warnings_are_not() -> None:
    said = lines({"error_runtime": "Ending early"}, is_error=True)
    said += lines({"warning_generic_message": "Logging allocation"}, is_warning=True)
    assert log.answer(lines(VALUES) + said).errors == ("Ending early",)


@pytest.mark.parametrize("key", ["result_validity", "result_query_count", "early_stopping_met"])
def test_a_log_without_a_result_is_refused_with_its_error(key: str) -> None:
    left = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(BackendError, match="has no result"):
        log.answer(lines(left))
    with pytest.raises(BackendError, match="no result: it broke"):
        log.answer(lines(left) + lines({"error_runtime": "it broke"}, is_error=True))


def test_no_log_at_all(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="LoadGen wrote no log"):
        log.read(tmp_path)
