"""Stored runs and what is made of several: each function against its command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import models
from support.runs.ceilings import ceilings
from typer.testing import CliRunner, Result

import onnxprof as op
from onnxprof.cli.main import app
from onnxprof.errors import StoreError, UsageError
from onnxprof.store.beside.ceilings import save
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def done(*words: str | Path, code: int = 0) -> str:
    result: Result = CliRunner().invoke(app, [str(w) for w in words], standalone_mode=False)
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code
    return result.stdout_bytes.decode()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two systems at three sizes, one that failed, one file that is none."""
    place = Store(tmp_path / "runs")
    for batch in (1, 4, 16):
        place.save(sample_run("net", batch, backend="ort"))
        place.save(sample_run("net", batch, backend="torch", scale=2.0, fused=False, seed=1))
    broken = sample_run("other", backend="tvm")
    place.save(replace(broken, timings=None, failure="it broke"))
    return place.root


def test_filters_are_those_of_the_commands(store: Path) -> None:
    assert len(op.load(store)) == 6
    assert [f.reason for f in op.load(store).failures] == ["it broke"]
    assert {run.request.backend for run in op.load(store, backend="ort")} == {"ort"}
    assert len(op.load(store, backend=["ort", "torch"], batch=(1, 4))) == 4
    assert len(op.load(store, model="n*", batch=16)) == 2
    assert len(op.load(str(store), device="Fake")) == 6
    made = sample_run("net")
    for phase, past in (("decode:8", 3), ("decode:16", 5)):
        request = replace(made.request, phase=phase, dims=(("past", past),))
        Store(store).save(replace(made, request=request))
    assert [len(op.load(store, phases=text)) for text in ("decode", "decode:8,9")] == [2, 1]
    assert len(op.load(store, dims={"past": [5, 7]}, phases=["decode"])) == 1
    with pytest.raises(UsageError, match="size of axis 'past' cannot be"):
        op.load(store, dims={"past": ["x"]})  # type: ignore[list-item]
    file = next(store.rglob("*.parquet"))
    assert len(op.load(file)) == 1
    with pytest.raises(UsageError, match="no stored run matches"):
        op.load(store, model="nothing")
    with pytest.raises(UsageError, match="model cannot be"):
        op.load(store, model=[3])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="batch cannot be"):
        op.load(store, batch=0)


def test_the_usual_store_needs_no_name(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_STORE", str(store))
    assert len(op.load()) == 6
    monkeypatch.delenv("ONNXPROF_STORE")
    monkeypatch.chdir(store.parent)
    assert len(op.load()) == 6


def test_tags_are_filters(store: Path) -> None:
    file = next(store.rglob("ort/*.parquet"))
    done("runs", "tag", file, "good", "--store", store)
    assert len(op.load(store, tags="good")) == 1


def test_a_file_that_cannot_be_read_is_a_warning(store: Path) -> None:
    bad = next(store.rglob("ort/*.parquet"))
    bad.write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match=bad.name) as told:
        runs = op.load(store)
    assert len(runs) == 5
    assert told[0].filename == __file__


def test_ceilings_of_the_store_are_those_of_its_runs(store: Path) -> None:
    save(store, ceilings(key=replace(ceilings().key, backend="ort")))
    runs = op.load(store, backend="ort")
    words = ["runs", "export", "--store", store, "--backend", "ort"]
    assert runs.to_csv() == done(*words)
    assert any(row["bound"] for row in runs.to_arrow().to_pylist())


def files(store: Path, backend: str) -> list[Path]:
    return sorted(store.rglob(f"{backend}/*.parquet"))


def test_a_comparison_is_that_of_the_command(store: Path, tmp_path: Path) -> None:
    a, b = op.load(store, backend="ort"), op.load(store, backend="torch")
    found = op.compare(a, b)
    assert found.regressed
    assert len(found.pairs) == 3
    sides = [tmp_path / name for name in ("a", "b")]
    for runs, side in zip((a, b), sides, strict=True):
        runs.save(side)
    assert found.table() == done("compare", *sides, code=1)
    assert found.to_csv() == done("compare", *sides, "--format", "csv", code=1)
    assert found.to_markdown() == done("compare", *sides, "--format", "md", code=1)
    assert found.to_json() == done("compare", *sides, "--json", code=1)
    assert op.compare(*map(str, sides)).document() == found.document()
    assert op.compare(sides[0], b).document() == found.document()


def test_one_run_is_compared_with_another(store: Path) -> None:
    one, other = op.load(store, backend="ort", batch=(1, 4))
    with pytest.raises(UsageError, match="batch differs"):
        op.compare(one, other)
    assert op.compare(one, other, force=True).pairs
    assert op.compare(one, replace(one, created="2026-02-02T00:00:00Z"), threshold=5.0)


