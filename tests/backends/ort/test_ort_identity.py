"""A step is what it does: nothing depends on names that onnxruntime makes up, nor on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import fusions, models
from support.places import TESTS
from support.runs import instruction_sets
from support.runs.ort_runs import workload

from onnxprof.backends.ort.graphs import saved
from onnxprof.backends.ort.graphs.graphs import ExecutedNode, TiedNodes, tie
from onnxprof.backends.ort.graphs.walk import INSERTED, SUFFIXES
from onnxprof.backends.ort.timed import title
from onnxprof.model.graph.read import read_prepared
from onnxprof.provenance.onnx_graph import graph_attributes
from onnxprof.records.step import Confidence

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

Case = tuple[onnx.ModelProto, onnx.ModelProto, onnx.ModelProto]
SAVED = [(name, cpu) for name in instruction_sets.GRAPHS for cpu in instruction_sets.CPUS]
LIVE: tuple[Callable[[], onnx.ModelProto], ...] = (
    fusions.transformer,
    fusions.functions,
    fusions.dynamically_quantised,
    fusions.merged_duplicates,
    fusions.linear_twice,
    models.recurrent,
    models.looped,
)


@cache
def case(name: str, cpu: str) -> Case:
    """The original with names for its nodes, the extended level and what runs."""
    original = instruction_sets.GRAPHS[name]()
    for i, node in enumerate(original.graph.node):
        node.name = node.name or f"node{i}"
    return original, *(instruction_sets.saved(name, cpu, level) for level in ("extended", "all"))


@cache
def live(build: Callable[[], onnx.ModelProto], folder: Path) -> Case:
    """What this machine's runtime makes of a graph."""
    job = workload(models.save(build(), folder, f"{build.__name__}.onnx"))
    path = folder / f"{build.__name__}.executed.onnx"
    saved.saving(job, path, lambda _: None)
    witness = saved.at_level(job, path, "ORT_ENABLE_EXTENDED")
    return read_prepared(job.model), witness, saved.structure(path)


def identities(ties: TiedNodes, original: onnx.ModelProto) -> Counter[str]:
    """What each step does, and what works for it."""
    operators = {node.name: node.op_type for node in original.graph.node}

    def told(node: ExecutedNode) -> str:
        return f"{title(node, operators)} | {node.op_type} | {node.layers} | {node.confidence}"

    def whole(node: ExecutedNode) -> str:
        head = f" for {told(ties.nodes[node.head])}" if node.head >= 0 else ""
        return (told(node) if node.layers or not head else node.op_type) + head

    return Counter(map(whole, ties.nodes))


class Renamer:
    """Other names in place of those that the runtime made up, and the nodes in another order."""

    def __init__(self, seed: int, original: onnx.ModelProto) -> None:
        self._random = Random(seed)
        self._kept = {""}
        self._keep(original.graph)
        self._new: dict[str, str] = {}

    def _keep(self, graph: onnx.GraphProto) -> None:
        self._kept |= {t.name for t in (*graph.input, *graph.output, *graph.initializer)}
        for node in graph.node:
            self._kept |= {node.name, *node.input, *node.output}
            for attribute in graph_attributes(node):
                self._keep(attribute.g)

    def __call__(self, model: onnx.ModelProto) -> onnx.ModelProto:
        made = onnx.ModelProto()
        made.CopyFrom(model)
        self._graph(made.graph)
        return made

    def _graph(self, graph: onnx.GraphProto) -> None:
        for node in graph.node:
            node.input[:] = map(self._name, node.input)
            node.output[:] = map(self._name, node.output)
            if not node.name.endswith(SUFFIXES):  # these say which tensor they yield
                node.name = self._name(node.name)
            for attribute in graph_attributes(node):
                self._graph(attribute.g)
        for tensor in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
            tensor.name = self._name(tensor.name)
        self._shuffle(graph)

    def _name(self, name: str) -> str:
        if name in self._kept:
            return name
        return self._new.setdefault(name, f"{self._random.choice('abc')}{self._random.random()}")

    def _shuffle(self, graph: onnx.GraphProto) -> None:
        """Any order in which every node comes after those that it reads."""
        left, ordered = list(graph.node), []
        waiting = {name for node in left for name in node.output if name}
        while left:
            ready = [node for node in left if waiting.isdisjoint(_reads(node))]
            node = self._random.choice(ready)
            left.remove(node)
            waiting -= set(node.output)
            ordered.append(node)
        del graph.node[:]
        graph.node.extend(ordered)


