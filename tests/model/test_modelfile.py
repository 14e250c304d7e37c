from __future__ import annotations

import hashlib
import resource

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.errors import ModelError
from onnxprof.model import file as modelfile
from onnxprof.model.file import open_model, prepare
from onnxprof.model.graph.walk import walk
from onnxprof.model.layers import inspect


def test_large_weights_are_not_read(tmp_path):
    made = models.model(
        [node("MatMul", ["x", "w"], ["y"], "mm")],
        [value("x", ["N", 512])],
        [value("y", None)],
        [weight("w", 512, 512)],
    )
    model = open_model(str(models.save(made, tmp_path)))
    stub = model.structure.graph.initializer[0]
    assert (stub.name, list(stub.dims), stub.data_type) == ("w", [512, 512], models.FLOAT)
    assert model.structure.ByteSize() < 1000
    assert inspect(model, 3).nodes[0].outputs[0].shape == (3, 512)
    assert model.facts().parameters == 512 * 512


def test_weights_in_typed_fields_and_constant_nodes_are_not_read(tmp_path):
    tensor = onnx.helper.make_tensor("", models.FLOAT, [4, 1000], [0.5] * 4000)
    made = models.model(
        [
            node("Constant", [], ["c"], "const", value=tensor),
            node("MatMul", ["x", "c"], ["y"], "mm"),
        ],
        [value("x", ["N", 4])],
        [value("y", None)],
    )
    model = open_model(str(models.save(made, tmp_path)))
    assert model.structure.ByteSize() < 1000
    assert inspect(model, 2).nodes[1].outputs[0].shape == (2, 1000)


def test_rewritten_model_has_its_weights_again(tmp_path):
    made = models.model(
        [node("Gemm", ["x", "w"], ["h"]), node("Reshape", ["h", "s"], ["y"])],
        [value("x", [1, 64])],
        [value("y", [1, 64])],
        [weight("w", 64, 64), models.ints("s", 1, 64)],
    )
    source = prepare(open_model(str(models.save(made, tmp_path))), 4, {}).source
    assert isinstance(source, bytes)
    again = onnx.load_from_string(source)
    assert again.graph.initializer[0].raw_data == made.graph.initializer[0].raw_data
    assert [n.name for n in again.graph.node] == ["h", "y"]


def test_digest_covers_the_file_and_its_external_data(tmp_path):
    path = models.external(models.linear(), tmp_path)
    facts = open_model(str(path)).facts()
    both = path.read_bytes() + (tmp_path / "weights.bin").read_bytes()
    assert facts.sha256 == hashlib.sha256(both).hexdigest()
    assert facts.file_bytes == len(both)
    assert (facts.name, facts.parameters, facts.opsets) == ("model", 15, (("", 17),))
    (tmp_path / "weights.bin").write_bytes(b"\1" * (len(both) - path.stat().st_size))
    assert open_model(str(path)).facts().sha256 != facts.sha256


def test_external_data_stay_external(tmp_path):
    path = models.external(models.linear(1), tmp_path)
    ready = prepare(open_model(str(path)), 4, {})
    assert isinstance(ready.source, bytes)
    assert ready.folder == tmp_path
    assert onnx.load_from_string(ready.source).graph.initializer[0].external_data


def test_external_data_are_not_touched_by_inspection(tmp_path):
    """40 GB of sparse external data: reading any part of it would show."""
    width = 100_000
    tensor = onnx.TensorProto(name="w", data_type=models.FLOAT, dims=[width, width])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    made = models.model(
        [node("MatMul", ["x", "w"], ["y"], "mm")], [value("x", ["N", width])],
        [value("y", None)], [tensor],
    )  # fmt: skip
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(width * width * 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = inspect(open_model(str(models.save(made, tmp_path))), 2)
    assert table.nodes[0].outputs[0].shape == (2, width)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.posix
def test_download_cache_of_links_works(tmp_path):
    """Model and data are links to blobs in one folder, as the Hugging Face cache has them."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    models.external(models.linear(), blobs)
    for name in ("model.onnx", "weights.bin"):
        (snapshot / name).symlink_to(blobs / name)
    assert open_model(str(snapshot / "model.onnx")).facts().parameters == 15


def named(*names: str):
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"], name) for i, name in enumerate(names)]
    return models.model(nodes, [value("t0", ["N", 2])], [value(f"t{len(names)}", ["N", 2])])


def test_names_are_made_unique(tmp_path):
    model = open_model(str(models.save(named("a", "", "a", "t2", "a"), tmp_path)))
    names = [n.name for n in model.structure.graph.node]
    assert names == ["a", "t2#2", "a#2", "t2", "a#3"]
    given = {layer.name: layer.given_name for layer in inspect(model, 1).nodes}
    assert given == {"a": "a", "t2#2": "", "a#2": "a", "t2": "t2", "a#3": "a"}
    assert isinstance(prepare(model, 1, {}).source, bytes)


@given(st.lists(st.sampled_from(["", "a", "a#2", "t1", "t2", "b"]), min_size=1, max_size=12))
def test_names_are_always_unique(tmp_path_factory, names):
    made = named(*names)
    path = models.save(made, tmp_path_factory.mktemp("m"))
    found = [n.name for n in walk(open_model(str(path)).structure.graph)]
    assert len(set(found)) == len(found)
    assert "" not in found
    for name in set(names) - {""}:
        assert found[names.index(name)] == name


def test_main_graph_names_win_over_subgraphs(tmp_path):
    made = models.branching()
    made.graph.node.append(node("Relu", ["y"], ["z"], "branch_mul"))
    made.graph.output[0].name = "z"
    structure = open_model(str(models.save(made, tmp_path))).structure
    assert structure.graph.node[-1].name == "branch_mul"
    names = [n.name for n in walk(structure.graph)]
    assert len(set(names)) == len(names)


def test_unsorted_nodes_are_sorted(tmp_path):
    made = named("a", "b", "c")
    made.graph.node.reverse()
    model = open_model(str(models.save(made, tmp_path)))
    assert [n.name for n in model.structure.graph.node] == ["a", "b", "c"]
    assert isinstance(prepare(model, 1, {}).source, bytes)


def test_a_file_named_like_a_scheme_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models.save(models.linear(), tmp_path, "hub:x.onnx")
    assert open_model("hub:x.onnx").name == "hub:x"


def test_more_than_two_gigabytes_cannot_be_rewritten(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "_MAX_SERIALISED", 100)
    model = open_model(str(models.save(models.linear(1), tmp_path)))
    assert prepare(model, 1, {}).source == model.path
    with pytest.raises(ModelError, match="2 GB"):
        prepare(model, 2, {})
