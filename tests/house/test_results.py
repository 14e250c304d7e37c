"""The runs that are kept in results/: readable, small, and described by their page."""

from __future__ import annotations

import platform
import re
import runpy
from pathlib import Path

import pytest
from support.places import ROOT
from support.sweeps.events import END, SCRIPT

from onnxprof.store.folder import Store, load, scan
from onnxprof.sweeps.plans.expand import excluded, expanded
from onnxprof.sweeps.plans.read import read_plan
from onnxprof.sweeps.status.file import StatusFile
from onnxprof.testing import sample_run
from onnxprof.zoo import catalogue

RESULTS = ROOT / "results"
MOST_BYTES = 15_000_000
PAGE = runpy.run_path(str(ROOT / "benchmarks" / "results" / "readme.py"))
PICTURES = runpy.run_path(str(ROOT / "benchmarks" / "results" / "pictures.py"))


def test_the_runs_can_be_read_and_are_small() -> None:
    listed, problems = scan([RESULTS])
    assert problems == []
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for summary in listed[:: max(1, len(listed) // 20)]:
        run = load(summary.path)
        assert (run.timings is None) == bool(run.failure)


def test_the_page_counts_them() -> None:
    text = (RESULTS / "README.md").read_text("utf-8")
    counted = re.search(r"^([\d,]+) runs \(([\d,]+) are in the plan\)", text, re.MULTILINE)
    assert counted is not None, "run `make results-readme`"
    runs, jobs = (int(figure.replace(",", "")) for figure in counted.groups())
    assert runs == len(scan([RESULTS])[0]), "run `make results-readme`"
    assert jobs == PAGE["_asked"](RESULTS), "run `make results-readme`"


def test_the_plan_names_every_network_and_excludes_what_there_is() -> None:
    plan = read_plan(RESULTS / "plan.toml")
    found = excluded(plan, expanded(plan).tasks)
    assert found.notes == ()
    assert {task.model_name for task in found.tasks} == set(catalogue.names())
    backends = {task.options.backend for task in found.tasks}
    assert backends == {"ort", "openvino", "torch"}
    first = {
        (t.model, t.options.backend, t.options.threads) for t in found.tasks if t.options.verify
    }
    assert len(first) == 6 * len(catalogue.names())


def test_a_page_is_made_of_what_the_runs_say(tmp_path: Path) -> None:
    marks = f"before\n{PAGE['BEGIN']}\nold\n{PAGE['END']}\nafter\n"
    (tmp_path / "plan.toml").write_bytes((RESULTS / "plan.toml").read_bytes())
    assert "There are no runs yet." in PAGE["page"](marks, tmp_path)
    Store(tmp_path).save(sample_run("alpha", 8))
    text = PAGE["page"](marks, tmp_path)
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "1 runs (" in text
    assert "| fake | 2 | 1 |" in text
    assert PAGE["page"](text, tmp_path) == text
    with pytest.raises(ValueError, match="lacks"):
        PAGE["page"]("no marks", tmp_path)


def test_the_picture_of_a_board_is_what_the_command_prints(tmp_path: Path) -> None:
    store = tmp_path / "a store"
    with StatusFile(store, 0.0) as status:
        for _, event in (*SCRIPT, END):
            status.hear(event)
    printed = PICTURES["board"](store)
    plain = re.sub(r"\x1b\[[\d;]*m", "", printed)
    assert "sweep into a store, begun " in plain
    assert "is over (process " in plain
    assert f" on {platform.node()}" not in " ".join(plain.split())
    assert max(map(len, plain.splitlines())) <= 80
    page = PICTURES["terminal_page"]("onnxprof sweep status", printed)
    assert "$ onnxprof sweep status" in page
    assert "color: #" in page
    assert "\x1b" not in page


def test_a_store_without_a_sweep_has_no_board(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="knows no sweep"):
        PICTURES["board"](tmp_path / "empty")
