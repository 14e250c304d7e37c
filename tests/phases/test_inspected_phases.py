"""`inspect`, `provenance` and `optimized` with `--phase`: a model at the sizes of one phase."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.decoders.cells import cell
from support.decoders.grouped import TOTAL, grouped_decoder
from support.decoders.plain import NEW, PAST, plain_decoder
from support.habits.commands import inside
from support.habits.documents import checked
from support.networks import models

import onnxprof as op
from onnxprof.errors import UsageError
from onnxprof.sequences.grammar import single


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    models.save(grouped_decoder(), tmp_path, "grouped.onnx")
    models.save(cell(), tmp_path, "cell.onnx")
    return models.save(plain_decoder(), tmp_path, "tiny.onnx")


def document(folder: Path, *words: str, schema: str) -> dict:
    done = inside(*words, "--json", folder=folder)
    assert done.code == 0, done.err
    return checked(done.out, schema)


def refused(folder: Path, *words: str) -> str:
    done = inside(*words, folder=folder)
    assert (done.code, done.out) == (2, "")
    return done.err


def test_shapes_are_those_of_the_phase(tiny: Path) -> None:
    found = document(tiny.parent, "inspect", "tiny.onnx", "--phase", "decode:12", schema="inspect")
    assert found["phase"] == "decode:12"
    [table] = found["tables"]
    assert table["dims"] == {NEW: 1, PAST: 12}
    shapes = {out["name"]: out["shape"] for each in table["layers"] for out in each["outputs"]}
    assert shapes["present.0.key"] == [1, 4, 13, 16]
    assert shapes["past_key_values.0.key"] == [1, 4, 12, 16]
    told = inside("inspect", "tiny.onnx", "--phase", "decode:12", folder=tiny.parent).out
    assert told.startswith("tiny in decode:12, batch 1, sequence_length=1")
    assert "position_ids is fed 12 to 12 (the places of the new tokens)" in told
    assert "attention_mask is fed 1 for 13 tokens" in told


def test_costs_and_memory_are_those_of_the_phase_at_each_batch(tiny: Path) -> None:
    words = "inspect", "tiny.onnx", "--phase", "prefill:8", "--batch", "1,2"
    costs = document(tiny.parent, *words, "--cost", schema="inspect-cost")
    by_hand = op.cost(tiny, batch=(1, 2), dims={NEW: 8, PAST: 0})
    assert costs["phase"] == "prefill:8"
    for table, (_, layers) in zip(costs["tables"], by_hand.costed, strict=True):
        assert table["total"]["operations"]["macs"] == sum(
            each.operations.macs or 0 for each in layers
        )
    alive = document(tiny.parent, *words, "--alive", schema="inspect-alive")
    assert alive["phase"] == "prefill:8"
    first, second = (table["peak_bytes"] for table in alive["tables"])
    assert 0 < first < second
    words = *words, "--cost", "--symbolic"
    symbolic = document(tiny.parent, *words, schema="inspect-symbolic")
    assert symbolic["phase"] == "prefill:8"
    assert [each["macs"] for each in symbolic["evaluated"]] == [
        table["total"]["operations"]["macs"] for table in costs["tables"]
    ]


def test_python_has_it_too(tiny: Path) -> None:
    found = op.inspect(tiny, phase="decode:12")
    assert dict(found.tables[0].dims) == {NEW: 1, PAST: 12}
    assert (found.phase, found.document()["phase"]) == ("decode:12", "decode:12")
    assert str(found).startswith("tiny in decode:12, batch 1")
    costs = op.cost(tiny, phase="decode:12")
    assert costs.document()["phase"] == costs.phase == "decode:12"
    assert op.symbolic_cost(tiny, phase="decode:12").points == ({"batch": 1, NEW: 1, PAST: 12},)
    with pytest.raises(UsageError, match="names 2 sizes"):
        op.inspect(tiny, phase="decode:4,8")
    with pytest.raises(UsageError, match="no steps"):
        op.cost(tiny, phase="steps:8")


def test_counts_that_a_model_takes_are_told(tiny: Path) -> None:
    found = op.inspect(tiny.parent / "grouped.onnx", phase="decode:9")
    assert dict(found.tables[0].dims)[TOTAL] == 10
    assert found.fed["attention_mask"] == "1 for 10 tokens (a mask of all that there are)"
    assert op.inspect(tiny.parent / "cell.onnx", phase="steps:4").tables[0].dims == ()


def test_a_phase_is_one_at_one_size() -> None:
    assert single("") == ""
    assert single(" decode:512") == single("decode:512..512") == "decode:512"
    with pytest.raises(UsageError, match="names 3 sizes") as error:
        single("decode:512..2048")
    assert error.value.remedy == "Choose one, as in --phase decode:512"


@pytest.mark.parametrize("command", ["inspect", "provenance", "optimized"])
def test_refusals_say_why(tiny: Path, command: str) -> None:
    def told(phase: str, *more: str) -> str:
        return refused(tiny.parent, command, "tiny.onnx", "--phase", phase, *more)

    assert "names 2 sizes, and one is taken" in told("decode:1,2")
    assert "is not KIND:SIZE" in told("decode")
    assert "its cache past_key_values.0.key grows with each step" in told("steps:4")
    assert "'wpe.weight' has 256" in told("decode:256")
    assert "past_sequence_length=9 contradicts" in told("decode:8", "--dim", f"{PAST}=9")


def test_steps_are_checked_and_shown_in_the_phase(tiny: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    words = "tiny.onnx", "--phase", "decode:12", "--budget", "0.05", "--threads", "1"
    found = document(tiny.parent, "provenance", *words, schema="provenance")
    assert (found["phase"], found["dims"]) == ("decode:12", {})
    assert {step["verdict"] for step in found["steps"] if step["layers"]} == {"verified"}
    made = document(tiny.parent, "optimized", *words, schema="optimized")
    assert (made["phase"], made["options"]) == ("decode:12", [])
    told = inside("optimized", *words, folder=tiny.parent)
    assert told.out.startswith("tiny, batch 1, decode:12, ort cpu")


def test_a_stored_run_has_its_phase(tiny: Path) -> None:
    text = refused(tiny.parent, "optimized", "some-run", "--phase", "decode:12")
    assert "a stored run is shown as it ran, and --phase is for models" in text
