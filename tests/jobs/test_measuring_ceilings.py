"""Measuring ceilings: which graphs, what a slope is, what is refused, what a crash costs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import pytest

from onnxprof.errors import BackendError
from onnxprof.jobs.ceilings import slopes
from onnxprof.jobs.ceilings.child import Work, joined, perform, revisited, rounds_s
from onnxprof.jobs.ceilings.graphs import chain
from onnxprof.jobs.ceilings.parent import measured, planned
from onnxprof.jobs.ceilings.probes import WIDTHS, Probe, beyond, probes
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Session, Workload
from onnxprof.processes.confined import Limits
from onnxprof.reasons import ceilings as derived
from onnxprof.records.ceilings import Cache, CeilingsKey, Point
from onnxprof.testing import FakeBackend, FakeSession

CACHES = (Cache("L1", 48 << 10), Cache("L2", 1 << 20), Cache("L3", 32 << 20, 2))
KEY = CeilingsKey("cpu:fake", "fake", "cpu", 1)
KINDS = ("relu", "add", "apart", "matmul", "gemv", "conv3x3", "conv1x1", "depthwise")
SIZES = {
    **dict.fromkeys(("relu", "add", "apart"), (32,)),
    "matmul": (4, 8, 8),
    "gemv": (1, 8, 8),
    **dict.fromkeys(("conv3x3", "conv1x1", "depthwise"), (1, 8, 5)),
}


def test_graphs_reach_from_a_call_to_main_memory() -> None:
    made = probes("cpu", CACHES, 1)
    assert len(set(made)) == len(made)
    sets = [p.working_set_bytes for p in made if p.kind in ("relu", "add", "gemv", "apart")]
    assert min(sets) < 2 << 10
    assert max(sets) >= beyond(CACHES, 1) * 0.9 >= 3.6 * (32 << 20)
    for cache in CACHES:
        assert any(0.4 * cache.bytes < size <= cache.bytes for size in sets)
    assert {p.precision for p in made if p.flops} == set(WIDTHS)


def test_more_threads_have_more_of_the_caches_that_they_do_not_share() -> None:
    assert [cache.reach(1) for cache in CACHES] == [48 << 10, 1 << 20, 32 << 20]
    assert [cache.reach(4) for cache in CACHES] == [192 << 10, 4 << 20, 64 << 20]
    assert beyond(CACHES, 4) == 2 * beyond(CACHES, 1)


def test_a_gpu_gets_larger_graphs_and_no_cache_need_be_known() -> None:
    largest = max(p.flops for p in probes("cpu", (), 1))
    assert max(p.flops for p in probes("cuda", (), 1)) > 100 * largest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", WIDTHS)
def test_every_graph_is_valid_onnx(kind: str, precision: str) -> None:
    if kind in ("relu", "add", "apart") and precision != "float32":
        pytest.skip("elementwise graphs are float32")
    made = chain(Probe(kind, SIZES[kind], precision), 3)
    onnx.checker.check_model(made, full_check=True)
    assert len(made.graph.node) == 3


def test_operations_and_bytes_of_a_copy() -> None:
    assert Probe("matmul", (4, 8, 16)).flops == 2 * 4 * 8 * 16
    assert Probe("conv3x3", (1, 8, 5)).flops == 2 * 8 * 8 * 9 * 25
    assert Probe("depthwise", (1, 8, 5)).flops == 2 * 8 * 9 * 25
    assert Probe("conv1x1", (1, 8, 5)).moved_bytes == 4 * (2 * 8 * 25 + 64)
    assert Probe("matmul", (8, 8, 8), "int8").moved_bytes == 3 * 64
    assert Probe("add", (32,)).moved_bytes == 4 * 96
    assert Probe("gemv", (1, 8, 8), short=1, long=3).working_set_bytes == 3 * 4 * 80
    assert Probe("apart", (32,), short=1, long=3).working_set_bytes == 4 * 4 * 32


@dataclass
class Chained(FakeBackend):
    """A runtime that takes a microsecond for each node; it may merge or refuse what it is given."""

    merged: str = ""
    refused: str = ""

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        if self.refused in str(workload.model.source) and self.refused:
            raise RuntimeError(f"no kernel\nfor {self.refused}")
        yield self._opened(workload)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[FakeSession]:
        session = self._opened(workload)
        if self.merged and self.merged in str(workload.model.source):
            session.workload = replace(
                workload, table=replace(workload.table, layers=workload.table.layers[-1:])
            )
            session.step_ns = session.step_ns[:1]
        yield session

    def _opened(self, workload: Workload) -> FakeSession:
        nodes = len(workload.table.nodes)
        return FakeSession(self.clock, workload, (lambda _: 1_000,) * nodes, 50_000)


def measured_by(backend: Chained, tmp_path: Path, monkeypatch, *wanted: Probe) -> list[Point]:
    monkeypatch.setattr(registry, "backend", lambda _: backend)
    sent: list[tuple[str, object]] = []
    perform(Work(KEY, wanted, 0.001), tmp_path, lambda *m: sent.append(m), backend.clock)
    assert sent[-1][0] == "done"
    return [value for kind, value in sent if isinstance(value, Point)]


def test_a_point_is_what_one_more_copy_takes(tmp_path: Path, monkeypatch) -> None:
    wanted = Probe("relu", (8,), short=2, long=10)
    (made,) = measured_by(Chained(), tmp_path, monkeypatch, wanted)
    assert derived.slope(made).ns == 1_000
    assert set(made.short_ns) == {52_000}
    assert made.executed == "10 Relu"


def test_copies_that_run_as_one_are_refused(tmp_path: Path, monkeypatch) -> None:
    wanted = (Probe("relu", (8,), short=2, long=10), Probe("matmul", (4, 4, 4)))
    merged, whole = measured_by(Chained(merged="relu"), tmp_path, monkeypatch, *wanted)
    assert merged.refused == "10 copies run as 1 step"
    assert not merged.long_ns
    assert whole.long_ns


def test_what_a_runtime_refuses_costs_its_own_point(tmp_path: Path, monkeypatch) -> None:
    wanted = (Probe("relu", (8,)), Probe("matmul", (4, 4, 4)))
    made = measured_by(Chained(refused="relu"), tmp_path, monkeypatch, *wanted)
    assert made[0].refused == "RuntimeError: no kernel for relu"
    assert made[1].long_ns


@pytest.mark.parametrize(
    ("rounds", "spent", "more"),
    [(0, 9, True), (3, 3, False), (8, 2, True), (9, 1, False), (50, 0.5, True), (80, 0.5, False)],
)
def test_rounds_end_with_the_budget(rounds: int, spent: float, more: bool) -> None:
    assert slopes._goes_on(rounds, spent) is more


ROGUE = """
import os, signal
from onnxprof.testing import FakeBackend

