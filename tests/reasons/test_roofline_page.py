"""Why a run takes its time, as a page has it: picture, columns, groups, MACs, bounds."""

from __future__ import annotations

import dataclasses
import html
import io
import math
import re
from xml.etree import ElementTree

import pytest
from rich.console import Console
from support.runs.ceilings import ceilings, point
from support.sites import hostile_run, long_run

from onnxprof.compare.scaling import saturated, scaling
from onnxprof.publish.pages.catalogue import ModelPage, catalogue
from onnxprof.publish.pages.embed import body_rows
from onnxprof.publish.pages.render import SiteFacts
from onnxprof.publish.reasons.macs import macs_of
from onnxprof.publish.roofline import known as known_module
from onnxprof.publish.roofline import lines, section
from onnxprof.publish.roofline.axes import LEFT, axes
from onnxprof.publish.roofline.cells import COLUMNS, EMPTY, amount, cells_of, columns
from onnxprof.publish.roofline.drawing import MOST, draw
from onnxprof.publish.roofline.kinds import Kind, groups, kind_of
from onnxprof.publish.roofline.known import Reasons
from onnxprof.publish.roofline.shapes import mark
from onnxprof.publish.tables.run_summary import facts
from onnxprof.publish.text.roofs import least_text
from onnxprof.reasons.bounds import Bounds, bounds
from onnxprof.reasons.roofline import roofline
from onnxprof.reasons.stored import Shelf, command
from onnxprof.records.cost import LayerCost, Operations
from onnxprof.records.layer import LayerTable
from onnxprof.testing import sample_run, sample_table

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def page_of(*runs) -> ModelPage:
    [page] = catalogue(runs)
    return page


def test_every_step_is_a_mark_that_says_all_of_it_and_leads_to_its_row() -> None:
    run = sample_run()
    roofs = roofline(run, ceilings())
    drawing = draw(roofs, "sample")
    links = parsed(drawing.svg).findall(f"{SVG}a")
    drawn = [r for r in roofs.roofs if r.work and r.work.flops is not None and r.work.bytes]
    assert len(links) == len(drawn) > 1
    assert drawing.unknown == len(roofs.roofs) - len(drawn) == 1  # the reorder
    rows = body_rows(roofs.sums)
    for link in links:
        title = link.findtext(f"{SVG}title") or ""
        name = link.attrib["data-layer"]
        assert title.startswith(f"{name}: ")
        assert "of possible" in title
        assert rows[int(link.attrib["href"].removeprefix("#t")) - 1].name == name


def test_only_the_first_mark_is_a_tab_stop() -> None:
    links = parsed(draw(roofline(sample_run(), None), "m").svg).findall(f"{SVG}a")
    assert [link.attrib.get("tabindex") for link in links] == [None, *["-1"] * (len(links) - 1)]


@pytest.mark.parametrize("kind", Kind)
def test_marks_of_one_radius_have_one_area(kind: Kind) -> None:
    shape = ElementTree.fromstring(mark(kind, 50.0, 60.0, 20.0))
    told = shape.attrib
    if shape.tag == "circle":
        area = math.pi * float(told["r"]) ** 2
    elif shape.tag == "rect":
        area = float(told["width"]) * float(told["height"])
    else:
        area = _polygon(told["d"])
    assert area == pytest.approx(math.pi * 400, rel=0.01)


def _polygon(path: str) -> float:
    """The area within a path of one start, relative lines, and a horizontal one at the most."""
    start, rest = path.removeprefix("M").removesuffix("z").split("l")
    x, y = map(float, start.split())
    corners = [(x, y)]
    lines_part, _, flat = rest.partition("h")
    steps = [float(number) for number in lines_part.split()]
    for dx, dy in zip(steps[::2], steps[1::2], strict=True):
        x, y = x + dx, y + dy
        corners.append((x, y))
    if flat:
        corners.append((x + float(flat), y))
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def test_kinds_have_shapes_of_their_own() -> None:
    shapes = [mark(kind, 0.0, 0.0, 9.0) for kind in Kind if kind is not Kind.UNKNOWN]
    assert len(set(shapes)) == len(shapes)
    assert [kind_of(b) for b in ("compute", "L2", "main", "memory", "overhead", "")] == [
        *(Kind.COMPUTE, Kind.CACHE, Kind.MAIN, Kind.MAIN, Kind.OVERHEAD, Kind.UNKNOWN)
    ]


def test_area_is_time() -> None:
    roofs = roofline(sample_run(fused=False), None)
    times = {roof.name: roof.time_ns for roof in roofs.roofs}
    circles = {
        link.attrib["data-layer"]: float(link.find(f"{SVG}circle").attrib["r"])  # type: ignore[union-attr]
        for link in parsed(draw(roofs, "m").svg).findall(f"{SVG}a")
    }
    (a, first), (b, second) = list(circles.items())[:2]
    assert (first / second) ** 2 == pytest.approx(times[a] / times[b], rel=0.02)  # type: ignore[operator]


