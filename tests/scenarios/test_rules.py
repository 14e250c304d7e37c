"""LoadGen's two traps: rules that were silently not read, and settings that are not in effect."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from onnxprof.errors import BackendError
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.scenarios import loadgen
from onnxprof.scenarios.orders import Order

ORDER = Order(Scenario.SERVER, 600.0, 50.0, 15_000_000)
EFFECTIVE = {
    "min_duration_ms": "600000",
    "samples_per_query": "1",
    "target_qps": "50",
    "target_latency_ns": "15000000",
}


class Unread:
    """Settings as LoadGen leaves them where it does not read its rules: at their defaults."""

    def __init__(self) -> None:
        self.qsl_rng_seed = self.sample_index_rng_seed = self.schedule_rng_seed = 0
        self.min_duration_ms = 10_000

    def FromConfig(self, *_: object) -> int:
        return 0  # as if all were well


def test_rules_that_were_not_read_are_noticed() -> None:
    with pytest.raises(BackendError, match="did not read its rules"):
        loadgen._rules(SimpleNamespace(TestSettings=Unread), "Server")


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
def test_the_rules_of_today_are_read(scenario: str) -> None:
    real = pytest.importorskip("mlperf_loadgen", reason="needs onnxprof[loadgen]")
    made = loadgen._rules(real, scenario)
    assert made.min_duration_ms == 600_000
    assert made.single_stream_target_latency_percentile == pytest.approx(0.9)
    assert made.multi_stream_target_latency_percentile == pytest.approx(0.99)
    assert made.multi_stream_samples_per_query == 8
    assert made.server_target_latency_percentile == pytest.approx(0.99)
    assert made.min_query_count == (662 if scenario == "MultiStream" else 100)


def test_settings_in_effect_are_accepted() -> None:
    loadgen._check_effective(ORDER, EFFECTIVE)


@pytest.mark.parametrize("key", EFFECTIVE)
@pytest.mark.parametrize("value", ["7", "nan", None])
def test_settings_that_are_not_in_effect_are_named(
    key: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadgen, "version", lambda: "6")
    told = {name: text for name, text in EFFECTIVE.items() if name != key}
    told |= {key: value} if value else {}
    with pytest.raises(BackendError, match=f"LoadGen took {key} as {value or 'nothing'}"):
        loadgen._check_effective(ORDER, told)