class Rogue(FakeBackend):
    def __init__(self):
        super().__init__(name="roguec", step_ns=(1000, 1000))

    def open_traced(self, workload):
        if "add" in os.path.basename(str(workload.model.source)):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().open_traced(workload)
"""


@pytest.fixture
def rogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rogue_ceilings.py").write_text(textwrap.dedent(ROGUE))
    info = tmp_path / "roguec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roguec\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[onnxprof.backends]\nroguec = rogue_ceilings:Rogue\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # a spawned process takes the path over


def test_a_crash_costs_the_graph_that_it_was_at(rogue: None) -> None:
    key = replace(KEY, backend="roguec")
    plan = replace(
        planned("ort", "cpu", "", 1, 1),
        key=key,
        probes=(
            Probe("relu", (8,), short=1, long=2),
            Probe("add", (8,), short=1, long=2),
            Probe("relu", (16,), short=1, long=2),
        ),
    )
    found = measured(plan, Limits(60), lambda *_: None)
    assert ["crash" if p.refused else "" for p in found.points] == ["", "crash", ""]
    assert "SIGSEGV" in found.points[1].refused
    assert found.key == key


def test_where_nothing_runs_the_reason_is_the_error(rogue: None) -> None:
    probe = Probe("add", (8,), short=1, long=2)
    plan = replace(
        planned("ort", "cpu", "", 1, 1), key=replace(KEY, backend="roguec"), probes=(probe,) * 9
    )
    told: list[float] = []
    with pytest.raises(BackendError, match="SIGSEGV"):
        measured(plan, Limits(60), lambda _, share: told.append(share))
    assert len(told) == 3  # and no process is started for the other six


def test_a_backend_that_is_there_gives_slopes() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    wanted = tuple(
        Probe(kind, SIZES[kind], "float32", 1, 3) for kind in ("relu", "matmul", "conv3x3")
    )
    plan = replace(planned("ort", "", "", 1, 0.3), probes=wanted)
    found = measured(plan, Limits(120), lambda *_: None)
    assert [point.refused for point in found.points] == ["", "", ""]
    assert [point.executed.split(",")[0] for point in found.points][:2] == ["3 Relu", "3 MatMul"]
    assert all(len(point.long_ns) == len(point.short_ns) >= 3 for point in found.points)


def timed_point(kind: str, ns: int, flops: int = 0, moved: int = 4_096) -> Point:
    return Point(kind, "", "float32", flops, moved, moved, 1, 2, (1_000,) * 9, (1_000 + ns,) * 9)


def test_the_best_points_are_visited_again() -> None:
    rates = [timed_point(f"m{i}", 100, flops=1_000 * i) for i in range(1, 6)]
    large = [timed_point("relu", 100, moved=1 << 30), timed_point("add", 90, moved=1 << 29)]
    refused = [replace(rates[0], short_ns=(), long_ns=(), refused="no kernel")]
    order = revisited([*refused, *rates, *large])
    assert sorted(order[:5]) == [3, 4, 5, 6, 7]
    assert order[5:] == order[:5]
    assert revisited(refused) == []


def test_visits_share_what_is_left_of_the_budget() -> None:
    assert rounds_s(40, 80) == pytest.approx(0.3)
    assert rounds_s(10, 80) == rounds_s(-5, 80) == 0.03


def test_a_visit_adds_its_rounds() -> None:
    one, more = timed_point("relu", 100), timed_point("relu", 80)
    both = joined(one, more)
    assert len(both.long_ns) == len(both.short_ns) == 18
    assert derived.slope(both).ns == 80
    refused = replace(one, short_ns=(), long_ns=(), refused="crash")
    assert joined(one, refused) == one
