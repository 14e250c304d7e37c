"""Growth of layers over a free axis: beside their costs, in print, as documents, on a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.habits.documents import checked
from typer.testing import CliRunner

from onnxprof.analysis.reconcile import reconcile
from onnxprof.cli.main import app
from onnxprof.compare.growth.orders import Order
from onnxprof.compare.growth.rows import over_axis
from onnxprof.compare.scaling import scaling
from onnxprof.publish.scaling.pages import sections
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

SIZES = (16, 32, 64, 128)


def sized(size: int, scale: float, batch: int = 1, backend: str = "fake") -> Run:
    """A run whose layers have as many operations as the size, and times by the scale alone."""
    usual = reconcile(sample_run("net", batch=size)).total_ns / reconcile(sample_run()).total_ns
    run = sample_run("net", batch=size, scale=scale / usual, backend=backend)
    request = replace(run.request, batch=batch, dims=(("seq", size),))
    return replace(run, request=request)


def swept(time: Callable[[int], float] = lambda size: size / 16) -> list[Run]:
    return [sized(size, time(size)) for size in SIZES]


def test_times_that_grow_as_costs_do() -> None:
    growth = over_axis(scaling(swept(), "seq"))
    assert growth is not None
    assert (growth.over, growth.sizes) == ("seq", SIZES)
    assert growth.fit.order is Order.LINEAR
    assert growth.latencies_ns == tuple(p.latency_ns for p in scaling(swept(), "seq").points)
    computing = [row for row in growth.rows if row.cost is Order.LINEAR]
    assert computing
    assert all(row.agrees for row in computing)


@pytest.mark.parametrize(
    ("time", "order"),
    [(lambda size: 1.0, Order.CONSTANT), (lambda size: (size / 16) ** 2, Order.QUADRATIC)],
)
def test_times_that_do_not(time: Callable[[int], float], order: Order) -> None:
    growth = over_axis(scaling(swept(time), "seq"))
    assert growth is not None
    assert growth.fit.order is order
    computing = [row for row in growth.rows if row.cost is Order.LINEAR]
    assert computing
    assert not any(row.agrees for row in computing)


def test_the_batch_has_what_is_fixed_and_what_an_item_costs_instead() -> None:
    assert over_axis(scaling([sample_run("net", batch) for batch in (1, 8)])) is None


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for run in swept():
        Store(tmp_path / "runs").save(run)
    return tmp_path / "runs"


def told(store: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["scaling", "--over", "seq", "--store", str(store), *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_it(store: Path) -> None:
    out = told(store)
    assert max(map(len, out.splitlines())) <= 80
    assert "Growth with n, the size of seq, in " in out
    assert "block" in out.partition("Growth")[2]
    assert "Growth with n" in told(store, "--format", "md")
    header, *rows = told(store, "--format", "csv").splitlines()
    assert header.endswith("saturated_at,time_order,cost_order")
    assert any(row.endswith(",1,1") for row in rows)
    [found] = checked(told(store, "--json"), "scaling")["scalings"]
    assert found["growth"]["sizes"] == list(SIZES)
    assert found["growth"]["fit"]["order"] == 1


def test_a_page_has_the_commands_tables() -> None:
    batches = [sample_run("net", batch) for batch in (1, 8)]
    first, second = sections([*swept(), *batches])
    assert [grid.id for grid in first.grids] == ["sizes-0", "sizes-0-growth"]
    assert first.grids[0].heads[0] == "seq", "a name is left as it is"
    assert first.title.endswith("4 sizes of seq")
    assert [grid.id for grid in second.grids] == ["sizes-1", "sizes-1-layers"]
    assert second.grids[0].heads[0] == "Batch"
    assert second.grids[1].heads[2:4] in (("Fixed µs", "µs an item"), ("Fixed ms", "ms an item"))
    assert not sections([sample_run()])


def test_a_page_has_a_dozen_of_them_at_most() -> None:
    runs = [sized(size, size / 16, backend=f"b{i}") for i in range(20) for size in (1, 2)]
    assert len(sections(runs)) == 12
