"""Sentences that readers stumbled over do not come back, and those in their place say more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.networks import models
from support.places import ROOT

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.warning import RunWarning, WarningKind

ODD = (
    "still moved by",
    r"leave [^\n]* over, where an empty call",
    "repeated request keeps its id",
    "smallest block of layers that no",
    "if not in its usual way",
    "does not say from Python",
    "base URL that is none",
    "not even the name",
    "is not to be had",
    r"its 95 % interval excludes 1 by more than",
    "Time an item",
    r"inflation 0\.",
    r"tie exact",
    "bug in onnxprof: UnicodeEncodeError",
)
FOLDERS = ("onnxprof", "backends", "exporters", "zoo", "site", "docs")
ENDINGS = {".py", ".html", ".js", ".md", ".txt", ".typ"}


def texts() -> dict[str, str]:
    """Everything that a user may read, by its place; the links inside onnxprof/ are the folders."""
    files = [ROOT / "README.md"]
    for folder in FOLDERS:
        files += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in ENDINGS and not is_linked(path)
        ]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}


def is_linked(path: Path) -> bool:
    inner = path.relative_to(ROOT).parts
    return inner[0] == "onnxprof" and (ROOT / inner[0] / inner[1]).is_symlink()


@pytest.mark.parametrize("phrase", ODD)
def test_nobody_reads_it_any_more(phrase: str) -> None:
    pattern = re.compile(phrase)
    assert [place for place, text in texts().items() if pattern.search(text)] == []


@pytest.mark.parametrize("kind", WarningKind)
def test_every_warning_is_a_sentence(kind: WarningKind) -> None:
    for value in (0.0, 0.041, 12.5):
        text = warning_text(RunWarning(kind, value, "conv1", 0.03))
        assert text[0].isupper() or text[0].isdigit(), text
        assert text.rstrip().endswith("."), text
        assert "  " not in text


def test_a_drift_says_of_what() -> None:
    text = warning_text(RunWarning(WarningKind.DRIFT, 0.041))
    assert "4.1 %" in text
    assert "atency" in text


def test_an_axis_that_no_model_has_is_told_with_those_there_are(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path, "lenet.onnx")
    with pytest.raises(UsageError, match="no symbolic axis 'foo'"):
        plan(Options((str(model),), dims=(("foo", 3),)))
