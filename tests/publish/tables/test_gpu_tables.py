"""Kernels, calls of the CUDA runtime, and steps by both clocks: a synthetic run, golden files."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, Group
from support.golden import check_golden

from onnxprof.analysis.intervals import by_process
from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import estimates
from onnxprof.analysis.warnings import step_warnings
from onnxprof.errors import BackendError, StoreError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.publish.tables import gpu, run_summary
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import PreparedModel
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.folder import Store, load
from onnxprof.testing import FakeBackend, FakeSession, sample_run, sample_table

LAYERLESS = (WarningKind.LAUNCH_TIMES, WarningKind.NO_PREFIXES, WarningKind.TIMER_INFLATION)


def gpu_run() -> Run:
    """The second step is launched in a fortieth of the time that it takes on the device, and the
    third takes forty times as long on the host, for a copy and an allocation."""
    run = sample_run(device="cuda:0:fake-gpu", backend="ort")
    assert run.timings is not None
    count = run.timings.step_ns.shape[1]
    step_ns = np.repeat([[900_000], [400_000], [5_000]], count, axis=1).astype(np.int64)
    host_ns = np.repeat([[30_000], [10_000], [200_000]], count, axis=1).astype(np.int64)
    return replace(
        run,
        request=replace(run.request, provider="cuda"),
        device=Device("cuda:0:fake-gpu", "cuda", "Fake GPU", 80 << 30, 132, 16_896, ("sm_90",)),
        timings=replace(run.timings, step_ns=step_ns, host_ns=host_ns, timer=Timer.CUPTI),
        kernels=(
            KernelRow("void conv2d<float, 4>(Params, [x])", 45_000_000, 50, 890_000, 910_000),
            KernelRow("sgemm_128x64", 20_000_000, 100, 100_000, 300_000),
            KernelRow("[CUDA memcpy HtoD]", 250_000, 50, 4_000, 6_000),
        ),
        api_calls=(
            ApiRow("cudaMalloc", 5_000_000, 50, 90_000, 120_000),
            ApiRow("cudaMemcpyAsync", 4_000_000, 50, 70_000, 95_000),
            ApiRow("cudaLaunchKernel", 1_000_000, 150, 4_000, 20_000),
        ),
    )


def shown(run: Run, limit: int | None = 10, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"), highlight=False)  # noqa: SIM115
    console.print(Group(*gpu.tables(run, limit)), markup=False)
    return console.export_text()


def test_the_csv_tables() -> None:
    check_golden("gpu_kernels.csv", gpu.kernels_csv([gpu_run()]))
    check_golden("gpu_api.csv", gpu.api_csv([gpu_run()]))
    check_golden("gpu_steps.csv", gpu.steps_csv([gpu_run()]))


def test_the_terminals_tables() -> None:
    check_golden("gpu_100.txt", shown(gpu_run()))


def test_a_factor_of_forty_is_there_to_see_in_both_directions() -> None:
    factors = [row.factor for row in gpu.step_times(gpu_run())]
    assert factors == [pytest.approx(1 / 30), pytest.approx(1 / 40), pytest.approx(40)]
    assert " 40 ×" in shown(gpu_run())


def test_shares_add_up_to_one() -> None:
    rows = gpu.kernels_csv([gpu_run()]).splitlines()[1:]
    shares = [float(row.split(",")[5]) for row in rows]
    assert sum(shares) == pytest.approx(1)


def test_a_limit_says_how_many_rows_are_left_out() -> None:
    assert shown(gpu_run(), 1).count("(2 more)") == 3


def test_figures_are_whole_in_80_columns_however_long_a_name_is() -> None:
    run = gpu_run()
    name = "void cutlass__" + "80_tensorop_s1688gemm_" * 9
    run = replace(run, kernels=(replace(run.kernels[0], name=name), *run.kernels[1:]))
    text = shown(run, width=80)
    for figure in ("45.00 ms", "900.0 µs", "890.0 µs", "910.0 µs", "69.0 %"):
        assert figure in text
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_shown_as_they_are_and_controls_are_not() -> None:
    evil = replace(gpu_run(), kernels=(KernelRow("a[red]b\x1b[2J", 1, 1, 1, 1),))
    text = shown(evil)
    assert "a[red]b" in text
    assert "\x1b" not in text


def test_a_run_without_a_gpu_has_no_such_tables() -> None:
    assert gpu.tables(sample_run()) == []
    assert gpu.step_times(sample_run()) == []
    assert len(gpu.steps_csv([sample_run()]).splitlines()) == 1


def test_a_step_that_does_nothing_on_the_device_has_no_factor() -> None:
    assert gpu.StepTimes("s", (), 0, 10).factor is None


def test_both_times_and_both_tables_come_back_from_the_store(tmp_path: Path) -> None:
    run = gpu_run()
    back = load(Store(tmp_path).save(run))
    assert back.timings is not None
    assert run.timings is not None
    np.testing.assert_array_equal(back.timings.host_ns, run.timings.host_ns)
    assert (back.kernels, back.api_calls) == (run.kernels, run.api_calls)
    assert back.timer == "cupti"


def test_a_host_time_for_another_number_of_steps_is_not_stored(tmp_path: Path) -> None:
    run = gpu_run()
    assert run.timings is not None
    with pytest.raises(StoreError, match="on the device"):
        Store(tmp_path).save(
            replace(run, timings=replace(run.timings, host_ns=run.timings.host_ns[:1]))
        )


def test_device_times_are_not_scaled_by_what_the_timer_costs_the_host() -> None:
    run = gpu_run()
    assert run.timings is not None
    slow = replace(run.timings, traced_ns=run.timings.traced_ns * 5)
    assert estimates(run.steps, slow).tolist() == [900_000, 400_000, 5_000]
    kinds = {warning.kind for warning in step_warnings(slow, run.steps)}
    assert WarningKind.TIMER_INFLATION not in kinds
    rows = {row.name: row.median_ns for row in reconcile(run).rows}
    assert rows[run.table.nodes[0].name] == 900_000


def test_processes_are_merged_with_both_times_and_taken_apart_again() -> None:
    merged = merge([gpu_run(), gpu_run()])
    assert merged.timings is not None
    assert merged.timings.host_ns.shape == merged.timings.step_ns.shape
    assert merged.kernels[0].instances == 100
    assert merged.api_calls[-1].calls == 300
    halves = by_process(merged.timings)
    assert [half.host_ns.shape for half in halves] == [half.step_ns.shape for half in halves]


def test_the_summary_still_fits_the_run() -> None:
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(run_summary.summary(gpu_run()))
    assert "cupti timer" in " ".join(console.export_text().split())


class Blind(FakeSession):
    """Sees how steps are launched, and no more."""

    launches = "there are no activity records"


class BlindBackend(FakeBackend):
    """A device whose profiler times launches."""

    def _session(self, workload, traced_cost_ns):  # type: ignore[override]
        made = super()._session(workload, traced_cost_ns)
        return Blind(
            *(made.clock, made.workload, made.step_ns, made.gap_ns, traced_cost_ns),
            uncuttable=made.uncuttable,
        )


def measured(timer: str, step_ns: tuple[int, ...] = (1_000_000,) * 3, **options: str):
    backend = BlindBackend(step_ns=step_ns, **options)
    table = sample_table(1, [f"Op{n}" for n in range(len(step_ns))])
    job = Workload(PreparedModel(b"", Path()), table, {}, threads=1)
    return measure(*(backend, job, Budget(1.0), backend.clock, lambda *_: None), timer=Timer(timer))


def launch_warnings(found) -> list[RunWarning]:
    return [w for w in found.warnings if w.kind is WarningKind.LAUNCH_TIMES]


def test_auto_takes_prefixes_where_the_profiler_sees_launches_alone() -> None:
    found = measured("auto")
    assert found.timings.prefix_ns.size
    assert len(found.timings.prefix_steps) == len(found.trace.steps) + 1
    assert launch_warnings(found) == []  # a cut at every step


def test_between_two_cuts_a_segment_is_split_by_launches_and_that_is_said() -> None:
    steps = (100_000,) * 60
    found = measured("auto", steps)
    (warning,) = launch_warnings(found)
    assert warning.value == pytest.approx(1 - (len(found.timings.prefix_steps) - 1) / 60)
    assert "of the steps have times that rest on" in warning_text(warning)


def test_launch_times_are_shown_to_those_who_ask_and_said_to_be_that() -> None:
    found = measured("trace")
    assert found.timings.step_ns.size
    (warning,) = launch_warnings(found)
    assert warning.value == 1.0
    assert "All steps" in warning_text(warning)


def test_where_nothing_else_is_to_be_had_layers_have_no_times() -> None:
    found = measured("auto", uncuttable="it cannot be cut")
    assert found.timings.latency_ns.size
    assert not found.timings.step_ns.size
    (warning,) = launch_warnings(found)
    text = warning_text(warning)
    assert "no times" in text
    assert "cannot be cut" in text
    assert WarningKind.NO_PREFIXES not in {w.kind for w in found.warnings}


@dataclass(slots=True)
class OnDevice(FakeSession):
    """Has the device's own times; its recorder makes inferences longer, and may see nothing."""

    on_device: bool = True
    launches: str = ""
    blind: str = ""

    def recording(self) -> AbstractContextManager[None]:
        return nullcontext()

    def trace(self) -> Trace:
        made = FakeSession.trace(self)
        self.launches = self.blind
        real = made.step_ns - self.traced_cost_ns
        return made if self.blind else replace(made, step_ns=real, host_ns=made.step_ns)


