"""Kernels to launches to steps, on records that are made up and on a real profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import models

from onnxprof.backends.cuda.activity import (
    WHOLE,
    Activity,
    Attribution,
    Launch,
    Window,
    attribute,
    clock_offset,
    host_times,
    matched_threads,
    moved,
    owners,
    profile_windows,
)
from onnxprof.backends.ort.device_timer import DeviceTimer, on_device
from onnxprof.errors import BackendError
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.records.gpu import ApiRow, KernelRow, merged_calls, merged_kernels
from onnxprof.records.step import Confidence, Step

#: Two inferences of two steps, the second step with its own window inside of the first's.
RUN = [
    Window(WHOLE, 0, 7, 0, 100_000),
    Window(0, 0, 7, 10_000, 60_000),
    Window(1, 0, 7, 20_000, 40_000),
    Window(WHOLE, 1, 7, 200_000, 300_000),
    Window(0, 1, 7, 210_000, 260_000),
]


def launch(correlation: int, start_ns: int, thread: int = 7, name: str = "cudaLaunchKernel"):
    return Launch(correlation, thread, start_ns, 1_000, name)


def test_a_kernel_belongs_to_the_innermost_window_of_its_launch() -> None:
    calls = [launch(1, 15_000), launch(2, 30_000), launch(3, 45_000), launch(4, 250_000)]
    work = [Activity(n, "k", 10**n) for n in (1, 2, 3, 4)]
    found = attribute(RUN, calls, work, (2, 2))
    assert found.device_ns.tolist() == [[10 + 1000, 10_000], [100, 0]]
    assert found.stray_ns.tolist() == [0, 0]
    assert (found.lost, found.lost_ns) == (0, 0)


def test_the_host_has_a_step_without_the_steps_inside_of_it() -> None:
    assert host_times(RUN, (2, 2)).tolist() == [[30_000, 50_000], [20_000, 0]]


def test_an_asynchronous_kernel_counts_where_it_was_launched_not_where_it_ran() -> None:
    """Step 1's kernel runs for 40 times as long as its window on the host."""
    found = attribute(RUN, [launch(9, 21_000)], [Activity(9, "slow", 800_000)], (2, 2))
    assert found.device_ns[1, 0] == 40 * found.host_ns[1, 0]


def test_what_no_step_launched_is_the_inferences_own() -> None:
    calls = [launch(1, 90_000, name="cudaMemcpyAsync")]
    found = attribute(RUN, calls, [Activity(1, "Memcpy DtoH", 77)], (2, 2))
    assert found.stray_ns.tolist() == [77, 0]
    assert not found.device_ns.any()


def test_records_without_a_launch_or_outside_of_all_inferences_are_lost() -> None:
    calls = [launch(1, 150_000)]
    work = [Activity(1, "between", 5), Activity(2, "no call", 6)]
    found = attribute(RUN, calls, work, (2, 2))
    assert (found.lost, found.lost_ns) == (2, 11)
    assert found.kernels == ()
    assert found.api_calls == ()


def test_a_graph_launch_brings_all_its_kernels() -> None:
    work = [Activity(1, f"k{n}", 10) for n in range(5)]
    found = attribute(RUN, [launch(1, 12_000, name="cudaGraphLaunch")], work, (2, 2))
    assert found.device_ns[0, 0] == 50
    assert [row.name for row in found.kernels] == [f"k{n}" for n in range(5)]


def test_copies_and_allocations_stand_in_the_table_of_calls() -> None:
    calls = [
        Launch(1, 7, 12_000, 900, "cudaMemcpyAsync"),
        Launch(2, 7, 13_000, 100, "cudaLaunchKernel"),
        Launch(3, 7, 14_000, 300, "cudaLaunchKernel"),
        Launch(4, 7, 150_000, 999, "cudaMalloc"),
    ]
    found = attribute(RUN, calls, [Activity(2, "a", 40), Activity(3, "a", 20)], (2, 2))
    assert found.api_calls == (
        ApiRow("cudaMemcpyAsync", 900, 1, 900, 900),
        ApiRow("cudaLaunchKernel", 400, 2, 100, 300),
    )
    assert found.kernels == (KernelRow("a", 60, 2, 20, 40),)
    assert found.kernels[0].average_ns == 30.0


def test_launches_of_other_threads_are_not_the_steps() -> None:
    busy = [launch(n, 15_000 + n) for n in range(3)]
    found = attribute(RUN, [*busy, launch(9, 30_000, thread=8)], [Activity(9, "other", 5)], (2, 2))
    assert found.lost == 1