def test_ceilings_are_lines_and_without_them_there_is_none() -> None:
    run = sample_run()
    bounded, free = (draw(roofline(run, held), "m").svg for held in (ceilings(), None))
    assert 'class="ceiling"' in bounded
    assert "compute float32 100 GFLOP/s" in bounded
    assert "main 10.0 GB/s" in bounded
    assert 'class="ceiling"' not in free
    assert {a.attrib["class"] for a in parsed(free).findall(f"{SVG}a")} == {"unknown"}


def test_levels_hold_steps_to_the_best_seen_beyond_nearer_ones() -> None:
    slopes = lines.slopes(ceilings())
    assert [line.label for line in slopes] == ["L1, L2 40.0 GB/s", "L3 20.0 GB/s", "main 10.0 GB/s"]
    rates = [line.rate for line in slopes]
    assert rates == sorted(rates, reverse=True)


def test_precisions_of_one_rate_share_a_line() -> None:
    held = ceilings(
        point("matmul", 20_000, flops=2_000_000, moved=120_000),
        point("matmul", 40_000, flops=2_000_000, moved=60_000, precision="float16"),
        point("matmul", 5_000, flops=2_000_000, moved=30_000, precision="int8"),
    )
    found = lines.peaks(held, ["float32", "float16", "int8", "float64"])
    assert [line.label for line in found] == [
        "compute int8 400 GFLOP/s",
        "compute float32, float16 100 GFLOP/s",
    ]


def test_places_stay_in_the_plane_whatever_the_figures() -> None:
    plane = axes([(1e-9, 1e-12), (3.0, 50.0)], [40.0], 100.0, [0.5])
    for value in (0.0, 1e-300, 1.0, 1e300):
        assert plane.left <= plane.x(value) <= 708
        assert 22 <= plane.y(value) <= 388
    assert plane.left > LEFT
    assert axes([], [], 0.0).high_x > axes([], [], 0.0).low_x


def test_the_longest_steps_are_drawn_and_the_rest_is_told() -> None:
    drawing = draw(roofline(long_run(MOST + 50, "Relu"), ceilings()), "long")
    assert len(parsed(drawing.svg).findall(f"{SVG}a")) == MOST
    assert (drawing.shorter, drawing.unknown) == (50, 0)
    assert drawing.shorter_share > 0
    unknown = draw(roofline(long_run(MOST + 50), ceilings()), "long")
    assert unknown.unknown + unknown.svg.count("data-layer") == MOST + 50


def test_names_that_someone_made_up_are_text() -> None:
    run = hostile_run()
    svg = draw(roofline(run, ceilings()), run.model.name).svg
    assert "<script" not in svg
    assert "<img" not in svg
    assert "\ud800" not in svg
    assert parsed(svg).findall(f"{SVG}a")


def test_groups_hold_all_the_time_of_the_steps() -> None:
    roofs = roofline(sample_run(fused=False), ceilings())
    found = groups(roofs)
    assert sum(group.time_ns for group in found) == sum(r.time_ns or 0 for r in roofs.roofs)
    assert sum(group.steps for group in found) == len(roofs.roofs)
    known = [group for group in found if group.kind is not Kind.UNKNOWN]
    assert [g.time_ns for g in known] == sorted((g.time_ns for g in known), reverse=True)
    assert found[-1].possible is None  # the reorder, which does no work of the network


def cell_values(text: str) -> list[str | None]:
    cells = re.findall(r"<td([^>]*)>", text)
    found = [re.search(r'data-v="([^"]*)"', cell) for cell in cells]
    return [match and match[1] for match in found]


def test_the_scripts_figures_are_those_of_the_cells() -> None:
    run = sample_run(fused=False)
    roofs = roofline(run, ceilings())
    cells, figures = cells_of(roofs), columns(roofs)
    rows = body_rows(roofs.sums)
    for place, number in enumerate(figures["i"]):
        values = cell_values(cells(rows[number]))
        assert len(values) == COLUMNS
        assert values[0] == str(figures["macs"][place])
        assert values[1] == str(figures["bytes"][place])
        assert values[4] == str(figures["possible"][place])
        assert f">{html.escape(figures['parts'][place])}</td>" in cells(rows[number])
        bound = figures["words"][figures["bound"][place]]
        assert cells(rows[number]).endswith(f">{bound}</td>")
    others = set(range(len(rows))) - set(figures["i"])
    assert others
    assert {cells(rows[number]) for number in others} == {EMPTY}
    assert len(cell_values(EMPTY)) == COLUMNS


def test_what_is_not_known_is_a_question_mark_and_zero_is_blank() -> None:
    run = sample_run(fused=False)
    odd = tuple(
        dataclasses.replace(layer, op_type="Mystery", domain="strange")
        if layer.op_type == "Conv"
        else layer
        for layer in run.table
    )
    roofs = roofline(dataclasses.replace(run, table=LayerTable(odd, 1)), ceilings())
    cells = [cells_of(roofs)(row) for row in body_rows(roofs.sums)]
    assert any(cell.count(">?<") == 4 for cell in cells)  # MACs, bytes, and their rates
    relu = next(cell for cell in cells if 'data-v="0"></td>' in cell)
    assert ">0<" not in relu


