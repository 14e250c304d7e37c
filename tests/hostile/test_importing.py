"""Files of other profilers that are no such thing are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.networks import models

from onnxprof.cli.main import _run

ODD = ["7", "null", "true", '"text"', "[]", "{}", "[7]", "[[]]", "[null]", "1e999", "NaN"]
ODD += ["[" * 100_000, "9" * 400, "9" * 5000, '{"Layers": 7}', '{"Layers": [7]}', '[{"count": 7}]']
OPTIONS = ("--ort-profile", "--benchmark-app", "--profile", "--engine-layers")


@pytest.mark.parametrize("option", OPTIONS)
def test_odd_files(
    option: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "onnxprof.cli.commands.stored.imports.runs_import.confined", lambda work, *_: work()
    )
    model = models.save(models.linear(), tmp_path)
    out, told = str(tmp_path / "runs"), []
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps([{"count": 3}, {"name": "fc", "averageMs": 1.0}]))
    for text in ODD:
        path = tmp_path / "odd.json"
        path.write_text(text)
        words = ["runs", "import", str(model), option, str(path), "--batch", "1", "--store", out]
        if option == "--engine-layers":
            words += ["--profile", str(profile)]
        code = _run(words)
        told.append((text[:20], code, capsys.readouterr().err))
    assert all(code == 2 and "bug" not in err for _, code, err in told), told
    assert all(err.count("\n") == 1 for _, _, err in told), told
