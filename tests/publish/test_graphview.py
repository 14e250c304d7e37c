"""What the page's script gets of a graph: scopes, boxes, edges; and runs side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sites import failed_run, hostile_run, scoped_run
from test_plot import chain

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.drawing import scopes, strips
from onnxprof.publish.drawing.layout import Box, lay_out
from onnxprof.publish.drawing.plot import drawn, links
from onnxprof.publish.pages import embed, graph_view, side_by_side
from onnxprof.publish.pages.catalogue import ModelPage, catalogue
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run
from onnxprof.testing import sample_run, sample_table


def page_of(*measured: Run) -> ModelPage:
    (page,) = catalogue(measured)
    return page


def inside(scope: scopes.Scope) -> Iterator[scopes.Scope]:
    yield scope
    for member in scope.members:
        if isinstance(member, scopes.Scope):
            yield from inside(member)


@given(st.lists(st.text("ab/.", max_size=8), max_size=600), st.integers(0, 400))
def test_scopes_hold_every_layer_once_and_in_order(names: list[str], most: int) -> None:
    root = scopes.gathered(names, most)
    assert list(root.layers()) == list(range(len(names)))
    assert all(len(scope.members) <= max(most, scopes.MOST_MEMBERS) for scope in inside(root))


def test_a_small_graph_is_not_folded() -> None:
    assert scopes.gathered(["a/b"] * 300).members == tuple(range(300))
    assert len(scopes.gathered(["a/b/c"] * 301).members) < 300


def test_a_scope_of_nearly_everything_is_opened() -> None:
    names = ["x", *(f"net/stage{i // 100}/op{i}" for i in range(400))]
    assert [m.name for m in scopes.gathered(names).members if isinstance(m, scopes.Scope)] == [
        f"net/stage{i}" for i in range(4)
    ]


def test_dots_part_names_where_there_are_no_slashes() -> None:
    names = [f"encoder.layer.{i // 50}.op{i}" for i in range(400)]
    found = [m.name for m in scopes.gathered(names).members if isinstance(m, scopes.Scope)]
    assert found[0] == "encoder/layer/0"
    assert len(found) == 8


def test_names_that_say_nothing_are_gathered_by_place() -> None:
    root = scopes.gathered([f"n{i}" for i in range(5000)])
    assert len(root.members) == 71
    assert root.members[0] == scopes.Scope("n0 … n70", tuple(range(71)))


def test_endless_paths_are_cut() -> None:
    assert list(scopes.gathered(["a/" * 5000 + str(i) for i in range(400)]).layers())


def boxes(scope: dict[str, object]) -> list[list[int]]:
    return scope["boxes"]  # type: ignore[return-value]


@pytest.mark.parametrize("table", [sample_table(2), chain(80, ((0, 79),)), scoped_run(600).table])
def test_every_layer_has_a_box_and_every_link_an_end(table: LayerTable) -> None:
    graph = graph_view.graph(table)
    layers = [table.layers[i] for i in drawn(table)]
    found = [number for scope in graph["scopes"] for kind, number, *_ in boxes(scope) if kind < 2]
    assert sorted(found) == list(range(len(layers)))
    assert len(graph["nodes"]) == len(layers)
    joined = {
        (boxes(scope)[a][1], boxes(scope)[b][1])
        for scope in graph["scopes"]
        for a, b, *_ in scope["edges"]
        if boxes(scope)[a][0] != graph_view.SCOPE and boxes(scope)[b][0] != graph_view.SCOPE
    }
    homes = {
        number: i
        for i, scope in enumerate(graph["scopes"])
        for kind, number, *_ in boxes(scope)
        if kind < 2
    }
    for a, b in links(layers):
        if homes[a] == homes[b] or graph["scopes"][homes[b]]["up"] >= 0:
            assert (a, b) in joined, "an edge, or a reference to where it comes from"


def test_boxes_of_a_scope_do_not_overlap() -> None:
    for scope in graph_view.graph(scoped_run(600).table)["scopes"]:
        places = [(x, y) for _, _, x, y in boxes(scope)]
        assert len(set(places)) == len(places)
        assert all(0 <= x <= scope["w"] and 0 <= y <= scope["h"] for x, y in places)


def test_a_long_chain_is_columns_and_its_edges_go_from_each_to_the_next() -> None:
    table = chain(130, ((3, 6), (60, 64)))
    (scope,) = graph_view.graph(table)["scopes"]
    assert 0.8 < scope["w"] / scope["h"] < 4
    columns = sorted({x for _, _, x, _ in boxes(scope)})
    assert 5 <= len(columns) <= 12
    places = [(x, y) for _, _, x, y in boxes(scope)]
    assert places == sorted(places), "from top to bottom, then right"
    for a, b, *flat in scope["edges"]:
        points = list(zip(flat[::2], flat[1::2], strict=True))
        (ax, ay), (bx, by) = places[a], places[b]
        assert ax <= points[0][0] <= ax + 232
        assert bx <= points[-1][0] <= bx + 232
        assert points[0][1] >= ay
        assert points[-1][1] <= by
        assert all(0 <= x <= scope["w"] and 0 <= y <= scope["h"] for x, y in points)


def test_a_wide_or_short_graph_stays_as_it_is() -> None:
    drawing = lay_out([Box(232, 42)] * 20, [(i, i + 1) for i in range(19)])
    assert strips.wrapped(drawing, [Box(232, 42)] * 20, [False] * 20) is drawing
    crossed = [(0, i) for i in range(1, 60)] + [(i, 60 + i) for i in range(1, 60)]
    crossed += [(i, i + 1) for i in range(60, 119)]
    sizes = [Box(232, 42)] * 120
    drawing = lay_out(sizes, crossed)
    assert strips.wrapped(drawing, sizes, [False] * 120) is drawing


def test_the_file_is_a_call_that_holds_no_markup() -> None:
    ((path, text),) = graph_view.scripts(graph_view.graphs(page_of(hostile_run())))
    assert path == "plot/graph-0.js"
    assert "<" not in text
    json.loads(text.removeprefix("onnxprof.graph(0,").removesuffix(");\n"))


def test_one_file_serves_all_batch_sizes() -> None:
    page = page_of(sample_run("m", 1), sample_run("m", 8))
    assert len(graph_view.graphs(page)) == 1
    assert {table["graph"] for table in embed.page_data(page)["tables"]} == {0}


def test_fused_rows_name_the_row_of_their_step() -> None:
    (run,) = embed.page_data(page_of(sample_run("m")))["runs"]
    (home,) = run["h"]
    assert run["m"][home] is not None
    data = embed.page_data(page_of(sample_run("m")))
    assert data["names"][run["s"][home]] == "timed, 2 layers"


def values(page: ModelPage) -> dict[str, dict[str, object]]:
    found = {}
    for path, text in side_by_side.scripts(page):
        name, rest = text.removeprefix('onnxprof.aligned("').split('",', 1)
        assert path == f"aligned/{name}.js"
        found[name] = json.loads(rest.removesuffix(");\n"))
    return found


def test_runs_of_one_batch_stand_side_by_side_and_add_up() -> None:
    page = page_of(sample_run("m", 1), sample_run("m", 1, "cuda:0:x", "b", fused=False))
    (found,) = values(page).values()
    *_, (name, totals) = found["sums"]  # type: ignore[misc]
    assert name == "(total)"
    assert [cell[0] for cell in totals] == [reconcile(e.run).total_ns for e in page.entries]
    for column, total in enumerate(totals):
        cells = [row[3][column] for row in found["rows"]]  # type: ignore[attr-defined]
        cells += [cells_[column] for _, cells_ in found["sums"][:-1]]  # type: ignore[index]
        assert sum(cell[0] or 0 for cell in cells) == total[0]
    assert side_by_side.listed(page) == [{"batch": 1, "name": "b1.0", "systems": [0, 1]}]


def test_only_what_compares_stands_side_by_side() -> None:
    one, other = sample_run("m", 1), sample_run("m", 8, backend="b")
    assert side_by_side.listed(page_of(one, other)) == []
    failed = failed_run("m", 1)
    elsewhere = dataclasses.replace(
        failed, request=dataclasses.replace(failed.request, backend="b")
    )
    assert side_by_side.listed(page_of(one, elsewhere)) == []
    ask = dataclasses.replace(one.request, threads=7)
    assert side_by_side.listed(page_of(one, dataclasses.replace(one, request=ask))) == []


def test_many_runs_are_bounded() -> None:
    measured = [sample_run("m", 1, backend=f"b{i}") for i in range(12)]
    (group,) = side_by_side.groups(page_of(*measured))
    assert len(group.entries) == side_by_side.MOST_COLUMNS


def test_many_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "MOST_ROWS", 1)
    page = page_of(sample_run("m", 1), sample_run("m", 1, backend="b"))
    (found,) = values(page).values()
    assert len(found["rows"]) == 1  # type: ignore[arg-type]
    count, added = found["rest"]  # type: ignore[misc]
    assert count >= 1
    assert all(ns > 0 for ns in added)
