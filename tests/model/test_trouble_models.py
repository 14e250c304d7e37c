"""Bad files and bad requests: one clear line each, never a traceback."""

from __future__ import annotations

import os
import random
import zipfile

import onnx
import pytest
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.cli.options import parse_batches
from onnxprof.errors import ModelError, OnnxprofError, UsageError
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect


def refused(made_or_path, folder, match):
    path = made_or_path
    if isinstance(made_or_path, onnx.ModelProto):
        path = models.save(made_or_path, folder)
    with pytest.raises(ModelError, match=match) as caught:
        open_model(str(path))
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    assert caught.value.__cause__ is None


def inspect_or_refuse(path):
    """Anything but an error of ours fails the test."""
    told = ""
    try:
        inspect(open_model(str(path)), 3)
    except OnnxprofError as error:
        told = str(error)
    assert "\n" not in told


def test_missing_file_and_folder(tmp_path):
    refused(tmp_path / "none.onnx", tmp_path, "no such file")
    refused(tmp_path, tmp_path, "folder.*Name the model's file")
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    refused(tmp_path, tmp_path, "It has lenet.onnx: name one")
    for name in "abc":
        models.save(models.lenet(), tmp_path, f"{name}.onnx")
    refused(tmp_path, tmp_path, "It has a.onnx, b.onnx, c.onnx …: name one")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"This is a text about models.\n" * 50, "not a readable ONNX model"),
        (b"\x08\x07", "holds no graph"),
        (b"\x08\x07\x3a\x00", "holds no graph"),
        (b"\xff" * 100, "not a readable ONNX model"),
        (b"{}", "not a readable ONNX model"),
    ],
)
def test_what_is_no_model(tmp_path, content, match):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, tmp_path, match)


def test_zip(tmp_path):
    path = tmp_path / "m.onnx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.onnx", b"x")
    refused(path, tmp_path, "zip archive")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path, part):
    path = models.save(models.lenet(), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path, tmp_path, "cut short|damaged|no graph|hold")


@pytest.mark.posix
def test_device_and_pipe(tmp_path):
    refused("/dev/null", tmp_path, "empty|regular")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", tmp_path, "empty|regular")


def test_no_opset_import(tmp_path):
    made = models.linear()
    del made.opset_import[:]
    refused(made, tmp_path, "no opset import")


def test_missing_and_short_external_data(tmp_path):
    path = models.external(models.linear(), tmp_path, size=20)
    refused(path, tmp_path, r"too short: 48 bytes needed, 20 there")
    (tmp_path / "weights.bin").unlink()
    refused(path, tmp_path, "'weights.bin' is missing")


@pytest.mark.parametrize("offset", ["-8", "x", str(1 << 62)])
def test_bad_external_offset(tmp_path, offset):
    models.external(models.linear(), tmp_path)
    made = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    made.graph.initializer[0].external_data[1].value = offset
    refused(made, tmp_path, "offset|too short")


@pytest.mark.posix
def test_external_data_outside_the_folder(tmp_path):
    inner, secret = tmp_path / "inner", tmp_path / "secret.bin"
    inner.mkdir()
    secret.write_bytes(b"\0" * 1000)
    refused(models.external(models.linear(), inner, "../secret.bin"), inner, "outside")
    refused(models.external(models.linear(), inner, str(secret)), inner, "outside")
    (inner / "link.bin").symlink_to(secret)
    made = onnx.load(inner / "model.onnx", load_external_data=False)
    for tensor in made.graph.initializer:
        tensor.external_data[0].value = "link.bin"
    refused(made, inner, "outside")
    (inner / "up").symlink_to(tmp_path)
    for tensor in made.graph.initializer:
        tensor.external_data[0].value = "up/secret.bin"
    refused(made, inner, "outside")


@pytest.mark.parametrize(
    ("dims", "match"),
    [
        ([1 << 60], "claims 1152921504606846976 elements"),
        ([1 << 30, 1 << 30], "claims 1152921504606846976 elements"),
        ([1 << 62, 1 << 62, 1 << 62], "claims"),
        ([-1, 4], "negative dimension"),
        ([5], "hold 16 bytes .* need 20"),
    ],
)
def test_tensor_that_claims_too_much(tmp_path, dims, match):
    made = models.linear(width=4)
    tensor = made.graph.initializer[0]
    tensor.CopyFrom(weight("w", 4))
    del tensor.dims[:]
    tensor.dims.extend(dims)
    refused(made, tmp_path, match)


@pytest.mark.parametrize("field", ["raw_data", "float_data"])
def test_large_tensor_that_is_too_short(tmp_path, field):
    made = models.linear()
    tensor = made.graph.initializer[0]
    if field == "float_data":
        tensor.CopyFrom(onnx.helper.make_tensor("w", models.FLOAT, [3000], [0.0] * 3000))
    else:
        tensor.CopyFrom(weight("w", 3000))
    tensor.dims[0] = 1 << 40
    refused(made, tmp_path, r"hold .* need")


