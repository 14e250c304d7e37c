"""Slower, faster, the same or undecided: one rule, one set of marks and words."""

from __future__ import annotations

import dataclasses
import re

import pytest
from support.pages.graded import THREE, with_latencies
from support.places import ROOT
from support.sites import failed_run

from onnxprof.compare.align import align
from onnxprof.compare.changes import compare
from onnxprof.compare.verdict import (
    Caveat,
    Remark,
    Side,
    Verdict,
    decides_latency,
    decides_layers,
    limits,
    verdict,
)
from onnxprof.publish.text import verdicts
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Origin, Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

QUIET = Side(10, busy=False, inflated=False, wrong=False, timers=frozenset({("ort", "trace")}))
ALONE = dataclasses.replace(QUIET, processes=1)
BUSY = dataclasses.replace(QUIET, busy=True)
INFLATED = dataclasses.replace(QUIET, inflated=True)
OTHERS = dataclasses.replace(QUIET, timers=frozenset({("torch", "trace")}))
FEW = dataclasses.replace(QUIET, few_samples=True)
FEW_TRACED = dataclasses.replace(QUIET, few_layer_samples=True)
PREFIX = dataclasses.replace(QUIET, timers=frozenset({("ort", "prefix")}))


@pytest.mark.parametrize(
    ("ratio", "interval", "q", "wanted"),
    [
        (1.5, (1.4, 1.6), None, Verdict.SLOWER),
        (0.5, (0.4, 0.6), None, Verdict.FASTER),
        (1.0, (0.99, 1.01), None, Verdict.SAME),
        (1.1, (1.01, 1.2), None, Verdict.UNDECIDED),
        (1.0, (0.9, 1.1), None, Verdict.UNDECIDED),
        (1.02, (1.02, 1.03), None, Verdict.UNDECIDED),
        (1.1, (1.01, 1.2), 0.05, Verdict.SLOWER),
        (0.9, (0.8, 0.99), 0.01, Verdict.FASTER),
        (1.5, (1.4, 1.6), 0.06, Verdict.UNDECIDED),
        (1.0, (0.99, 1.01), 1.0, Verdict.SAME),
    ],
)
def test_the_rule(
    ratio: float, interval: tuple[float, float], q: float | None, wanted: Verdict
) -> None:
    assert verdict(ratio, interval, 0.02, q) is wanted


@pytest.mark.parametrize(
    ("a", "b", "latency", "layers"),
    [
        (QUIET, QUIET, True, True),
        (ALONE, QUIET, True, True),
        (BUSY, BUSY, True, True),
        (ALONE, BUSY, False, False),
        (INFLATED, QUIET, True, True),
        (INFLATED, OTHERS, True, False),
        (FEW, QUIET, False, False),
        (FEW_TRACED, QUIET, True, False),
        (INFLATED, PREFIX, True, False),
        (QUIET, OTHERS, True, True),
    ],
)
def test_what_forbids_a_verdict(a: Side, b: Side, latency: bool, layers: bool) -> None:
    for sides in ((a, b), (b, a)):
        assert (decides_latency(*sides), decides_layers(*sides)) == (latency, layers)


def test_caveats_name_the_sides_that_they_are_about() -> None:
    assert list(limits([QUIET, QUIET])) == []
    assert list(limits([ALONE, QUIET])) == [Remark(Caveat.SINGLE_PROCESS, (0,))]
    assert list(limits([QUIET, BUSY])) == [Remark(Caveat.BUSY_MACHINE, (1,))]
    assert list(limits([ALONE, BUSY])) == [Remark(Caveat.NOT_DECIDED, (1,))]
    assert list(limits([INFLATED, OTHERS])) == [Remark(Caveat.TIMER_INFLATION, (0,))]
    assert list(limits([INFLATED, OTHERS], in_turn=True)) == []
    assert list(limits([QUIET, FEW])) == [Remark(Caveat.FEW_SAMPLES, (1,))]
    assert list(limits([FEW_TRACED, QUIET])) == [Remark(Caveat.FEW_SAMPLES, (0,))]
    lone = dataclasses.replace(ALONE, busy=True)
    assert list(limits([QUIET, lone, ALONE], 0)) == [
        Remark(Caveat.NOT_DECIDED, (1,)),
        Remark(Caveat.SINGLE_PROCESS, (2,)),
    ]


