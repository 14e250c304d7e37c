"""Public models are listed with what pins them, and fetched whole or not at all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tools.public import __main__ as command
from tools.public import fetching
from tools.public.fetching import FetchError, UnreachableError, downloaded, fetch
from tools.public.table import Package, PublicModel, packages, public_models

LISTED = """
[[package]]
name = "nets"
version = "1.2"
sha256 = "00"
licence = "MIT"
megabytes = 1

[[package.model]]
file = "nets/data/a.onnx"
tested = true
suggested = { "x.axis1" = 256, rows = "batch" }
refused = { sizes = { rows = 1 }, node = "conv" }

[[package.model]]
file = "nets/b.onnx"
"""


def wheel(package: Package, into: Path) -> Path:
    made = into / "nets-1.2-py3-none-any.whl"
    with ZipFile(made, "w") as archive:
        for name in ("nets/data/a.onnx", "nets/b.onnx", "nets/__init__.py"):
            archive.writestr(name, f"{package.name}: {name}")
    return made


def test_the_list_pins_every_file() -> None:
    models = public_models()
    assert len(models) >= 30
    assert len({model.name for model in models}) == len(models)
    assert {"silero-vad", "rapidocr-onnxruntime", "ddddocr"} <= {m.package.name for m in models}
    for package in packages(models):
        assert re.fullmatch(r"[0-9a-f]{64}", package.sha256), package
        assert re.fullmatch(r"[\d.]+", package.version), package
        assert package.licence, package
        assert package.megabytes < 100, package
    for model in models:
        assert set(model.usual) <= set(model.suggested), model.name
    assert len(packages(public_models(tested=True))) <= 5


def test_a_model_is_read_as_it_is_listed(tmp_path: Path) -> None:
    first, second = public_models(LISTED)
    assert (first.name, second.name) == ("nets/data/a", "nets/b")
    assert (first.suggested, second.suggested) == ({"x.axis1": 256, "rows": "batch"}, {})
    assert first.refused is not None
    assert (first.refused.batch, first.refused.node) == (1, "conv")
    assert first.path(tmp_path) == tmp_path / "nets-1.2" / "nets/data/a.onnx"
    assert public_models(LISTED, tested=True) == [first]


def test_listed_files_alone_are_taken_and_once(tmp_path: Path) -> None:
    models = public_models(LISTED)
    assert fetch(models, tmp_path, wheel) == ["nets-1.2"]
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*n*x*"))
    assert files == ["nets-1.2/nets/b.onnx", "nets-1.2/nets/data/a.onnx"]
    assert models[1].path(tmp_path).read_text() == "nets: nets/b.onnx"
    assert fetch(models, tmp_path, never) == []


def never(package: Package, into: Path) -> Path:
    raise AssertionError(package)


def test_a_wheel_without_a_listed_file_is_named(tmp_path: Path) -> None:
    models = public_models(LISTED.replace("nets/b.onnx", "nets/c.onnx"))
    with pytest.raises(FetchError, match=r"nets-1\.2: .*nets/c\.onnx"):
        fetch(models, tmp_path, wheel)
    assert not models[1].path(tmp_path).exists()


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES …", FetchError, "another hash"),
        ("ERROR: No matching distribution found for nets==1.2\n", UnreachableError, "No matching"),
        ("", UnreachableError, "pip failed"),
    ],
)
def test_another_file_is_told_from_a_registry_that_does_not_answer(
    said: str, kind: type[Exception], words: str, tmp_path: Path, monkeypatch: Any
) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> Any:
        asked.extend(command)
        return subprocess.CompletedProcess(command, 1, "", said)

    monkeypatch.setattr(fetching.subprocess, "run", run)
    package = public_models(LISTED)[0].package
    with pytest.raises(FetchError, match=words) as caught:
        downloaded(package, tmp_path)
    assert type(caught.value) is kind
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(asked)
    assert (tmp_path / "requirements.txt").read_text() == "nets==1.2 --hash=sha256:00\n"


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (UnreachableError("no answer"), [], 1),
        (UnreachableError("no answer"), ["--if-reachable"], 0),
        (FetchError("another hash"), ["--if-reachable"], 1),
    ],
)
def test_the_command_says_why_and_fails_unless_the_registry_is_away(
    error: Exception, words: list[str], code: int, monkeypatch: Any, capsys: Any
) -> None:
    def fail(models: list[PublicModel]) -> list[str]:
        raise error

    monkeypatch.setattr(command, "fetch", fail)
    assert command.main(words) == code
    assert capsys.readouterr().err == f"Public models: {error}\n"