def test_tensor_without_data(tmp_path):
    made = models.linear()
    made.graph.initializer[0].ClearField("raw_data")
    refused(made, tmp_path, "hold 0 elements")


def chain(*edges):
    nodes = [node("Add", list(ins), [out], f"n_{out}") for ins, out in edges]
    return models.model(nodes, [value("x", ["N", 2])], [value(edges[-1][1], ["N", 2])])


def test_cycle_names_its_nodes(tmp_path):
    made = chain(("xx", "a"), ("ac", "b"), ("bx", "c"), ("cx", "d"))
    refused(made, tmp_path, "cycle: n_b -> n_c -> n_b|cycle: n_c -> n_b -> n_c")
    refused(chain(("xa", "a")), tmp_path, "cycle: n_a -> n_a")


def test_tensors_without_a_producer_or_with_two(tmp_path):
    refused(chain(("xq", "a")), tmp_path, "'n_a' reads 'q', which nothing produces")
    made = chain(("xx", "a"), ("xa", "b"), ("xa", "b"))
    refused(made, tmp_path, "'b' is produced twice")
    made = chain(("xx", "a"))
    made.graph.output[0].name = "nowhere"
    refused(made, tmp_path, "nothing produces the output 'nowhere'")


@pytest.mark.parametrize("part", [b"PLACEHOLD_n", b"PLACEHOLD_x", b"PLACEHOLD_w"])
def test_name_that_is_not_utf8(tmp_path, part):
    made = models.model(
        [node("Add", ["PLACEHOLD_x", "PLACEHOLD_w"], ["y"], "PLACEHOLD_n")],
        [value("PLACEHOLD_x", ["N", 2])],
        [value("y", None)],
        [weight("PLACEHOLD_w", 2)],
    )
    path = models.save(made, tmp_path)
    path.write_bytes(path.read_bytes().replace(part, b"\xff\xfe" + part[2:]))
    refused(path, tmp_path, "not UTF-8")


@pytest.mark.parametrize("depth", [5, 25, 60])
def test_deeply_nested_subgraphs(tmp_path, depth):
    try:
        made = models.nested(depth)
        path = models.save(made, tmp_path)
    except Exception:
        pytest.skip("protobuf does not build it this deep")
    inspect_or_refuse(path)


def test_nesting_that_protobuf_cannot_hold(tmp_path):
    """Bytes written by hand: graphs in attributes in nodes, 5,000 levels."""

    def wrap(number: int, body: bytes) -> bytes:
        size, out = len(body), bytearray([number << 3 | 2])
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        return bytes(out) + bytes([size]) + body

    body = b""
    for _ in range(5000):
        body = wrap(1, wrap(5, wrap(6, body)))
    path = tmp_path / "deep.onnx"
    path.write_bytes(b"\x08\x08" + wrap(7, body))
    refused(path, tmp_path, "nested|damaged")


@pytest.mark.parametrize("batch", [0, -1, 10**9])
def test_impossible_batches(tmp_path, batch):
    model = open_model(str(models.save(models.linear(), tmp_path)))
    for verb in (lambda: inspect(model, batch), lambda: prepare(model, batch, {})):
        with pytest.raises(UsageError, match="batch"):
            verb()


def test_batch_whose_input_would_not_fit(tmp_path):
    model = open_model(str(models.save(models.linear(width=1 << 20), tmp_path)))
    with pytest.raises(UsageError, match=r"of shape \[65536, 1048576\] alone .* more than 64 GiB"):
        inspect(model, 65536)


def test_unknown_domain_is_inspected(tmp_path):
    model = open_model(str(models.save(models.custom_domain(), tmp_path)))
    del model.structure.opset_import[1:]
    assert inspect(model, 4).batch == 4


@pytest.mark.parametrize("text", ["", ",", "a", "1,b", "0", "-1", "1.5", "10" * 30, "1;2", "9" * 9])
def test_bad_batch_options(text):
    with pytest.raises(UsageError, match="--batch"):
        parse_batches(text)


def test_batch_options():
    assert parse_batches("1,8") == (1, 8)
    assert parse_batches(" 8, 1 ,8") == (8, 1)


def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path):
    """Single bytes changed all over: whatever comes out is a table or one of our errors."""
    chance = random.Random(7)
    sources = [m.SerializeToString() for m in (models.branching(1), models.lenet(1))]
    path = tmp_path / "m.onnx"
    for round_ in range(400):
        data = bytearray(sources[round_ % 2])
        # weights are most of LeNet's bytes and the least interesting
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(min(len(data), 1500))] = chance.randrange(256)
        path.write_bytes(data)
        inspect_or_refuse(path)