def test_sides_that_do_not_go_together_are_refused(store: Path) -> None:
    runs = op.load(store, backend="ort")
    with pytest.raises(UsageError, match="one is a model"):
        op.compare(runs, "zoo:lenet")
    with pytest.raises(UsageError, match="have a run in common"), pytest.warns(match="left out"):
        op.compare(store, store)
    with pytest.raises(UsageError, match="threads is for models"):
        op.compare(runs, runs, threads=1)
    with pytest.raises(UsageError, match="layer_errors is for models"):
        op.compare(runs, runs, layer_errors=True)
    with pytest.raises(UsageError, match="no model was measured at the same batch"):
        op.compare(runs[:1], [sample_run("else", 3), sample_run("else", 5)])
    with pytest.raises(UsageError, match="by the trace timer alone"):
        op.compare("zoo:lenet", "zoo:lenet", timer="prefix")


def test_two_models_are_measured_in_turn(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    path = models.save(models.lenet(), tmp_path)
    quick: op.Measuring = {"threads": 1, "budget": 0.1, "processes": 1, "parity": False}
    found = op.compare(path, path, progress=False, store=tmp_path / "kept", threshold=9.0, **quick)
    assert found.record.in_turn
    assert not found.regressed
    assert len(op.load(tmp_path / "kept")) == 2
    assert "batch 1" in str(found)


def test_an_alignment_is_that_of_the_command(store: Path) -> None:
    runs = op.load(store, batch=1)
    found = op.align(runs, baseline="torch", sort="time", limit=1)
    words = ["align", *(path for name in ("ort", "torch") for path in files(store, name))]
    words = [w for w in words if "b0001" in str(w) or w == "align"]
    words += ["--baseline", "torch", "--sort", "time", "--limit", "1"]
    assert found.table() == done(*words)
    assert found.to_csv() == done(*words, "--format", "csv")
    assert found.to_markdown() == done(*words, "--format", "md")
    assert found.to_json() == done(*words, "--json")
    assert op.align(runs, baseline=2).document() == op.align(runs, baseline="torch").document()


def test_batches_are_set_against_one_another(store: Path) -> None:
    found = op.align(op.load(store), over="batch")
    words = ["align", store, "--over", "batch"]
    assert found.to_json() == done(*words, "--json")
    assert found.to_csv() == done(*words, "--format", "csv")
    assert found.to_markdown() == done(*words, "--format", "md")
    assert found.table() == done(*words)
    with pytest.raises(UsageError, match=r"op\.scaling"):
        op.align(op.load(store, backend="ort"), over="batch")


def test_what_cannot_be_aligned_is_refused(store: Path) -> None:
    runs = op.load(store)
    with pytest.raises(UsageError, match="batch differs"):
        op.align(runs)
    with pytest.raises(UsageError, match="two are needed"):
        op.align(runs[:1])
    with pytest.raises(UsageError, match="sort cannot be 'name'"):
        op.align(op.load(store, batch=1), sort="name")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is no column"):
        op.align(op.load(store, batch=1), baseline=3)


def test_scaling_is_that_of_the_command(store: Path) -> None:
    found = op.scaling(op.load(store), latency_limit_ms=20)
    words = ["scaling", store, "--latency-limit", "20ms"]
    assert found.table() == done(*words)
    assert found.to_csv() == done(*words, "--format", "csv")
    assert found.to_markdown() == done(*words, "--format", "md")
    assert found.to_json() == done(*words, "--json")
    assert [one.system for one in found] == [found[0].system, found[1].system]
    assert len(found[:1]) == 1
    with pytest.raises(UsageError, match="two sizes"):
        op.scaling(op.load(store, batch=1))
    with pytest.raises(UsageError, match="no time above zero"):
        op.scaling(op.load(store), latency_limit_ms=0)


def test_advice_is_that_of_the_command(store: Path) -> None:
    run = op.load(store, backend="torch", batch=4)
    file = next(path for path in files(store, "torch") if "b0004" in path.name)
    with pytest.warns(UserWarning, match="onnxprof ceilings"):
        found = op.advise(run, store=store)
    words = ["advise", file, "--store", store]
    assert found.table() == done(*words)
    assert found.to_csv() == done(*words, "--format", "csv")
    assert found.to_markdown() == done(*words, "--format", "md")
    assert found.to_json() == done(*words, "--json")
    assert json.loads(found.to_json())["advice"][0]["backend"] == "torch"
    assert len(found[:1]) == len(found) == 1


def test_advice_needs_times() -> None:
    broken = replace(sample_run(), timings=None, failure="it broke")
    with pytest.raises(StoreError, match="it broke"):
        op.advise(broken)


def test_results_have_a_form_in_a_notebook(store: Path) -> None:
    runs = op.load(store, batch=1)
    for found in (op.align(runs), op.compare(runs[:1], runs[1:]), op.scaling(op.load(store))):
        assert found._repr_html_().startswith("<pre")
        assert repr(found) == str(found)
        assert max(map(len, str(found).splitlines())) <= 80
