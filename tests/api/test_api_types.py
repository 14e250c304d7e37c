"""A user's program under strict mypy, against the package as it is installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import platformdirs
import pytest
from filelock import FileLock
from support.places import ROOT

GOOD = """
    from collections.abc import Sequence
    from pathlib import Path

    import onnxprof as op

    runs: op.Runs = op.profile(
        ["a.onnx", Path("b.onnx")], batches=(1, 8), backend="ort", threads=1, budget=0.5,
        dims={"height": [224, 320], "width": "height"},
        granularity="written", timer="auto", inputs=Path("x.npz"),
    )
    quick: op.Measuring = {"threads": 1, "verify": False}
    again: op.Runs = op.profile("a.onnx", **quick) + runs[1:]
    one: op.Run = runs[0]
    every: Sequence[op.Run] = runs
    name: str = one.request.model_name
    times: tuple[float | None, ...] = runs.latency_ms
    found: op.Inspection = op.inspect("a.onnx", batch=[1, 2], dims={"n": 3})
    table: op.LayerTable = found.tables[0]
    layer: op.Layer = found.layers[0]
    costs: op.Costs = op.cost("a.onnx")
    comparison: op.Comparison = op.compare(runs, again, threshold=0.05)
    in_turn: op.Comparison = op.compare("a.onnx", Path("b.onnx"), threads=2, processes=5)
    slower: bool = comparison.regressed
    versions: op.VersionsCompared = op.compare_versions(
        Path("a.onnx"), "onnxruntime==1.22.1", "onnxruntime==1.32.0", bisect=True, threads=1
    )
    aligned: op.Alignment = op.align(runs, baseline="torch", over="height")
    scaled: op.Scalings = op.scaling(runs, latency_limit_ms=20.0)
    advice: op.Advice = op.advise(one)
    loaded: op.Runs = op.load("runs", model="x", batch=(1, 2), tags="good")
    made: op.Exported = op.export("zoo:lenet", Path("out.onnx"))
    built: op.Built = op.site(["a", Path("b")], "public")
    diagnosis: op.Diagnosis = op.doctor()
    text: str = comparison.to_markdown() + str(runs) + diagnosis.to_json()
    path: Path = runs.save("x.csv")
    failed: tuple[op.Failure, ...] = runs.failures
    try:
        op.inspect("x")
    except op.errors.ModelError as error:
        print(error.what)
    version: str = op.__version__
"""
BAD = {
    'op.profile("a.onnx", thread=1)': "call-arg",
    'op.profile("a.onnx", threads="1")': "arg-type",
    'op.profile("a.onnx", timer="sundial")': "arg-type",
    'op.profile("a.onnx", batches="1,8")': "arg-type",
    'op.profil("a.onnx")': "attr-defined",
    "op.inspect(3)": "arg-type",
    "op.align([], over=3)": "arg-type",
    "op.Runs([1])": "list-item",
    'op.compare("a", "b", threshold="x")': "arg-type",
    'quick: op.Measuring = {"thread": 1}': "typeddict-unknown-key",
}


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    """What mypy has read of this tree; it stays, and mypy reads again what has changed."""
    tree = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("onnxprof") / "tests" / "mypy" / tree
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        yield folder


def mypy(program: str, folder: Path, cache: Path) -> list[str]:
    """What mypy says of a program that lies outside of the source tree.

    An editable install is found by a hook that mypy does not run, so it is told the folder.
    """
    pytest.importorskip("mypy")
    (folder / "program.py").write_text(dedent(program))
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", "--cache-dir", cache]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "program.py"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_a_good_program_is_good(tmp_path: Path, cache: Path) -> None:
    assert mypy(GOOD, tmp_path, cache) == []


def test_mistakes_are_found_each_on_its_line(tmp_path: Path, cache: Path) -> None:
    said = mypy("\n".join(["import onnxprof as op", *BAD]), tmp_path, cache)
    by_line = {int(line.split(":")[1]): line for line in said if ": error:" in line}
    for number, (statement, kind) in enumerate(BAD.items(), 2):
        assert f"[{kind}]" in by_line.get(number, ""), (statement, said)
