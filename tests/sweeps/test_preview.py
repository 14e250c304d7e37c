"""Reading models for a dry run: each once, nothing made or downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.networks import models
from support.sweeps.sweeping import task

from onnxprof.plugins import registry
from onnxprof.sweeps.planning import preview
from onnxprof.sweeps.planning.preview import Preview
from onnxprof.sweeps.planning.remembered import Remembered
from onnxprof.testing import FakeBackend


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "backend", lambda _: FakeBackend())


def test_a_model_is_read_once_for_all_of_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = task(str(models.save(models.lenet(), tmp_path)), (1, 2))
    reads: list[str] = []
    inspect = preview.inspect_found

    def counted(file, *given, **named):
        reads.append(file.name)
        return inspect(file, *given, **named)

    monkeypatch.setattr(preview, "inspect_found", counted)
    found = Preview(Remembered.of(tmp_path))
    others = [made.asking(backend="other"), made.asking(threads=4)]
    found.look([made, *others])
    assert reads == ["model"]
    assert found.problems == {}
    for each in (made, *others):
        facts = found.remembered.known(each)
        assert facts is not None
        small, large = (facts.memory_bytes(each, batch) for batch in (1, 2))
        assert small is not None
        assert large is not None
        assert 0 < small < large
    Preview(Remembered.of(tmp_path)).look([made, *others])
    assert reads == ["model"], "it is remembered"


def test_what_cannot_be_read_is_a_problem_of_its_task_alone(tmp_path: Path) -> None:
    bad, good = task(str(tmp_path / "none.onnx")), task(str(models.save(models.lenet(), tmp_path)))
    found = Preview(Remembered.of(tmp_path))
    found.look([bad, good])
    assert list(found.problems) == [bad]
    assert "no such file" in found.problems[bad]
    assert found.remembered.known(good) is not None


def test_nothing_is_looked_up_on_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "resolve", lambda *_: pytest.fail("looked up"))
    found = Preview(Remembered.of(tmp_path))
    found.look([task("hub:ResNet50@12"), task("hf:org/repo/model.onnx")])
    assert found.problems == {}


def test_a_batch_that_is_refused_is_remembered(tmp_path: Path) -> None:
    made = task("zoo:resnet18", (1, 1 << 19))
    found = Preview(Remembered.of(tmp_path))
    found.look([made])
    facts = found.remembered.known(made)
    assert facts is not None
    ((batch, reason),) = facts.refused
    assert batch == 1 << 19
    assert reason.startswith(f"resnet18 at batch {batch}: ")
