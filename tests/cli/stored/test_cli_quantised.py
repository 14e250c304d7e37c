"""`onnxprof compare` and `align` of a quantised network and its float original."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
import typer
from support.golden import check_golden
from support.networks import models
from support.runs.jobs import job
from support.runs.quantised_runs import file, run_of
from typer.testing import CliRunner, Result

from onnxprof.api.in_turn import errors
from onnxprof.cli.commands.stored.align import align
from onnxprof.cli.commands.stored.compare import compare
from onnxprof.cli.output import plain_text
from onnxprof.compare.changes import Comparison
from onnxprof.compare.changes import compare as compared
from onnxprof.compare.quantised.gains import (
    Blocked,
    Conversion,
    Gains,
    LayerError,
    LayerGain,
    Reason,
)
from onnxprof.compare.quantised.match import Evidence
from onnxprof.errors import ModelError, UsageError
from onnxprof.processes.confined import Limits
from onnxprof.publish.comparing import changes, gains
from onnxprof.publish.json import comparing
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

app = typer.Typer()
app.command("compare")(compare)
app.command("align")(align)

MORE = list(gains.COLUMNS)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def done(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def refused(*arguments: str | Path, words: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError), result.exception
    assert words in str(result.exception)
    assert result.stdout == ""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of the float network, and one of its QDQ form without the tool's preparation."""
    folder = tmp_path_factory.mktemp("quantised")
    store = Store(folder / "store")
    original = store.save(run_of(file(folder, "convolutions"), "float"))
    return original, store.save(run_of(file(folder, "convolutions", "qdq", prepared=False), "int8"))


def test_the_table_has_the_layers_under_the_float_names(stored: tuple[Path, Path]) -> None:
    text = done("compare", *stored)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Quantised against float (A): 22 of 22 layers matched, all by name" in text
    assert " (Q/DQ) " in text
    assert "only quantise or dequantise" in text
    assert "ran in float between" in text
    assert "not in both" not in text


def test_csv_and_json_have_the_gains(stored: tuple[Path, Path]) -> None:
    rows = list(csv.DictReader(io.StringIO(done("compare", *stored, "--format", "csv"))))
    assert list(rows[0])[-len(MORE) :] == MORE
    by_name = {row["layer"]: row for row in rows}
    first = by_name["first"]
    assert first["matched_by"] == "name"
    assert float(first["gained_ms"]) == pytest.approx(
        float(first["a_ms"]) - float(first["b_ms"]) - float(first["conversions_ms"])
    )
    converting = by_name["(Q/DQ)"]
    assert converting["conversions_ms"] == converting["b_ms"]
    [pair] = json.loads(done("compare", *stored, "--format", "json"))["pairs"]
    told = pair["quantised"]
    assert (told["float_side"], told["layers"], told["matched"]) == ("a", 22, 22)
    assert sum(item["ms"] for item in told["conversions"]) == pytest.approx(told["conversions_ms"])
    assert {item["reason"] for item in told["blocked"]} == {"not fused"}
    assert sum(row["conversions_ms"] for row in told["rows"]) == pytest.approx(
        told["conversions_ms"]
    )


def test_other_pairs_have_no_more_columns(tmp_path: Path) -> None:
    paths = [Store(tmp_path / side).save(sample_run(seed=i)) for i, side in enumerate("ab")]
    header = done("compare", *paths, "--format", "csv").splitlines()[0].split(",")
    assert header == list(changes.COLUMNS)
    assert "quantised" not in done("compare", *paths, "--format", "json")


def test_markdown_escapes_names(stored: tuple[Path, Path]) -> None:
    text = done("compare", *stored, "--format", "md")
    assert "**Quantised against float (A): 22 of 22 layers matched" in text
    assert "| first +2 | QLinearConv" in text


