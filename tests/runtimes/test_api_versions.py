"""`op.compare_versions`, with a runtime in many versions."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import versions
from support.networks import models
from support.places import ROOT

import onnxprof as op
from onnxprof.errors import UsageError
from onnxprof.measure.budget import Budget

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")
FAST, SLOW = {"Gemm": 1_000_000}, {"Gemm": 2_500_000}
QUICK: op.Measuring = {"threads": 1, "budget": 0.6, "processes": 2}
[BLOCK] = re.findall(
    r"^```py\n(.*?)^```$", (ROOT / "docs/python.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model and versions 1.0 to 1.4 of the fake runtime: slow from 1.2 on."""
    index = tmp_path / "index"
    for minor in range(5):
        versions.wheel(index, f"1.{minor}", versions.source(SLOW if minor >= 2 else FAST))
    versions.offline_index(index, monkeypatch)
    monkeypatch.syspath_prepend(str(versions.backend(tmp_path / "plugin")))
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return models.save(models.linear(), tmp_path, "model.onnx")


def test_the_example_of_the_page_finds_the_first_slow_version(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = {"onnxruntime==1.22.1": "fakert==1.0", "onnxruntime==1.32.0": "fakert==1.4"}
    block = BLOCK
    for theirs, ours in ends.items():
        assert theirs in block
        block = block.replace(theirs, ours)
    settings = ", threads=1, budget=0.6, processes=2, threshold=0.3)"
    block = block.replace("bisect=True)", f"bisect=True{settings}")
    exec(compile(block, "python.md", "exec"), {"__name__": "snippet"})
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "1.2"
    assert "The first slow version is fakert 1.2; 1.1 is the last" in " ".join(out.split())
    assert "3 versions lie between, 2 steps at most" in err


def test_one_version_stands_against_the_installed_one_and_runs_are_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    versions.wheel(installed, "1.9", versions.source(SLOW))
    monkeypatch.syspath_prepend(str(next(installed.glob("*.whl"))))
    found = op.compare_versions(
        model, "fakert == 1.0", store="kept", threshold=0.3, progress=False, **QUICK
    )
    assert found.regressed
    assert found.bisection is None
    assert "B: fakert 1.9" in str(found)
    kept = op.load("kept")
    assert {run.request.runtime for run in kept} == {"fakert==1.0", ""}
    assert found.document()["pairs"][0]["operators"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("fakert", "", {}), "a cannot be 'fakert'. Give a package and one version"),
        (("fakert==1.0", "fakert>=1", {}), "b cannot be 'fakert>=1'"),
        (("fakert==1.0", "", {"bisect": True}), "bisect needs both ends"),
        (("fakert==1.0", "fakert==1.0", {"bisect": True}), "there is nothing between"),
        (
            ("fakert==1.0", "fakert==1.1", {"bisect": True, "batches": (1, 2)}),
            "several batch sizes are given: 1, 2",
        ),
        (("fakert==1.0", "fakert==1.1", {"runtime": "fakert==1.2"}), "runtime is given beside"),
        (("fakert==1.0", "fakert==1.1", {"timer": "prefix"}), "by the trace timer alone"),
        (("numpy==2.0", "", {}), "numpy is the package of no backend"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_downloaded(
    model: Path, given: tuple[str, str, dict[str, object]], told: str
) -> None:
    a, b, options = given
    with pytest.raises(UsageError) as caught:
        op.compare_versions(model, a, b, progress=False, **options)  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert not (model.parent / "cache").exists()


def test_the_usual_way_is_that_of_the_command() -> None:
    from onnxprof.api.comparing import in_turn_options

    usual = in_turn_options({})
    assert (usual.processes, usual.budget) == (10, Budget(10.0))
