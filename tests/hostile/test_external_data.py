"""No data are read outside of a model's folder, wherever the message holds the tensor."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx.defs import onnx_opset_version
from support.networks import models

from onnxprof.errors import ModelError
from onnxprof.model.file import open_model, prepare
from onnxprof.model.graph.data_files import DataFolder, stored_tensors
from onnxprof.model.graph.skim import _CHILDREN

assert onnx_opset_version() >= 17


def outside(location: str, **entries: str) -> TensorProto:
    tensor = TensorProto(name="k", data_type=TensorProto.UINT8, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, "offset": "0", "length": "4", **entries}.items():
        tensor.external_data.add(key=key, value=text)
    return tensor


def indices() -> TensorProto:
    return onnx.numpy_helper.from_array(np.array([0, 1, 2, 3], np.int64), "i")


def in_initializer(made: ModelProto, tensor: TensorProto) -> None:
    made.graph.initializer.append(tensor)


def in_attribute(made: ModelProto, tensor: TensorProto) -> None:
    made.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def in_tensors(made: ModelProto, tensor: TensorProto) -> None:
    made.graph.node[0].attribute.add(name="many", type=AttributeProto.TENSORS).tensors.append(
        tensor
    )


def in_sparse_initializer(made: ModelProto, tensor: TensorProto) -> None:
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices(), [9]))


def in_sparse_indices(made: ModelProto, tensor: TensorProto) -> None:
    sparse = made.graph.sparse_initializer.add()
    sparse.values.CopyFrom(indices())
    sparse.indices.CopyFrom(tensor)
    sparse.dims.append(9)


def in_sparse_attribute(made: ModelProto, tensor: TensorProto) -> None:
    sparse = helper.make_sparse_tensor(tensor, indices(), [9])
    made.graph.node.append(helper.make_node("Constant", [], ["k"], sparse_value=sparse))


def in_function(made: ModelProto, tensor: TensorProto) -> None:
    body = [helper.make_node("Constant", [], ["k"], value=tensor)]
    imports = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("my", "F", ["a"], ["k"], body, imports))


def in_default_of_a_function(made: ModelProto, tensor: TensorProto) -> None:
    in_function(made, indices())
    made.functions[0].attribute_proto.append(helper.make_attribute("value", tensor))


def in_subgraph_of_a_function(made: ModelProto, tensor: TensorProto) -> None:
    in_function(made, indices())
    branch = helper.make_graph([], "branch", [], [models.value("k", [4])], [tensor])
    inner = helper.make_node("If", ["a"], ["b"], then_branch=branch, else_branch=branch)
    made.functions[0].node.append(inner)


def in_training(made: ModelProto, tensor: TensorProto) -> None:
    made.training_info.add().algorithm.initializer.append(tensor)


PLACES: list[Callable[[ModelProto, TensorProto], None]] = [
    *(in_initializer, in_attribute, in_tensors, in_sparse_initializer, in_sparse_indices),
    *(in_sparse_attribute, in_function, in_default_of_a_function, in_subgraph_of_a_function),
    in_training,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.bin").write_bytes(b"\x02\x03\x05\x07")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "data.bin").write_bytes(bytes(8))
    return inner


def refused(tensor: TensorProto, folder: Path, match: str) -> None:
    made = models.linear()
    in_function(made, tensor)
    path = models.save(made, folder)
    with pytest.raises(ModelError, match=match) as caught:
        open_model(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("put", PLACES)
@pytest.mark.parametrize("absolute", [False, True])
def test_every_place_of_a_tensor_is_looked_at(
    put: Callable[[ModelProto, TensorProto], None], absolute: bool, folder: Path
) -> None:
    made = models.linear()
    put(made, outside(str(folder.parent / "secret.bin") if absolute else "../secret.bin"))
    path = models.save(made, folder)
    with pytest.raises(ModelError, match="outside the model's folder"):
        open_model(str(path))


@pytest.mark.parametrize("put", PLACES)
def test_walk_meets_the_tensor_once(put: Callable[[ModelProto, TensorProto], None]) -> None:
    made = models.linear()
    before = len(list(stored_tensors(made)))
    put(made, outside("data.bin"))
    met = [tensor for tensor in stored_tensors(made) if tensor.name == "k"]
    expected = 2 if put is in_subgraph_of_a_function else 1
    assert len(met) == expected
    assert len(list(stored_tensors(made))) > before


def test_reader_of_structure_knows_every_message_that_holds_tensors() -> None:
    """The numbers in `protobound` against the schema itself: a new field must be added there."""
    kinds = {
        "model": onnx.ModelProto, "training": onnx.TrainingInfoProto, "graph": onnx.GraphProto,
        "function": onnx.FunctionProto, "node": onnx.NodeProto, "attribute": AttributeProto,
        "sparse": onnx.SparseTensorProto, "tensor": TensorProto,
    }  # fmt: skip
    names = {kind.DESCRIPTOR.name: name for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if name != "tensor":
            held = {f.number: f.message_type.name for f in kind.DESCRIPTOR.fields if f.message_type}
            expected = {number: names[held[number]] for number in held if held[number] in names}
            assert _CHILDREN[name] == expected, name


@pytest.mark.parametrize("location", ["a/../../secret.bin", "./../secret.bin", "..\\secret.bin"])
def test_no_step_upwards(location: str, folder: Path) -> None:
    (folder / "a").mkdir()
    refused(outside(location), folder, "outside")


@pytest.mark.parametrize("location", ["", "a\0b", "a\nb", "\x1b[31mred"])
def test_no_name(location: str, folder: Path) -> None:
    refused(outside(location), folder, "names no file")


def test_no_address_in_memory(folder: Path) -> None:
    refused(outside("*/_ORT_MEM_ADDR_/*"), folder, "address in memory")


@pytest.mark.skipif(os.name == "nt", reason="no links, no pipes")
def test_links_and_special_files(folder: Path) -> None:
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    refused(outside("link.bin"), folder, "outside")
    (folder / "up").symlink_to(folder.parent)
    refused(outside("up/secret.bin"), folder, "outside")
    (folder / "one").symlink_to(folder / "two")
    (folder / "two").symlink_to(folder / "one")
    refused(outside("one"), folder, "one")
    (folder / "far").symlink_to("/dev/zero")
    refused(outside("far"), folder, "outside")
    os.mkfifo(folder / "pipe")
    refused(outside("pipe"), folder, "no regular file")
    (folder / "there").mkdir()
    refused(outside("there"), folder, "no regular file")
    (folder / "alias.bin").symlink_to(folder / "data.bin")
    assert DataFolder(folder).place(outside("alias.bin")).length == 4


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"offset": "5"}, "too short"),
        ({"length": "9"}, "too short"),
        ({"length": "3"}, "too short"),
        ({"offset": "-1"}, "no whole number"),
        ({"offset": "1_0"}, "no whole number"),
        ({"offset": " 1"}, "no whole number"),
        ({"offset": "٣"}, "no whole number"),
        ({"length": "0x4"}, "no whole number"),
        ({"length": "9" * 5000}, "beyond any file"),
        ({"offset": str(2**63 - 2)}, "too short"),
    ],
)
def test_bounds_are_numbers_and_within_the_file(
    entries: dict[str, str], match: str, folder: Path
) -> None:
    refused(outside("data.bin", **entries), folder, match)


@pytest.mark.parametrize("key", ["location", "offset", "length"])
def test_no_entry_twice(key: str, folder: Path) -> None:
    tensor = outside("data.bin")
    tensor.external_data.add(key=key, value="../secret.bin")
    refused(tensor, folder, f"{key} of its external data twice")


def test_good_data_in_a_function_are_read_and_counted_in_the_digest(folder: Path) -> None:
    made = models.linear()
    in_function(made, outside("data.bin"))
    path = models.save(made, folder)
    before = open_model(str(path)).facts()
    (folder / "data.bin").write_bytes(b"12345678")
    after = open_model(str(path)).facts()
    assert before.sha256 != after.sha256
    assert before.file_bytes == path.stat().st_size + 8
    assert DataFolder(folder).read(outside("data.bin", offset="3"), 4) == b"4567"


def test_a_file_cannot_claim_that_its_data_were_left_out(folder: Path) -> None:
    made = models.linear()
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].doc_string = "data left out by onnxprof"
    with pytest.raises(ModelError, match="the data hold 0 elements"):
        open_model(str(models.save(made, folder)))


def leak(location: str) -> ModelProto:
    """A function's Constant whose bytes become the shape of the output."""
    body = [
        helper.make_node("Constant", [], ["k"], value=outside(location)),
        helper.make_node("Cast", ["k"], ["s"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["s"], ["z"]),
        helper.make_node("ReduceSum", ["a"], ["r"], keepdims=0),
        helper.make_node("Add", ["z", "r"], ["b"]),
    ]
    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function("my", "Leak", ["a"], ["b"], body, imports)
    nodes = [
        helper.make_node("Leak", ["x"], ["y"], domain="my", name="leak"),
        helper.make_node("Relu", ["y"], ["o"], name="relu"),
    ]
    ends = [models.value("x", ["N", 4])], [models.value("o", None)]
    return models.model(nodes, *ends, domains=["my"], functions=[function])


@pytest.mark.posix
def test_torch_refuses_even_a_file_that_changed_behind_our_back(folder: Path) -> None:
    pytest.importorskip("torch")
    from onnxprof.backends.torch.program.loader import load

    path = models.save(leak("data.bin"), folder)
    ready = prepare(open_model(str(path)), 1, {})
    (folder / "data.bin").unlink()
    (folder / "data.bin").symlink_to(folder.parent / "secret.bin")
    with pytest.raises(ModelError, match="outside"):
        load(ready, fold=True)
