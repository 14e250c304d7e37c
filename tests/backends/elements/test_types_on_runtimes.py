"""Every element type as an input on every runtime: the right values, or words that name it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend
from onnxprof.records.elements.table import ELEMENTS, Element, Kind

PACKAGES = {"ort": "onnxruntime", "openvino": "openvino", "torch": "torch"}
#: Which types a runtime does not take as an input, and its words about them.
_FEW = r"tensors of {} \(x\), for which onnxruntime has few kernels"
_NO_TYPE = "OpenVINO has no type {}, which tensor 'x' has"
LACKS = {
    "ort": dict.fromkeys(
        ("float4_e2m1fn", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "complex64",
         "complex128"), _FEW),
    "openvino": dict.fromkeys(
        ("float8_e4m3fnuz", "float8_e5m2fnuz", "uint2", "int2", "float6_e2m3fn", "float6_e3m2fn",
         "complex64", "complex128"), _NO_TYPE)
    | {"string": "OpenVINO cannot be fed with strings or asked for them: x"},
    "torch": {"string": "input 'x': torch has no tensors of strings"},
}  # fmt: skip


def taking(element: Element):
    """A model that reads three items of a type, and yields them as float32 where it can."""
    opset = 28 if element.bits == 6 else 25 if element.bits == 2 else 23
    plain = element.kind in (Kind.COMPLEX, Kind.TEXT)
    node = (
        models.node("Identity", ["x"], ["y"], "n")
        if plain
        else models.node("Cast", ["x"], ["y"], "n", to=TensorProto.FLOAT)
    )
    return models.model(
        [node],
        [models.value("x", ["N", 5], element.number)],
        [models.value("y", None, element.number if plain else TensorProto.FLOAT)],
        opset=opset,
        ir_version=14 if opset > 25 else 13 if opset > 23 else 11,
    )


def outputs(name: str, made, folder: Path) -> tuple[dict, dict]:
    """(inputs, outputs of the third inference)."""
    if find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs {PACKAGES[name]}")
    model = open_model(str(models.save(made, folder)))
    table = inspect(model, 3, {})
    arrays = generate(table)
    workload = Workload(prepare(model, 3, {}), table, arrays, 1, "cpu")
    with backend(name).open(workload) as session:
        for _ in range(3):
            session.infer()
        return arrays, dict(session.values())


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("element", ELEMENTS, ids=lambda e: e.name)
def test_a_type_is_fed_or_refused_by_its_name(element, name: str, tmp_path: Path) -> None:
    words = LACKS[name].get(element.name)
    if words is not None:
        with pytest.raises(BackendError, match=words.format(element.name)):
            outputs(name, taking(element), tmp_path)
        return
    arrays, found = outputs(name, taking(element), tmp_path)
    if element.kind in (Kind.COMPLEX, Kind.TEXT):
        np.testing.assert_array_equal(found["y"], arrays["x"])
    else:
        np.testing.assert_array_equal(found["y"], arrays["x"].astype(np.float32))


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize(
    "kind", ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT16", "INT4", "UINT4"]
)
def test_an_output_has_the_type_that_the_model_declares(kind, name, tmp_path: Path) -> None:
    number = TensorProto.DataType.Value(kind)
    made = models.model(
        [models.node("Cast", ["x"], ["y"], "n", to=number)], [models.value("x", ["N", 5])],
        [models.value("y", None, number)], opset=23, ir_version=11,
    )  # fmt: skip
    _, found = outputs(name, made, tmp_path)
    assert found["y"].dtype == helper.tensor_dtype_to_np_dtype(number)
    assert found["y"].shape == (3, 5)


@pytest.mark.parametrize("name", ["ort", "torch"])
@pytest.mark.parametrize("optional", [False, True])
def test_sequences_and_optionals_are_fed(name: str, optional: bool, tmp_path: Path) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    if optional:
        nodes = [models.node("OptionalGetElement", ["x"], ["y"], "get")]
        kind = helper.make_optional_type_proto(tensor)
    else:
        nodes = [models.node("ConcatFromSequence", ["x"], ["y"], "join", axis=0)]
        kind = helper.make_sequence_type_proto(tensor)
    made = models.model(
        nodes, [helper.make_value_info("x", kind)], [models.value("y", None)], opset=18
    )
    arrays, found = outputs(name, made, tmp_path)
    given = arrays["x"] if optional else np.concatenate(arrays["x"].tolist())
    np.testing.assert_array_equal(found["y"], given)


@pytest.mark.parametrize(
    ("op", "attributes", "words"),
    [("ConcatFromSequence", {"axis": 0}, r"no translation of ConcatFromSequence \(layer n\)")],
)
def test_openvino_names_the_layer_that_takes_a_sequence(op, attributes, words, tmp_path) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    made = models.model(
        [models.node(op, ["x"], ["y"], "n", **attributes)],
        [helper.make_value_info("x", helper.make_sequence_type_proto(tensor))],
        [models.value("y", None)],
    )
    with pytest.raises(BackendError, match=words):
        outputs("openvino", made, tmp_path)