def test_samples_of_a_side_are_those_of_all_its_runs() -> None:
    three = with_latencies(sample_run(), THREE, traced=3)
    for count, few in ((1, True), (2, False)):
        side = Side.of([three] * count, count)
        assert (side.few_samples, side.few_layer_samples) == (few, few)
    assert Side.of([with_latencies(sample_run(), [1.0] * 9, traced=5)], 1).few_layer_samples
    assert not Side.of([failed_run()], 1).few_samples, "nothing is known of none"
    averages = dataclasses.replace(three, origin=Origin("trtexec", "IProfiler", averaged=True))
    assert not Side.of([averages], 1).few_layer_samples, "they have a caveat of their own"


def run(name: str, scale: float = 1.0, *kinds: WarningKind, wrong: bool = False) -> Run:
    found = sample_run("net", backend=name, scale=scale)
    parity = Parity("reference", (OutputParity("y", passed=not wrong),))
    warned = tuple(RunWarning(kind, 1.5) for kind in kinds)
    return dataclasses.replace(found, warnings=warned, parity=parity)


@pytest.mark.parametrize(
    "b",
    [
        run("ort", 5.0),
        run("ort", 5.0, WarningKind.BUSY_MACHINE),
        run("torch", 5.0, WarningKind.TIMER_INFLATION),
        run("ort", 5.0, WarningKind.TIMER_INFLATION),
        run("ort", 5.0, wrong=True),
        with_latencies(run("ort", 5.0), [10, 11, 12], traced=3),
    ],
)
def test_compare_and_align_are_limited_alike(b: Run) -> None:
    a = run("ort")
    [pair] = compare([([a], [b])], 0.02).pairs
    found = align([a, b])
    shared = set(Caveat) - {Caveat.TIMERS_DIFFER, Caveat.NO_COMMON_LAYER}
    assert [remark for remark in pair.remarks if remark.kind in shared] == list(found.remarks)
    loud = {Verdict.SLOWER, Verdict.FASTER}
    assert (pair.latency.verdict in loud) == (found.total.cells[1].verdict in loud)
    for row, cells in zip(pair.rows, (row.cells for row in found.rows), strict=False):
        assert (row.verdict in loud) == (cells[1].verdict in loud)


def test_every_caveat_has_words_of_its_own() -> None:
    texts = [verdicts.remark_text(Remark(kind, (1, 0)), ["ort", "to\x1brch"]) for kind in Caveat]
    assert len(set(texts)) == len(Caveat)
    for text in texts:
        assert text.startswith("to\\x1brch, ort: ")
        assert text.endswith(".")
    assert verdicts.remark_text(Remark(Caveat.BUSY_MACHINE), []).startswith("Other programs")


def test_the_marks_stand_in_one_module_and_arrows_mean_one_thing() -> None:
    assert verdicts.mark(Verdict.SLOWER) == "▲"
    assert verdicts.mark(Verdict.FASTER) == "▼"
    assert verdicts.mark(None, " ") == verdicts.mark(Verdict.UNDECIDED, " ") == " "
    assert not set("▲▼") & set(verdicts.SIGNED_MARKS.values())
    holders = {
        path.relative_to(ROOT).as_posix()
        for folder in ("onnxprof", "backends", "zoo", "exporters")
        for path in (ROOT / folder).rglob("*.py")
        if "▲" in path.read_text("utf-8")
    }
    assert holders == {"onnxprof/publish/text/verdicts.py", "onnxprof/cli/output.py"}
    for path in (*(ROOT / "docs").rglob("*.md"), *(ROOT / "site").rglob("*.html")):
        text = path.read_text("utf-8")
        assert not re.search(r"▲`? (is )?(faster|wholly above)|faster \(▲", text), path
