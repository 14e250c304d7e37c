"""`-q` and `-qq`: what a command was asked to print stays, whatever is said beside it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.habits.commands import Done, called
from support.networks import models
from support.runs.advised import alone
from support.runs.ceilings import ceilings
from support.runs.scenarios import scenario_run

from onnxprof.cli import loudness
from onnxprof.cli.lazy import loaded
from onnxprof.cli.main import app
from onnxprof.store.beside import ceilings as stored_ceilings
from onnxprof.store.beside import scenarios as stored_scenarios
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

Call = Callable[..., Done]
NODES = [("conv", "Conv", ("x", "w")), ("act", "Relu", ("conv",))]
#: By command the words that print a result of stored runs, a model, or this installation.
PRINTING = {
    "inspect": "inspect lenet.onnx",
    "optimized": "optimized runs/advised",
    "ceilings": "ceilings --list",
    "scenarios list": "scenarios list",
    "scenarios show": "scenarios show",
    "scenarios matrix": "scenarios matrix",
    "runs list": "runs list",
    "runs show": "runs show --model net --batch 1",
    "runs export": "runs export --model net",
    "runs history": "runs history net",
    "compare": "compare runs later --model net",
    "align": "align --model net --over batch",
    "scaling": "scaling --model net",
    "advise": "advise runs/advised",
    "zoo list": "zoo list",
    "zoo info": "zoo info lenet",
    "completion": "completion bash",
    "schema": "schema",
}
#: Commands that store or write what they make: there `-q` prints no tables of it.
STORING = {"profile", "sweep run", "runs import"}
#: Commands that are not called here, and why.
OTHERS = {
    **dict.fromkeys(("provenance", "scenario", "gate"), "measures for seconds"),
    **dict.fromkeys(("runs tag", "runs untag", "runs prune", "runs remove"), "changes the store"),
    **dict.fromkeys(("runs merge", "runs pack", "runs unpack", "zoo clean"), "changes files"),
    **dict.fromkeys(("site build", "report", "export", "repro", "sweep init"), "writes files"),
    **dict.fromkeys(("zoo materialise", "zoo check", "zoo export"), "makes networks"),
    **dict.fromkeys(("site serve", "worker"), "runs until it is ended"),
    "doctor": "prints figures that change from call to call",
    "phases": "takes runs with phases",
    "sweep status": "takes a sweep",
}


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Iterator[Call]:
    yield lambda *words: called(capsysbinary, *words)
    loudness.before_command(0, 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 2, 8):
        store.save(sample_run("net", batch, seed=batch))
        Store(tmp_path / "later").save(sample_run("net", batch, seed=batch + 9))
    store.save(alone(NODES, (5, 2), model_name="advised"))
    stored_ceilings.save(store.root, ceilings())
    stored_scenarios.save(store.root, scenario_run())
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def every(command: Any, path: str = "") -> Iterator[str]:
    """The commands below a group, by the words that call them."""
    members = loaded(command)
    if not members:
        yield path
    for name, member in members.items():
        yield from every(member, f"{path} {name}".strip())


def test_every_command_has_a_place_in_the_rule() -> None:
    from typer.main import get_command

    assert {*PRINTING, *STORING, *OTHERS} == set(every(get_command(app)))


@pytest.mark.parametrize("words", PRINTING.values())
def test_a_result_is_printed_however_quiet(words: str, folder: Path, call: Call) -> None:
    usual = call(*words.split())
    assert usual.code in (0, 1), usual.err
    assert usual.out
    for quiet in ("-q", "-qq"):
        found = call(*words.split(), quiet)
        assert (found.code, found.out) == (usual.code, usual.out)
    assert found.err == ""
