"""`onnxprof provenance`, and what its table, CSV and JSON say."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from support.habits.commands import inside
from support.networks import models

from onnxprof.publish.tables import provenance as shown
from onnxprof.records.step import Confidence, Step

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def step(name: str, verdict: str, *layers: str) -> Step:
    return Step(name, "Conv", "CPU", layers, Confidence.EXACT, verdict=verdict)


CHECKED = shown.rows(
    [
        step("conv1", "verified", "conv1", "relu1"),
        step("conv2", "not checked: no values: not here", "conv2"),
        step("Reorder", ""),
        step("conv3", "refuted: it does not read x (conv3)"),
    ],
    [4.0, 2.0, 1.0, 1.0],
)


def test_the_summary_counts_steps_and_their_time() -> None:
    assert shown.summary(CHECKED) == (
        "1 of 3 steps with layers verified, 57.1 % of their time; 1 refuted, 1 not checked;"
        " 1 belongs to no layer."
    )
    assert shown.summary(shown.rows([step("a", "")])) == "None of 1 steps is tied to a layer."
    assert shown.verified_share(shown.rows([step("a", "verified", "b")])) is None


def test_the_table_fits_eighty_columns_and_numbers_its_reasons() -> None:
    long = step("a" * 90, "not checked: " + "why " * 30, "l" * 90, "m" * 90)
    console = Console(width=80, file=io.StringIO())
    checked = [*CHECKED, *shown.rows([long])]
    with console.capture() as captured:
        console.print(shown.to_table(checked, "title"))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "not checked [1]" in text
    assert "refuted [2]" in text
    assert shown.reasons(checked)[0] == "no values: not here"


def test_csv_has_a_line_a_step() -> None:
    lines = list(csv.DictReader(shown.to_csv(CHECKED).splitlines()))
    assert [line["verdict"] for line in lines] == ["verified", "not checked", "", "refuted"]
    assert lines[0]["layers"] == "conv1;relu1"
    assert lines[0]["share"] == "0.500000"


def run(*arguments: object, folder: Path) -> tuple[int, str, str]:
    done = inside("provenance", *arguments, "--budget", "0.05", folder=folder)
    return done.code, done.out, done.err


@pytest.mark.parametrize("backend", ["ort", "torch"])
def test_every_step_of_lenet_is_verified(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime" if backend == "ort" else "torch")
    models.save(models.lenet(), tmp_path)
    code, out, err = run("model.onnx", "--backend", backend, "-o", "ties.json", folder=tmp_path)
    assert (code, out) == (0, ""), err
    document = json.loads((tmp_path / "ties.json").read_text("utf-8"))
    assert document["verified_share"] == 1.0
    assert {s["verdict"] for s in document["steps"] if s["layers"]} == {"verified"}


def test_bad_use_is_told(tmp_path: Path) -> None:
    models.save(models.linear(), tmp_path)
    code, _, err = run("model.onnx", "--format", "pdf", folder=tmp_path)
    assert code == 2
    assert "no format 'pdf'" in err
    code, _, err = run("model.onnx", "-o", "ties.doc", folder=tmp_path)
    assert code == 2
    assert "no format has files that end in .doc" in err
    code, _, err = run("none.onnx", folder=tmp_path)
    assert code == 2
