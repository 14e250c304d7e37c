"""A graph's nodes are read once, and nodes that are alike are judged once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from support.networks import models
from support.networks.models import node, value

from onnxprof.model import collector
from onnxprof.model.file import open_model
from onnxprof.model.graph import outline
from onnxprof.model.layers import inspect
from onnxprof.model.rebatch import mixing, obstacles

NODES = 60


def saved(folder: Path) -> Path:
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"], f"n{i}") for i in range(NODES)]
    model = models.model(nodes, [value("t0", ["N", 8])], [value(f"t{NODES}", ["N", 8])])
    path = folder / "chain.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_nodes_are_read_once_for_every_batch(tmp_path: Path, monkeypatch) -> None:
    read = []
    step = outline._step
    monkeypatch.setattr(outline, "_step", lambda node: read.append(node.name) or step(node))
    model = open_model(str(saved(tmp_path)))
    tables = [inspect(model, batch) for batch in (1, 4, 8)]
    assert [table.nodes[-1].outputs[0].shape for table in tables] == [(1, 8), (4, 8), (8, 8)]
    assert read == [f"n{i}" for i in range(NODES)]


def test_nodes_that_are_alike_are_judged_once(tmp_path: Path, monkeypatch) -> None:
    judged = []
    reason = mixing.Mixing.reason
    monkeypatch.setattr(
        obstacles.Mixing,
        "reason",
        lambda self, node, scope: judged.append(node.name) or reason(self, node, scope),
    )
    inspect(open_model(str(saved(tmp_path))), 8)
    assert judged == ["n0"]


def test_the_one_that_differs_is_named(tmp_path: Path) -> None:
    """Alike in form, the second Softmax works over another axis of other operands."""
    nodes = [
        node("Softmax", ["x"], ["a"], "over_channels", axis=1),
        node("Transpose", ["a"], ["b"], "swap", perm=[1, 0]),
        node("Softmax", ["b"], ["y"], "over_items", axis=1),
    ]
    model = models.model(nodes, [value("x", [2, 8])], [value("y", None)])
    path = tmp_path / "mixes.onnx"
    path.write_bytes(model.SerializeToString())
    table = inspect(open_model(str(path)), 8)
    assert table.batch == 2
    assert "over_items" in table.obstacle


def test_two_branches_keep_their_own_inputs_and_outputs() -> None:
    graph = models.branching().graph
    read = outline.outline(graph)
    inner = [body for _, _, body in read.inner()]
    assert [each.graph.name for each in inner] == [
        held.g.name for n in graph.node for held in n.attribute if held.HasField("g")
    ]
    copied = type(graph)()
    copied.CopyFrom(graph)
    moved = read.onto(copied)
    assert [s.outputs for s in moved.walk()] == [s.outputs for s in read.walk()]
    assert all(a.graph is not b.graph for a, b in zip(moved.all(), read.all(), strict=True))


def test_a_pickled_model_leaves_its_outline_behind(tmp_path: Path) -> None:
    model = open_model(str(saved(tmp_path)))
    again = pickle.loads(pickle.dumps(model))
    assert len(pickle.dumps(model)) < 2 * model.structure.ByteSize() + 10_000
    assert inspect(again, 8) == inspect(model, 8)


@pytest.mark.parametrize(("before", "within"), [(700, collector._YOUNG), (0, 0)])
def test_the_collector_is_as_before_afterwards(before: int, within: int, monkeypatch) -> None:
    seen = [(before, 10, 10)]
    monkeypatch.setattr(collector.gc, "get_threshold", lambda: seen[-1])
    monkeypatch.setattr(collector.gc, "set_threshold", lambda *given: seen.append(given))
    with collector.unhurried():
        assert seen[-1][0] == within
    assert seen[-1] == (before, 10, 10)