def test_amounts_have_three_digits_and_a_unit() -> None:
    assert amount(115_605_504, "") == "116\u00a0M"
    assert amount(3_411_968, "B") == "3.41\u00a0MB"
    assert amount(512, "B") == "512\u00a0B"


def test_costs_are_counted_once_a_model_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(table: LayerTable):
        asked.append(table.batch)
        return original(table)

    original = known_module.counted
    monkeypatch.setattr(known_module, "counted", counted)
    monkeypatch.setattr("onnxprof.reasons.roofline.counted", counted)
    page = page_of(
        *(sample_run("m", batch, seed=batch) for batch in (1, 8)),
        *(sample_run("m", batch, backend="other") for batch in (1, 8)),
    )
    reasons = Reasons(page, Shelf.holding([ceilings()]))
    reasons.informed()
    for entry in page.entries:
        reasons.roofs(entry.run)
        reasons.advice(entry.run)
    assert sorted(asked) == [1, 8]


def test_entries_say_macs_at_their_own_sizes() -> None:
    page = page_of(sample_run("m", 1), sample_run("m", 8))
    one, eight = Reasons(page, Shelf.holding([])).informed().entries
    assert one.macs is not None
    assert eight.macs is not None
    assert eight.macs.count == 8 * one.macs.count > 0
    assert one.macs.sentence.endswith("MACs at batch 1")
    assert one.least == ""  # nothing bounds it
    [entry] = Reasons(page_of(sample_run("m")), Shelf.holding([ceilings()])).informed().entries
    assert "times the least possible on this machine" in entry.least


def test_macs_of_a_length_say_the_length_and_unknown_ones_are_no_zero() -> None:
    table = dataclasses.replace(sample_table(2), dims=(("sequence", 16),))
    known = LayerCost("a", "Gemm", Operations(macs=3_000_000), times=1)
    assert macs_of([known], table).sentence == "3.00\u00a0M MACs at batch 2, sequence=16"
    unknown = LayerCost("b", "Odd", None, unknown="not modelled")
    assert macs_of([known, unknown], table).text == "≥3.00\u00a0M"
    assert macs_of([unknown], table).text == ""
    assert macs_of([unknown], table).sentence == "MACs not known"


def made_bounds(measured: int, least: float, at_least: bool = False) -> Bounds:
    return Bounds(measured, 0.0, least, least, least, least, at_least)


def test_the_least_possible_in_words() -> None:
    assert least_text(made_bounds(2_300, 1_000.0)) == (
        "2.3 times the least possible on this machine"
    )
    assert least_text(made_bounds(41_000, 1_000.0, True)).startswith("at most 41 times")
    assert least_text(made_bounds(900, 1_000.0)) == ""  # beaten: the bound is wrong
    assert least_text(made_bounds(900, 0.0)) == ""
    assert least_text(None) == ""
    assert least_text(bounds(roofline(sample_run(), None))) == ""


def test_the_command_that_measures_ceilings_names_backend_and_threads() -> None:
    run = sample_run()
    assert command(run) == "onnxprof ceilings --backend fake --threads 2"
    asked = dataclasses.replace(run.request, provider="openvino")
    other = dataclasses.replace(run, request=asked)
    assert command(other).endswith("--threads 2 --provider openvino")
    shelf = Shelf.holding([ceilings()])
    assert shelf.reason(run) == ""
    assert shelf.of(run) is not None
    assert shelf.reason(other) == "there are no ceilings yet"
    assert command(other) in shelf.missing(other)


def test_the_terminal_has_macs_at_the_runs_sizes() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(facts(sample_run("m", 8)))
    assert "MACs at batch 8" in console.export_text()


def test_saturation_from_latencies_alone_is_that_of_the_scaling() -> None:
    for scale in ((1.0, 1.0, 1.0), (1.0, 2.0, 9.0), (1.0, 0.4, 1.0)):
        runs = [sample_run("m", b, scale=s) for b, s in zip((1, 8, 32), scale, strict=True)]
        assert saturated(runs) == scaling(runs).saturated


def test_a_section_is_rendered_once_for_the_page_and_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def render(template: str, *rest, **context) -> str:
        asked.append(template)
        return original(template, *rest, **context)

    original = section.render
    monkeypatch.setattr(section, "render", render)
    page = page_of(sample_run("m", 1), sample_run("m", 8))
    reasons, site = Reasons(page, Shelf.holding([])), SiteFacts("t", "0", "")
    first = section.shown(page, reasons, site)
    files = dict(section.scripts(page, reasons, site))
    assert asked == ["parts/roofline.html"] * 2
    assert len(files) == 2
    assert "onnxprof ceilings" in str(first.section)