def test_threads_are_matched_by_when_they_call_where_numbers_differ() -> None:
    """CUPTI may number the inference's thread 4021; thread 5 only calls between inferences."""
    calls = [*(launch(n, 11_000 + n, thread=4021) for n in range(9)), launch(50, 150_000, thread=5)]
    assert matched_threads(RUN, calls) == {4021: 7}
    found = attribute(RUN, calls, [Activity(3, "k", 8), Activity(50, "k", 9)], (2, 2))
    assert found.device_ns[0, 0] == 8
    assert found.lost_ns == 9


def test_interleaved_threads_keep_their_own_windows() -> None:
    windows = [Window(0, 0, 1, 0, 100), Window(1, 0, 2, 50, 150)]
    calls = [launch(1, 60, thread=1), launch(2, 60, thread=2), launch(3, 120, thread=2)]
    owner = owners(windows, calls)
    assert {c: w.step for c, w in owner.items()} == {1: 0, 2: 1, 3: 1}


@pytest.mark.parametrize(("start_ns", "step"), [(9, 0), (10, 1), (19, 1), (20, None), (0, 0)])
def test_a_window_ends_before_its_end(start_ns: int, step: int | None) -> None:
    windows = [Window(0, 0, 7, 0, 10), Window(1, 0, 7, 10, 20)]
    owner = owners(windows, [launch(1, start_ns)])
    assert (owner[1].step if 1 in owner else None) == step


def test_rounded_ends_reach_a_microsecond_further_but_not_into_the_next_window() -> None:
    windows = [Window(0, 0, 7, 0, 10_000), Window(1, 0, 7, 10_500, 20_000)]
    owner = owners(windows, [launch(1, 10_400), launch(2, 10_600), launch(3, 20_900)], 1_000)
    assert {c: w.step for c, w in owner.items()} == {1: 0, 2: 1, 3: 1}


@pytest.mark.parametrize(
    ("before", "seen", "after", "offset"),
    [(100, 150, 200, 0), (100, 90, 200, 10), (100, 230, 200, -30), (100, 100, 100, 0)],
)
def test_clocks_are_moved_no_further_than_they_must(before, seen, after, offset) -> None:
    assert clock_offset(before, seen, after) == offset
    assert before <= seen + offset <= after


def test_a_clock_that_is_off_attributes_after_it_is_moved() -> None:
    calls = [launch(1, 15_000 - 10**9)]
    work = [Activity(1, "k", 10)]
    assert attribute(RUN, calls, work, (2, 2)).lost == 1
    assert attribute(RUN, moved(calls, 10**9), work, (2, 2)).device_ns[0, 0] == 10


@st.composite
def nested(draw: st.DrawFn) -> list[Window]:
    """Inferences in a row, steps in each, some of them with steps inside."""
    windows: list[Window] = []
    clock = draw(st.integers(0, 10))
    for inference in range(draw(st.integers(1, 3))):
        began, parts = clock, []
        for step in range(draw(st.integers(0, 4))):
            start = clock + draw(st.integers(0, 5))
            clock = start + draw(st.integers(1, 30))
            parts.append(Window(2 * step, inference, 7, start, clock))
            if draw(st.booleans()) and clock - start > 4:
                parts.append(Window(2 * step + 1, inference, 7, start + 1, clock - 1))
        windows += [*parts, Window(WHOLE, inference, 7, began, clock + 1)]
        clock += 1 + draw(st.integers(0, 5))
    return windows


@given(nested(), st.lists(st.integers(0, 400), max_size=30), st.integers(0, 5))
def test_the_sweep_agrees_with_looking_at_every_window(
    windows: list[Window], starts: list[int], kernels: int
) -> None:
    calls = [launch(n, start) for n, start in enumerate(starts)]
    owner = owners(windows, calls)
    for call in calls:
        around = [w for w in windows if w.start_ns <= call.start_ns < w.end_ns]
        least = min(around, key=lambda w: (w.end_ns - w.start_ns, w.step == WHOLE), default=None)
        assert owner.get(call.correlation) == least
    work = [Activity(n, f"k{k}", 1 + k) for n in range(len(starts) + 2) for k in range(kernels)]
    found = attribute(windows, calls, work, (8, 3), slack_ns=0)
    matched = int(found.device_ns.sum() + found.stray_ns.sum())
    assert matched + found.lost_ns == sum(a.duration_ns for a in work)
    assert matched == sum(row.total_ns for row in found.kernels)
    assert sum(row.calls for row in found.api_calls) == len(owner)


@given(nested())
def test_host_times_add_up_to_the_outermost_windows(windows: list[Window]) -> None:
    outer = [w for w in windows if w.step != WHOLE and w.step % 2 == 0]
    whole = sum(w.end_ns - w.start_ns for w in outer)
    assert host_times(windows, (8, 3)).sum() == whole


