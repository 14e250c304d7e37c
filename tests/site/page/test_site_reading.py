"""What a reader meets on the way: names, facts and commands break where they may, on any width."""

from __future__ import annotations

import dataclasses
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from support.sites import runs, settled

from onnxprof.publish.site.build import build_site
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
LONG = "encoder/layer_0/intermediate.dense/MatMul"
PHONE = {"width": 390, "height": 800}

#: The texts that a line of an element begins with, each line by its first word.
LINES = """(element) => {
  const found = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let last = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let i = 0; i < node.data.length; i++) {
      const range = document.createRange();
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      if (last === null || box.top > last + 4) found.push("");
      last = box.top;
      found[found.length - 1] += node.data[i];
    }
  }
  return found;
}"""


def deep() -> Run:
    """A run whose first layer has the name of a module deep in a network."""
    run = sample_run("deep", 1)
    table = run.table
    first = dataclasses.replace(table.layers[2], name=LONG)
    layers = (*table.layers[:2], first, *table.layers[3:])
    steps = (dataclasses.replace(run.steps[0], layers=(LONG,)), *run.steps[1:])
    command = "onnxprof profile deep.onnx --backend fake --batch 1 --threads 2 --budget 0.5"
    table = dataclasses.replace(table, layers=layers)
    return dataclasses.replace(run, table=table, steps=steps, command=command)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading") / "sub path"
    build_site([*runs(), deep()], folder)
    return folder


@over_http
@pytest.mark.parametrize("chosen", [False, True], ids=["from the builder", "from the script"])
def test_a_name_breaks_behind_its_separators(page: Any, root: str, chosen: bool) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{root}/models/deep/index.html")
    settled(page)
    if chosen:
        page.click("text=File order")
        settled(page)
    name = page.locator(f'#timing-table tr[data-layer="{LONG}"] th')
    lines = name.evaluate(LINES)
    assert "".join(lines) == LONG
    assert len(lines) > 1
    assert all(re.search(r"[/_.]$", line) for line in lines[:-1]), lines


@over_http
@pytest.mark.parametrize("width", [320, 390, 500, 1280])
def test_no_line_of_facts_begins_with_a_dot(page: Any, root: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{root}/models/deep/index.html")
    before = page.locator("p.facts > span").evaluate_all(
        "(all) => all.map((e) => getComputedStyle(e, '::before').content)"
    )
    behind = page.locator("p.facts > span").evaluate_all(
        "(all) => all.map((e) => getComputedStyle(e, '::after').content)"
    )
    assert set(before) == {"none"}
    assert behind == ['"·"'] * (len(behind) - 1) + ["none"]


@over_http
@pytest.mark.parametrize("width", range(320, 520, 20))
def test_no_option_of_a_command_is_torn(page: Any, root: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{root}/models/deep/index.html")
    settled(page)
    for place in ("#command", "#repeat-command"):
        lines = page.locator(place).evaluate(LINES)
        assert "--budget" in " ".join(lines)
        assert not [
            line for line in lines if re.search(r"(^|\s)--?\s*$|^\s*(budget|threads)", line)
        ]


@over_http
def test_both_commands_of_a_run_stand_together(page: Any, root: str) -> None:
    page.goto(f"{root}/models/deep/index.html")
    settled(page)
    section = page.locator("section.repeat")
    assert "--budget 0.5" in section.locator("#command").inner_text()
    assert section.locator("#repeat-command").inner_text().count("--budget") == 1
    assert page.locator("#command").count() == 1


@over_http
def test_a_phone_shows_what_binds_a_step_and_rows_of_few_lines(page: Any, root: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    shown = page.locator(".all-runs tbody th").evaluate_all(
        f"(all) => all.map((e) => ({LINES})(e).length)"
    )
    assert max(shown) <= 2, shown
    hidden = page.evaluate(
        "(() => { const t = document.querySelector('#timing-table');"
        " t.classList.remove('boundless');"
        " return [...t.tHead.rows[0].cells].filter((c) => /Bound by|Status/.test(c.textContent))"
        ".map((c) => getComputedStyle(c).display); })()"
    )
    assert hidden == ["table-cell", "table-cell"]


@over_http
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "path",
    [
        *("index.html", "models/alpha/index.html", "devices.html", "devices/cpu-fake.html"),
        *("downloads.html", "layers.html", "changes.html", "method.html"),
    ],
)
def test_what_is_pressed_is_as_high_as_a_finger_needs(
    page: Any, root: str, path: str, width: int
) -> None:
    """The rule of axe and Lighthouse: 24 pixels, or so much room around."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{root}/{path}")
    settled(page)
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate(
        "axe.run(document, {runOnly: ['target-size']}).then((r) => r.violations.flatMap("
        "(v) => v.nodes.map((n) => [n.html.slice(0, 120), n.any[0]?.message])))"
    )
    assert found == []


@over_http
def test_rows_are_no_higher_than_a_finger_needs(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{root}/devices/cpu-fake.html")
    heights = page.locator("#lines tbody tr").evaluate_all(
        "(all) => all.map((e) => e.getBoundingClientRect().height)"
    )
    assert min(heights) < 27, heights


@over_http
def test_the_method_lists_its_sections_and_says_where_weights_come_from(
    page: Any, root: str
) -> None:
    page.goto(f"{root}/method.html")
    listed = page.locator("nav.toc a").all_inner_texts()
    assert listed == page.locator("main h2").all_inner_texts()
    assert len(listed) > 15
    assert "weights are random" in page.inner_text("main")
    page.click("nav.toc >> text=Rounding")
    assert page.evaluate("document.getElementById('rounding').getBoundingClientRect().top") < 700


@over_http
def test_a_device_says_first_what_it_is(page: Any, root: str) -> None:
    page.goto(f"{root}/devices/cpu-fake.html")
    places = [page.locator(part).bounding_box()["y"] for part in ("#facts", "#lines")]
    assert places == sorted(places)


def test_no_page_of_a_model_tells_a_visitor_to_measure(out: Path) -> None:
    text = (out / "models/deep/index.html").read_text("utf-8")
    for words in ("gives this page a history", "Another runtime is measured", "onnxprof doctor"):
        assert words not in text
