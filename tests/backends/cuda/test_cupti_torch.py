"""Torch's profiler as the collector of activity records, on a machine without a device."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from onnxprof.backends.cuda import collector as cupti_torch
from onnxprof.backends.cuda.activity import Activity, Launch
from onnxprof.backends.cuda.collector import sorted_out
from onnxprof.records.gpu import KernelRow


def launch(correlation: int, start_ns: int) -> Launch:
    return Launch(correlation, 7, start_ns, 1_000, "cudaLaunchKernel")


@dataclass(slots=True)
class Planted:
    """Records of a device that there is not: each step's launch, and its kernel's time."""

    launches: list[Launch]
    activities: list[Activity]
    stopped: bool = False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


def event(kind: str, name: str, **facts: int) -> SimpleNamespace:
    values = {"correlation_id": 0, "device_resource_id": 0, "start_ns": 0, "duration_ns": 0}
    texts = {"activity_type": kind, "name": name}
    made = {**values, **facts, **texts}
    return SimpleNamespace(**{key: (lambda v=value: v) for key, value in made.items()})


def test_the_profilers_events_are_sorted_out() -> None:
    calls, work, mark = sorted_out(
        [
            event("user_annotation", "onnxprof clock", start_ns=42),
            event("cuda_runtime", "cudaLaunchKernel", correlation_id=3, device_resource_id=7),
            event("cuda_driver", "cuLaunchKernel", correlation_id=4),
            event("kernel", "conv", correlation_id=3, duration_ns=5),
            event("gpu_memcpy", "Memcpy HtoD", correlation_id=4, duration_ns=6),
            event("gpu_memset", "Memset", correlation_id=4, duration_ns=7),
            event("gpu_user_annotation", "onnxprof clock", start_ns=99),
            event("overhead", "Activity Buffer Request"),
            event("cuda_sync", "Stream Synchronize"),
        ]
    )
    assert [call.correlation for call in calls] == [3, 4]
    assert calls[0].thread == 7
    assert [(a.correlation, a.duration_ns) for a in work] == [(3, 5), (4, 6), (4, 7)]
    assert mark == 42


def test_torchs_clock_is_the_one_that_counts_from_the_epoch() -> None:
    """The collector on a machine without a GPU: no records, but the mark and its bracket."""
    pytest.importorskip("torch", reason="needs onnxprof[torch]")
    collector = cupti_torch.TorchCollector()
    for _ in range(2):
        collector.start()
        collector.stop()
    assert collector.offsets == [0, 0]


def test_a_build_of_torch_without_cupti_says_so() -> None:
    torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")
    if torch.version.cuda is not None:
        pytest.skip("this torch has CUPTI")
    assert "has no CUPTI" in cupti_torch.obstacle()


def test_another_major_version_of_cuda_is_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of torch with CUPTI, as far as it tells."""
    torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")
    both = {torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA}
    monkeypatch.setattr(torch.profiler, "supported_activities", lambda: both)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert "CUPTI for CUDA 12.8" in cupti_torch.obstacle("13.0")
    assert cupti_torch.obstacle("12.4") == cupti_torch.obstacle("") == ""


@pytest.mark.parametrize(
    ("activities", "words"),
    [([Activity(1, "fill", 5)], ""), ([], "NVreg_RestrictProfilingToAdminUsers")],
)
def test_whether_anything_is_recorded_is_found_out_by_trying(
    activities: list[Activity], words: str
) -> None:
    collector = Planted([launch(1, 0)], activities)
    found = cupti_torch.silence(collector, lambda: None)
    assert bool(found) == bool(words)
    assert words in found
    assert collector.launches == collector.activities == []


def test_a_runtime_with_times_of_its_own_has_the_tables_too() -> None:
    calls: list[int] = []
    collector = Planted([launch(1, 0)], [Activity(1, "conv", 5), Activity(2, "conv", 9)])
    kernels, api = cupti_torch.tables(lambda: calls.append(1), collector)
    assert len(calls) == 10
    assert kernels == (KernelRow("conv", 14, 2, 5, 9),)
    assert [row.calls for row in api] == [1]


def test_tables_of_what_fails_are_empty_and_the_recorder_is_stopped() -> None:
    collector = Planted([], [])
    assert cupti_torch.tables(lambda: 1 / 0, collector) == ((), ())  # type: ignore[arg-type,return-value]
    assert collector.stopped


def test_a_device_that_cannot_work_has_no_records_and_says_why() -> None:
    torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")
    if torch.version.cuda is not None:
        pytest.skip("this torch may have a device")
    found = cupti_torch.silence(cupti_torch.TorchCollector(), lambda: cupti_torch.fill(0))
    assert "not compiled with CUDA" in found