def test_tables_of_processes_add_up() -> None:
    one, two = (KernelRow("a", 10, 2, 4, 6),), (KernelRow("b", 50, 1, 50, 50),)
    assert merged_kernels((one, two, one)) == (two[0], KernelRow("a", 20, 4, 4, 6))
    assert merged_calls(((ApiRow("m", 3, 1, 3, 3),), (ApiRow("m", 9, 2, 1, 8),))) == (
        ApiRow("m", 12, 3, 1, 8),
    )


def trace(steps: int = 2, inferences: int = 2) -> Trace:
    made = tuple(Step(f"s{n}", "Conv", "CUDA", (), Confidence.NONE) for n in range(steps))
    return Trace(made, np.ones((steps, inferences), np.int64), provider="CUDA")


def attribution(stray: int = 0, lost_ns: int = 0) -> Attribution:
    device, host = np.full((2, 2), 40_000), np.full((2, 2), 1_000)
    return Attribution(device, host, np.array([stray, stray]), int(lost_ns > 0), lost_ns)


def test_device_times_take_the_place_of_launch_times() -> None:
    made = on_device(trace(), attribution())
    assert made.step_ns.tolist() == [[40_000] * 2] * 2
    assert made.host_ns.tolist() == [[1_000] * 2] * 2
    assert len(made.steps) == 2


def test_what_no_step_launched_has_a_row_of_its_own() -> None:
    made = on_device(trace(), attribution(stray=9))
    assert made.steps[-1].layers == ()
    assert made.step_ns[-1].tolist() == [9, 9]
    assert made.host_ns.shape == made.step_ns.shape


def test_records_of_which_most_match_nothing_are_no_times() -> None:
    on_device(trace(), attribution(lost_ns=160_000))
    with pytest.raises(BackendError, match=r"match no inference.*--timer prefix"):
        on_device(trace(), attribution(lost_ns=160_001))


def test_no_records_at_all_are_no_times_either() -> None:
    nothing = attribution()
    nothing.device_ns[:] = 0
    with pytest.raises(BackendError, match=r"no activity record.*--timer prefix"):
        on_device(trace(), nothing)


@pytest.mark.parametrize("insisted", [True, False])
def test_records_that_match_nothing_cost_the_layers_but_not_the_latency(
    insisted: bool, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text("[]")
    timer = DeviceTimer(Planted([], [Activity(7, "k", 100)]), insisted=insisted)
    if insisted:
        with pytest.raises(BackendError, match="match no inference"):
            timer.timed(trace(), profile, {}, 0)
        return
    assert timer.timed(trace(), profile, {}, 0).host_ns.size == 0
    assert "match no inference; --timer prefix" in timer.obstacle


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


def test_records_find_the_steps_of_a_real_profile(tmp_path: Path) -> None:
    """A launch in the middle of each node's event of a profile by onnxruntime itself."""
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    import json

    from onnxprof.backends.ort.profile import event_key
    from onnxprof.backends.ort.timed import joined_steps
    from onnxprof.backends.ort.traced import open_profiled

    model = open_model(str(models.save(models.lenet(), tmp_path)))
    table = inspect(model, 1)
    job = Workload(prepare(model, 1, {}), table, generate(table), threads=1)
    session = open_profiled(job, tmp_path)
    for _ in range(3):
        session.infer()
    path = Path(session.session.end_profiling())
    profile, ties, length = session._tied(path)
    joined = joined_steps(profile, ties)
    rows = {key: row for row, entry in enumerate(joined) for key in entry.keys}
    epoch = session._epoch_ns
    windows = [
        w
        for w in profile_windows(json.loads(path.read_text()), rows, event_key, epoch)
        if w.step != WHOLE
    ]
    assert len(windows) == 3 * len(rows)
    calls = [launch(n, (w.start_ns + w.end_ns) // 2, w.thread) for n, w in enumerate(windows)]
    work = [Activity(n, f"k{w.step}", 1_000 * (w.step + 1)) for n, w in enumerate(windows)]
    bare = Trace(
        tuple(Step(str(n), "", "", (), Confidence.NONE) for n in range(len(joined))),
        np.zeros((len(joined), 3), np.int64),
    )
    found = DeviceTimer(Planted(calls, work)).timed(bare, path, rows, epoch)
    assert found.step_ns.sum() == sum(a.duration_ns for a in work)
    wanted = [[1_000 * (row + 1) * len(entry.keys)] * 3 for row, entry in enumerate(joined)]
    assert found.step_ns.tolist() == wanted
    assert (found.host_ns > 0).any()
    assert length