@dataclass(slots=True)
class DeviceBackend(FakeBackend):
    """A device with activity records."""

    blind: str = ""

    def _session(self, workload: Workload, traced_cost_ns: int) -> FakeSession:
        made = FakeBackend._session(self, workload, traced_cost_ns)
        facts = (made.clock, made.workload, made.step_ns, made.gap_ns, traced_cost_ns)
        return OnDevice(*facts, blind=self.blind)


def on_device(timer: str, blind: str = ""):
    backend = DeviceBackend(step_ns=(1_000_000,) * 3, traced_cost_ns=500_000, blind=blind)
    table = sample_table(1, ["Conv", "Relu", "Gemm"])
    job = Workload(PreparedModel(b"", Path()), table, {}, threads=1)
    return measure(*(backend, job, Budget(1.0), backend.clock, lambda *_: None), timer=Timer(timer))


def test_auto_keeps_the_devices_own_times_whatever_its_recorder_costs_the_host() -> None:
    found = on_device("auto")
    assert not found.timings.prefix_ns.size
    assert found.timings.host_ns.shape == found.timings.step_ns.shape
    assert set(found.timings.step_ns.ravel().tolist()) == {1_000_000}
    assert {w.kind for w in found.warnings} & {*LAYERLESS} == set()


def test_prefixes_are_taken_from_such_a_device_if_they_are_asked_for() -> None:
    assert on_device("prefix").timings.prefix_ns.size


def test_records_that_fail_at_the_end_leave_the_latency_and_the_reason() -> None:
    found = on_device("auto", "records match no inference")
    assert found.timings.latency_ns.size
    assert not found.timings.step_ns.size
    (warning,) = launch_warnings(found)
    assert "records match no inference" in warning_text(warning)


def test_a_backend_without_activity_records_has_no_cupti_timer() -> None:
    with pytest.raises(BackendError, match="no cupti timer"):
        measured("cupti")