def _reads(node: onnx.NodeProto) -> set[str]:
    inner = (_reads(n) for a in graph_attributes(node) for n in a.g.node)
    return {*node.input}.union(*inner)


def check_renamed(graphs: Case, seed: int) -> None:
    original, witness, executed = graphs
    renamed = Renamer(seed, original)
    found = tie(original, renamed(witness), renamed(executed))
    expected = tie(original, witness, executed)
    assert identities(found, original) == identities(expected, original)
    assert set(found.folded) == set(expected.folded)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(SAVED), st.integers(0, 10**6))
def test_renaming_and_reordering_changes_nothing(which: tuple[str, str], seed: int) -> None:
    check_renamed(case(*which), seed)


@pytest.mark.parametrize("build", LIVE, ids=lambda build: build.__name__)
def test_renaming_changes_nothing_in_what_runs_here(build, tmp_path_factory) -> None:
    graphs = live(build, tmp_path_factory.mktemp("live"))
    for seed in range(3):
        check_renamed(graphs, seed)


@pytest.mark.parametrize(("name", "cpu"), SAVED)
def test_every_layer_has_one_step_on_every_cpu(name: str, cpu: str) -> None:
    original, witness, executed = case(name, cpu)
    ties = tie(original, witness, executed)
    claims = Counter(layer for node in ties.nodes for layer in node.layers)
    assert {node.name for node in original.graph.node} <= claims.keys() | set(ties.folded)
    assert set(claims.values()) == {1}
    assert {node.confidence for node in ties.nodes if node.layers} == {"exact"}
    strays = {node.op_type for node in ties.nodes if not node.layers and node.head < 0}
    assert strays <= INSERTED | {"Cast", "Transpose"}


@pytest.mark.parametrize("name", ["blocks", "half", "int8", "lenet"])
def test_steps_are_the_same_with_other_instruction_sets(name: str) -> None:
    """What differs is where the runtime reorders, which is no step of a layer."""
    covered = []
    for cpu in instruction_sets.CPUS:
        ties = tie(*case(name, cpu))
        covered.append({node.layers for node in ties.nodes if node.layers})
    assert covered[0] == covered[1]


def test_inserted_steps_are_called_after_what_they_pass_on() -> None:
    ties = tie(*case("blocks", "avx512"))
    told = [title(node, {}) for node in ties.nodes if not node.layers]
    assert "ReorderOutput of r1" in told
    assert not any("token" in text for text in told)


_CHILD = """
import json, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import test_ort_identity as identity
graphs = identity.live(lambda: identity.onnx.load({model!r}), Path({folder!r}))
print(json.dumps(sorted(identity.identities(identity.tie(*graphs), graphs[0]).items())))
"""


@pytest.mark.parametrize("name", ["shufflenet", "inception_v1"])
def test_fresh_processes_agree(name: str, tmp_path: Path) -> None:
    """The runtime draws its names anew in each process."""
    model = str(instruction_sets.LIGHT / f"light_{name}.onnx")
    told = set()
    for i in range(3):
        folder = tmp_path / str(i)
        folder.mkdir()
        code = _CHILD.format(
            paths=[str(TESTS), str(Path(__file__).parent)], model=model, folder=str(folder)
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1
    assert len(json.loads(told.pop())) > 50


def test_where_the_executed_graph_settles_the_ties_a_witness_changes_none() -> None:
    settled = 0
    for name, cpu in SAVED:
        original, extended, executed = case(name, cpu)
        alone = tie(original, executed, executed)
        if not alone.settles(node.name for node in original.graph.node):
            continue
        settled += 1
        both = tie(original, extended, executed)
        assert [node.layers for node in alone.nodes] == [node.layers for node in both.nodes]
        assert {node.confidence for node in both.nodes if node.layers} == {Confidence.EXACT}
        assert alone.folded == both.folded
    assert 0 < settled < len(SAVED)


def test_a_witness_leaves_its_structure_alone(tmp_path: Path) -> None:
    job = workload(models.save(models.lenet(), tmp_path, "lenet.onnx"))
    before = set(tmp_path.rglob("*"))
    witness = saved.at_level(job, tmp_path / "executed.onnx", "ORT_ENABLE_EXTENDED")
    assert witness.graph.node
    assert [path.name for path in set(tmp_path.rglob("*")) - before] == ["witness.onnx"]
    weights = sum(len(tensor.external_data) > 0 for tensor in witness.graph.initializer)
    assert weights == 2, "those of at least a kilobyte, which are gone"
