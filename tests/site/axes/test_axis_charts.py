"""The axes of a model's page: lines, what is counted, which charts there are, titles."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from onnxprof.publish.drawing.sizes import is_geometric, labelled
from onnxprof.publish.pages.axes import Axis, axes, plain
from onnxprof.publish.pages.catalogue import ModelPage, catalogue
from onnxprof.publish.pages.charts import charts, panels, throughput
from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


def sized(batch: int, past: int, new: int, backend: str = "fake") -> Run:
    run = sample_run("gpt", batch=batch, backend=backend, scale=1 + past / 100 + new / 10)
    dims = (("past", past), ("new", new), ("total", past + new))
    return replace(run, request=replace(run.request, dims=dims))


def every() -> list[Run]:
    sizes = product((1, 2), (0, 128, 512), (1, 16), ("fake", "other"))
    return [sized(*each) for each in sizes]


def phased(phase: str, scale: float = 1.0, threads: int = 2, batch: int = 1) -> Run:
    run = sample_run("gpt", batch=batch, scale=scale)
    return replace(run, request=replace(run.request, phase=phase, threads=threads))


def in_phases() -> list[Run]:
    found = [phased(f"prefill:{n}", n / 16, t) for n, t in product((16, 32, 64), (1, 2))]
    found += [phased(f"decode:{n}", 1 + n / 64, t) for n, t in product((0, 64, 128, 192), (1, 2))]
    return [*found, phased("steps:4")]


def page_of(runs: list[Run]) -> ModelPage:
    [page] = catalogue(runs)
    return page


def test_a_line_for_each_system_and_choice_of_the_other_sizes() -> None:
    page = page_of(every())
    past, batch, new = axes(page)
    assert [axis.key for axis in (past, batch, new)] == ["past", "batch", "new"]
    assert len(past.lines) == 8
    assert len(new.lines) == 12
    assert len(batch.lines) == len(page.systems)
    assert "fake · batch 1 · new=16" in past.names
    assert not any("total" in name or "past" in name for name in past.names)
    assert all([size for size, _ in line.points] == [0, 128, 512] for line in past.lines)
    for axis in (past, new):
        for line in axis.lines:
            runs = [page.entries[i] for _, i in line.points]
            assert len({entry.batch for entry in runs}) == 1
            assert sorted(runs, key=lambda entry: entry.latency_ns or 0) == runs


def test_each_kind_of_phase_is_an_axis() -> None:
    page = page_of(in_phases())
    decode, prefill = axes(page)
    assert (decode.key, decode.title) == ("decode:", "tokens in the cache (decode)")
    assert (prefill.key, prefill.title) == ("prefill:", "tokens of a prompt (prefill)")
    assert decode.names == prefill.names == ("fake · 1 thread", "fake · 2 threads")
    assert prefill.sizes == (16, 32, 64)
    kinds = plain(page, (decode, prefill))
    of_axis = [[line[1] for line in axis["lines"]] for axis in kinds["axes"]]
    assert of_axis[0] == of_axis[1], "the same systems in both phases"
    assert len(kinds["kinds"]) == len(page.entries)


def test_what_throughput_counts() -> None:
    page = page_of([*in_phases(), phased("prefill:32", 2, 1, 4), phased("prefill:64", 4, 1, 4)])
    found = {axis.key: axis for axis in axes(page)}
    prefill, decode = found["prefill:"], found["decode:"]
    assert (prefill.item, decode.item, found["batch"].item) == ("token", "token", "item")
    for axis, new in ((prefill, lambda size: size), (decode, lambda size: 1)):
        for number, line in enumerate(axis.lines):
            drawn = dict(throughput(page, axis, number).points)
            for size, place in line.points:
                entry = page.entries[place]
                wanted = entry.batch * new(size) * 1e9 / (entry.latency_ns or 0)
                assert drawn[size] == pytest.approx(wanted)
    steps = page_of([phased("steps:4"), phased("steps:8")])
    assert axes(steps)[0].item == "step"
    assert axes(page_of([sized(1, 0, 1), sized(1, 8, 1)]))[0].item == "inference"
    assert axes(page_of([sized(2, 0, 1), sized(2, 8, 1)]))[0].item == "batch item"


def test_titles_say_what_is_drawn() -> None:
    def titles(runs: list[Run]) -> dict[str, str]:
        page = page_of(runs)
        found = axes(page)
        return {chart.key: chart.titled(found) for chart in charts(page, found)}

    decode = titles(in_phases())
    assert decode["latency"] == "Latency over tokens in the cache (decode), ms"
    assert decode["throughput"] == "Throughput over tokens in the cache (decode), tokens/s"
    assert decode["scaling"] == "Time over tokens in the cache (decode), slowest steps, µs"
    batch = titles([sample_run("m", 1), sample_run("m", 8), sample_run("m", 8, backend="b")])
    assert batch["throughput"] == "Throughput over batch size, items/s"
    assert batch["scaling"] == "Time per item over batch size, slowest steps, µs"
    assert batch["speedup"] == "Speed-up over batch size, %"
    assert {"stack", "gain"} <= set(batch)


def test_no_axis_without_two_sizes() -> None:
    assert [axis.key for axis in axes(page_of([sized(1, 0, 1), sized(2, 0, 1)]))] == ["batch"]
    [only] = axes(page_of([phased("decode:8")]))
    assert (only.key, only.sizes) == ("batch", (1,))
    failed = sample_run()
    assert not axes(page_of([replace(failed, timings=None, failure="no")]))


def test_scales_are_logarithmic_for_powers_alone() -> None:
    assert is_geometric((1, 2, 4, 8))
    assert is_geometric((1, 4, 16))
    assert is_geometric((64, 128))
    assert not is_geometric((0, 128, 512))
    assert not is_geometric((512, 768, 1024, 1280))
    assert not is_geometric(())
    decode, prefill = axes(page_of(in_phases()))
    assert prefill.is_logarithmic
    assert not decode.is_logarithmic


def test_the_last_size_has_a_label() -> None:
    assert labelled((0, 1, 2, 10, 11), float, 5) == [0, 11]
    assert labelled((0, 6, 12), float, 5) == [0, 6, 12]


def test_panels_lead_to_the_runs_of_an_axis() -> None:
    page = page_of(in_phases())
    drawn = panels(page, axes(page))
    named = {f"{page.systems[entry.system].key}/{entry.batch}" for entry in page.entries}
    hrefs = set(re.findall(r'<a href="#([^"]+)" aria-label', drawn))
    assert len(hrefs) == 8
    assert hrefs <= named
    assert ">Throughput, tokens/s<" in drawn
    assert "tokens in the cache (decode) 192" in drawn


def test_a_run_with_wrong_outputs_has_a_mark_of_its_own() -> None:
    from onnxprof.records.warning import RunWarning, WarningKind

    good, bad = sample_run("m", 1), sample_run("m", 8)
    bad = replace(bad, warnings=(RunWarning(WarningKind.PARITY_FAILED, 1.0, "wrong"),))
    page = page_of([good, bad])
    line = throughput(page, axes(page)[0], 0)
    assert line.grades[1] == "wrong"
    drawn = panels(page, axes(page))
    assert drawn.count('<path class="wrong"') == 2
    assert "wrong outputs" in drawn


def test_names_of_axes_do_no_harm(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>&\u202e'
    runs = []
    for size in (0, 8):
        run = sample_run("net")
        runs.append(replace(run, request=replace(run.request, dims=((evil, size),))))
    build.build_site(runs, tmp_path / "out")
    text = next((tmp_path / "out").glob("models/*/index.html")).read_text("utf-8")
    assert "<script>alert(1)" not in text
    assert "\u202e" not in text
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    [axis] = json.loads(html.unescape(found[1]))["axes"]
    assert "alert(1)" in axis["key"]
    assert [size for size, _ in axis["lines"][0][2]] == [0, 8]


def test_an_axis_is_never_named_twice() -> None:
    def named(size: int, phase: str) -> Run:
        run = phased(phase, size)
        return replace(run, request=replace(run.request, dims=(("decode:", size),)))

    found: tuple[Axis, ...] = axes(
        page_of([named(1, "decode:8"), named(1, "decode:16"), named(2, "decode:8")])
    )
    assert [axis.key for axis in found] == ["decode:"]