def test_align_has_a_row_for_conversions(stored: tuple[Path, Path]) -> None:
    text = done("align", *stored)
    assert "(Q/DQ)" in text
    assert "a quantised form of the float network" in " ".join(text.split())
    rows = list(csv.DictReader(io.StringIO(done("align", *stored, "--format", "csv"))))
    kinds = [row["row"] for row in rows]
    assert kinds[-6:] == ["layers", "conversions", "no layer", "interruptions", "overhead", "total"]
    [column] = [name for name in rows[0] if name.startswith("fake int8") and name.endswith(" ms")]
    times = {row["row"]: round(1e6 * float(row[column] or 0)) for row in rows[-6:]}
    assert times.pop("total") == sum(times.values())
    told = json.loads(done("align", *stored, "--format", "json"))
    assert sum(cell["ns"] or 0 for cell in told["conversions"]["cells"]) > 0
    assert "| (Q/DQ) |" in done("align", *stored, "--format", "md")


def test_errors_of_layers_need_models(stored: tuple[Path, Path], tmp_path: Path) -> None:
    refused("compare", *stored, "--layer-errors", words="--layer-errors needs the models")
    refused("compare", *stored, "--inputs", "x.npz", words="--inputs needs the models")
    plain = models.save(models.linear(), tmp_path)
    refused("compare", plain, plain, "--layer-errors", words="neither of the models is quantised")


def test_models_are_compared_with_the_error_of_each_layer(tmp_path: Path) -> None:
    original = file(tmp_path, "convolutions")
    quantised = file(tmp_path, "convolutions", "qoperator")
    asked = ("--processes", "1", "--budget", "0.05", "--threads", "1", "--format", "json")
    told = json.loads(done("compare", original, quantised, "--layer-errors", *asked))
    rows = told["pairs"][0]["quantised"]["rows"]
    assert len(rows) >= 10
    for row in rows:
        assert row["error"]["sqnr_db"] > 15, row
        assert row["error"]["max_abs"] > 0


def test_both_models_run_apart_within_the_limits(tmp_path: Path) -> None:
    """A model that takes for ever ends as an error; it cannot take the command with it."""
    limits = Limits(seconds=0.001)
    both = [job(file(tmp_path, "convolutions", form), limits=limits) for form in ("", "qoperator")]
    with pytest.raises(ModelError, match=r"stopped after 0\.001 s, while comparing layers"):
        errors(*both, lambda _: None)


def scripted() -> Comparison:
    """What a QDQ network with one layer that was not fused looks like."""
    conv, relu, gemm = (layer.name for layer in sample_run().table.nodes)
    comparison = compared([([sample_run("net")], [sample_run("net-int8", seed=1)])], 0.02)
    gained = Gains(
        0,
        3,
        3,
        1,
        1.0,
        (
            LayerGain(
                *((conv, relu), 1_200_000.0, 450_000.0, 40_000.0, ("QLinearConv",)),
                *(Evidence.NAME, LayerError(38.2, 36.1, 0.071)),
            ),
            LayerGain(
                *((gemm,), 400_000.0, 520_000.0, 90_000.0, ("Gemm", "Relu")),
                *(Evidence.STRUCTURE, LayerError(None, float("-inf"), 2.5)),
            ),
        ),
        (
            Conversion("x_QuantizeLinear", "QuantizeLinear", conv, 40_000.0),
            Conversion("gemm_DequantizeLinear", "DequantizeLinear", gemm, 90_000.0),
        ),
        (Blocked(gemm, "Gemm", Reason.OUTPUT, 520_000.0, ("gemm_DequantizeLinear",), 90_000.0),),
    )
    [pair] = comparison.pairs
    return dataclasses.replace(comparison, pairs=(dataclasses.replace(pair, quantised=gained),))


def test_golden_files() -> None:
    told = scripted()
    check_golden("quantised_80.txt", plain_text(changes.table(told)))
    check_golden("quantised.md", changes.markdown(told))
    check_golden("quantised.csv", changes.to_csv(told))


def test_json_knows_no_infinity() -> None:
    [pair] = comparing.compared(scripted())["pairs"]
    errors = [row["error"] for row in pair["quantised"]["rows"]]
    assert [e["sqnr_db"] for e in errors] == [38.2, None]
    assert [e["own_sqnr_db"] for e in errors] == [36.1, "-inf"]
