"""Where the time goes: scopes, rectangles, operators, and the table of a terminal."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT
from support.sites import HOSTILE, hostile_run, long_run, scoped_run

from onnxprof.analysis.reconcile import Reconciliation, Status, TimedRow, reconcile
from onnxprof.cli.output import plain_text
from onnxprof.publish.drawing import scopes
from onnxprof.publish.icicle import layout, operators, svg, table, tree, view
from onnxprof.publish.pages import embed
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


def steps(*given: tuple[Sequence[str], int], ops: Sequence[str] = ()) -> list[TimedRow]:
    """Rows of steps, each with its layers and nanoseconds; layers after the first are fused."""
    rows: list[TimedRow] = []
    for number, (names, ns) in enumerate(given):
        step = dataclasses.replace(sample_run().steps[0], name=f"s{number}", layers=tuple(names))
        for i, name in enumerate(names):
            op = ops[number] if ops else "Relu"
            layer = Layer(name, LayerKind.NODE, op, op)
            status = Status.FUSED if i else Status.TIMED
            rows.append(TimedRow(name, status, layer, step, None if i else ns))
    return rows


def closed(rows: Sequence[TimedRow], overhead: int, interruptions: int = 0) -> list[TimedRow]:
    """The rows with those that close them."""
    total = sum(row.median_ns or 0 for row in rows) + overhead + interruptions
    ends = zip(
        (Status.INTERRUPTIONS, Status.OVERHEAD, Status.TOTAL),
        (interruptions, overhead, total),
        strict=True,
    )
    return [*rows, *(TimedRow(f"({status})", status, median_ns=ns) for status, ns in ends)]


def outline(part: tree.Part) -> object:
    """A part as its name and what is within: a number for a step."""
    return part.name, [outline(member) for member in part.members] or part.ns


def test_scopes_are_the_parts_of_names_in_the_order_of_the_file() -> None:
    rows = steps((["b/x/conv"], 3), (["b/x/relu"], 1), (["a/fc"], 2), (["b/y"], 4))
    grown = tree.grown(rows)
    assert [outline(part) for part in grown.root.members] == [
        ("b", [("x", [("conv", 3), ("relu", 1)]), ("y", 4)]),
        ("a/fc", 2),
    ]
    assert (grown.root.ns, grown.root.steps, grown.whole_ns) == (10, 4, 10)
    assert [part.where for part in grown.root.members[0].members] == ["b/x", "b/y"]


def test_a_fused_step_stands_whole_under_the_scope_that_its_layers_share() -> None:
    rows = steps((["m/a/conv", "m/a/bn/mul", "m/add"], 7), (["m/a/conv2", "m/a/relu"], 5))
    (part,) = tree.grown(rows).root.members
    assert outline(part) == ("m", [("a/conv + a/bn/mul + add", 7), ("a/conv2 + relu", 5)])
    (alone,) = tree.grown(steps((["m/a/conv", "m/a/relu"], 5))).root.members
    assert outline(alone) == ("m/a/conv + relu", 5), "one with its scope, which has nothing else"


def test_a_step_of_many_layers_names_the_first_two() -> None:
    (part,) = tree.grown(steps(([f"m/{i}" for i in range(9)], 7))).root.members
    assert part.name == "m/0 + 1 + 7 more"
    assert part.layer == "m/0"


def test_steps_of_no_layer_have_a_scope_of_their_own() -> None:
    step = dataclasses.replace(sample_run().steps[0], layers=())
    stray = [TimedRow(f"reorder {i}", Status.UNATTRIBUTED, None, step, 2) for i in (1, 2)]
    stray[1] = dataclasses.replace(stray[1], step=dataclasses.replace(step, name="other"))
    _, part = tree.grown([*steps((["a/b"], 3)), *stray]).root.members
    assert outline(part) == (tree.NO_LAYER, [("reorder 1", 2), ("reorder 2", 2)])


def test_names_are_split_as_the_plot_splits_them() -> None:
    dotted = [f"encoder.layer.{i}.op" for i in range(4)]
    (part,) = tree.grown(steps(*(([name], 1) for name in dotted))).root.members
    assert outline(part) == ("encoder/layer", [(f"{i}/op", 1) for i in range(4)])
    assert scopes.paths(dotted)[0] == ["encoder", "layer", "0", "op"]


def test_names_that_say_nothing_are_gathered_by_place_as_in_the_plot() -> None:
    names = [f"n{i}" for i in range(5000)]
    found = tree.grown(steps(*(([name], 1) for name in names))).root.members
    plotted = scopes.gathered(names).members
    assert [part.name for part in found] == [m.name for m in plotted if isinstance(m, scopes.Scope)]
    assert found[0].name == "n0 … n70"
    few = tree.grown(steps(*(([name], 1) for name in names[:120]))).root.members
    assert [part.name for part in few] == names[:120]


@given(
    st.lists(
        st.tuples(
            st.lists(st.text("ab/.", min_size=1, max_size=8), min_size=1, max_size=3),
            st.integers(0, 10**6),
        ),
        max_size=60,
    ),
    st.integers(0, 1000),
)
def test_the_width_is_the_sum_of_what_is_drawn(
    asked: list[tuple[list[str], int]], overhead: int
) -> None:
    rows = closed(steps(*asked), overhead)
    grown = tree.grown(rows)
    assert grown.whole_ns == sum(ns for _, ns in asked) + overhead
    assert sorted(grown.root.rows()) == [
        i for i, row in enumerate(rows[:-3]) if row.median_ns is not None
    ]
    found = layout.laid_out(grown)
    ends = [0]
    for each in found:
        if each.level == 0:
            assert each.start_ns == ends[-1], "one beside the other, without a gap"
            ends.append(each.start_ns + each.part.ns)
    if grown.whole_ns:
        assert ends[-1] == grown.whole_ns
    for i, each in enumerate(found):
        inner = found[i + 1] if i + 1 < len(found) else None
        if inner and inner.level > each.level:
            assert inner.level == each.level + 1
            assert inner.start_ns == each.start_ns


def test_narrow_parts_are_one_that_says_how_many_steps_it_is() -> None:
    rows = steps(
        (["a/big"], 10_000), *(([f"a/s/{i}"], 10) for i in range(6)), (["b"], 5), (["c"], 5)
    )
    found = layout.laid_out(tree.grown(rows))
    assert [(each.part.name, each.level, each.is_rest) for each in found] == [
        ("a", 0, False),
        ("big", 1, False),
        ("s", 1, False),
        ("2 smaller", 0, True),
    ], "six in s, all of them narrow, are s"
    assert (found[-1].start_ns, found[-1].part.ns) == (10_060, 10)
    (_, *mixed) = layout.laid_out(tree.grown([*steps((["a/x"], 900), (["a/y"], 1), (["a/z"], 2))]))
    assert [(each.part.name, each.start_ns) for each in mixed] == [("x", 0), ("2 smaller", 900)]


def test_what_takes_no_time_is_not_drawn() -> None:
    assert layout.laid_out(tree.grown(steps((["a"], 5), (["b"], 0), (["c"], 0))))[1:] == []
    assert svg.drawing(tree.grown(steps((["a"], 0))), 0, lambda _: "#") == ""
    assert svg.drawing(tree.grown([]), 0, lambda _: "#") == ""


def test_overhead_stands_at_the_end_and_a_negative_one_nowhere() -> None:
    found = layout.laid_out(tree.grown(closed(steps((["a"], 90)), 7, 3)))
    assert [each.part.name for each in found] == ["a", "(interruptions)", "(overhead)"]
    assert found[-1].start_ns + found[-1].part.ns == 100
    grown = tree.grown(closed(steps((["a"], 90)), -5))
    assert (grown.closing, grown.whole_ns) == ((), 90)


@pytest.mark.parametrize("run", [sample_run(), hostile_run(), scoped_run(600)])
def test_a_run_is_as_wide_as_its_un_profiled_latency(run: Run) -> None:
    result = reconcile(run)
    grown = tree.grown(result.rows)
    assert grown.whole_ns == result.total_ns - min(0, result.overhead_ns)
    made = svg.drawing(grown, result.total_ns, lambda _: "#timing")
    top = [node for node in ET.fromstring(made) if node[1].get("y") == "0"]
    widths = [float((node[1].get("width") or "").rstrip("%")) for node in top]
    assert sum(widths) == pytest.approx(100, abs=0.05)


def test_hostile_names_stay_text() -> None:
    run = hostile_run()
    result = reconcile(run)
    found = view.view([*embed.body_rows(result), *embed.closing_rows(result)], result.total_ns)
    found.icicle.encode("utf-8")
    assert "<img" not in found.icicle
    root = ET.fromstring(found.icicle)
    names = [node.get("data-layer") for node in root if node.get("data-layer")]
    assert any("<img src=x" in name for name in names if name)
    rows = steps(([HOSTILE], 5), ([f"a/{HOSTILE}"], 5))
    ET.fromstring(svg.drawing(tree.grown(rows), 10, lambda _: "#"))


def test_titles_say_name_time_share_and_steps() -> None:
    rows = closed(steps((["a/b"], 6_000_000), (["a/c"], 2_000_000)), 2_000_000)
    made = svg.drawing(tree.grown(rows), 10_000_000, lambda _: "#timing")
    titles = [node[0].text for node in ET.fromstring(made)]
    assert titles == [
        "a: 8,000 µs, 80.0 %, 2 steps",
        "a/b: 6,000 µs, 60.0 %",
        "a/c: 2,000 µs, 20.0 %",
        "(overhead): 2,000 µs, 20.0 %",
    ]
    classes = [node[1].get("class") for node in ET.fromstring(made)]
    assert classes == ["h7", "h7", "h6", "cold"]


def test_five_thousand_layers_take_few_rectangles_and_the_work_grows_with_them() -> None:
    counts = {}
    for layers in (1000, 5000):
        result = reconcile(scoped_run(layers))
        rows = [*embed.body_rows(result), *embed.closing_rows(result)]
        made = view.view(rows, result.total_ns).icicle
        counts[layers] = made.count("<rect"), len(made)
    assert counts[5000][0] < 450
    assert counts[5000][1] < 150_000


def test_every_part_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = tree.Part.__init__

    def counting(self: tree.Part, *args: object, **named: object) -> None:
        made[-1] += 1
        real(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tree.Part, "__init__", counting)
    for layers in (500, 2000):
        made.append(0)
        layout.laid_out(tree.grown(reconcile(scoped_run(layers)).rows))
    assert made[1] < 4.5 * made[0], "linear in the layers"


def test_a_fused_step_counts_as_what_does_most_of_its_work() -> None:
    rows = steps((["a", "b"], 5), (["c"], 9), ops=("Conv", "Relu"))
    quantised = Layer("b", LayerKind.NODE, "QuantizeLinear", "QuantizeLinear")
    first = dataclasses.replace(rows[0], layer=dataclasses.replace(quantised, name="a"))
    found = operators.by_operator([first, *rows[1:]])
    assert found == [operators.Sum("Relu", 9, 1), operators.Sum("Conv", 5, 1)]


def test_many_operators_are_a_few_and_the_rest() -> None:
    rows = steps(*(([f"n{i}"], 100 - i) for i in range(12)), ops=[f"Op{i}" for i in range(12)])
    found = operators.shown(operators.by_operator(rows))
    assert [each.operator for each in found] == [*(f"Op{i}" for i in range(8)), "4 others"]
    assert sum(each.ns for each in found) == sum(100 - i for i in range(12))
    assert len(operators.shown(operators.by_operator(rows[:9]))) == 9, "one alone has its name"


def test_the_colours_are_those_of_the_plot() -> None:
    script = (ROOT / "site" / "assets" / "plot" / "graph.js").read_text("utf-8")
    found = re.search(r"SHARES = (\[[^\]]*\])", script)
    assert found
    assert json.loads(found[1]) == list(svg.SHARES) == json.loads(view.rules())["shares"]


def shown(result: Reconciliation, by: table.By, *, every: bool = False) -> list[str]:
    """The lines, without the margin."""
    return [line[1:] for line in plain_text(table.table(result, by, every=every)).splitlines()]


@pytest.mark.parametrize("by", list(table.By))
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("run", [sample_run(), scoped_run(600), long_run(40)])
def test_the_lines_of_a_terminal_add_up(run: Run, by: table.By, every: bool) -> None:
    result = reconcile(run)
    lines = shown(result, by, every=every)
    assert max(map(len, lines)) <= 80
    top = [re.match(r"(\S.*?)\s+(-?[\d.]+)\s+-?<?[\d.]+ %", line) for line in lines]
    times = {match[1]: round(float(match[2]) * 1e6) for match in top if match}
    total = times.pop("(total)")
    assert total == result.total_ns == sum(times.values())


def test_a_scope_is_followed_by_what_is_in_it() -> None:
    lines = shown(reconcile(scoped_run(600)), table.By.SCOPE)
    names = [line.split("  ")[0] for line in lines]
    at = names.index("net")
    assert lines[at + 1].startswith("  stage0 ")
    assert lines[at + 2].startswith("    block0 ")
    assert lines[at + 3].startswith("    block1 ")
    assert any(
        line.startswith("      op_7 ")
        for line in shown(reconcile(scoped_run(600)), table.By.SCOPE, every=True)
    )


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert "\x07" not in "".join(shown(reconcile(hostile_run()), table.By.SCOPE))
