"""The operator table against the ONNX package's node tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.networks import models
from support.places import DATA

from onnxprof.errors import BackendError
from onnxprof.plugins.verbs import SelfTest
from onnxprof.records.layer import PreparedModel

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

from onnxprof.backends.torch import conformance as torch_conformance  # noqa: E402
from onnxprof.backends.torch.program import table  # noqa: E402
from onnxprof.backends.torch.program.loader import load  # noqa: E402

LISTED = DATA / "torch_node_failures.txt"


@cache
def conformance() -> SelfTest:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return torch_conformance.torch_conformance()
    finally:
        torch.set_num_threads(threads)


def listed() -> tuple[set[str], set[str]]:
    """Names that fail, and those of them that may pass on another processor."""
    lines = LISTED.read_text("utf-8").splitlines()
    names = {line for line in lines if line and not line.startswith("#")}
    return {name.lstrip("~") for name in names}, {n[1:] for n in names if n.startswith("~")}


def same_onnx() -> bool:
    """Another version of the package has other tests."""
    return version("onnx").split(".")[:2] == ["1", "23"]


def test_no_node_test_fails_that_is_not_listed() -> None:
    failing, _ = listed()
    if not same_onnx():
        pytest.skip(f"the list is that of onnx 1.23, this is {version('onnx')}")
    unexpected = [v for v in conformance().failures if v.name not in failing]
    assert unexpected == []


def test_what_is_listed_still_fails() -> None:
    failing, unsure = listed()
    if not same_onnx():
        pytest.skip(f"the list is that of onnx 1.23, this is {version('onnx')}")
    assert failing - unsure <= {verdict.name for verdict in conformance().failures}


def test_clearly_more_passes_than_the_yardstick() -> None:
    found = conformance()
    yardstick = torch_conformance.YARDSTICK
    assert found.share > yardstick.passed / yardstick.of + 0.1
    assert str(yardstick) == "588 of 776 pass (75.8 %)"
    assert f"{found.passed} of the {len(found.verdicts)} node tests" in str(found)


def test_a_wrong_answer_is_a_failure() -> None:
    case = next(case for case in torch_conformance.cases() if case.name == "test_add")
    assert torch_conformance.judge(case).failure == ""
    inputs, (expected,) = case.data_sets[0]
    wrong = replace(case, data_sets=[(inputs, (expected + 1,))])
    assert "elements differ" in torch_conformance.judge(wrong).failure


def test_every_operator_of_the_table_is_one_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert set(table.operators()) <= known | {"ScaledTanh"}


def prepared(model: onnx.ModelProto) -> PreparedModel:
    return PreparedModel(model.SerializeToString(), Path())


def test_an_operator_without_a_function_is_named_with_its_layer_when_loading() -> None:
    with pytest.raises(BackendError, match=r"com\.example\.Wobble wobble: .*no function") as caught:
        load(prepared(models.custom_domain()), fold=True)
    assert "domain com.example" in str(caught.value)
    assert "ort" in caught.value.remedy


def one(op_type: str, opset: int = 21, **attributes: object) -> PreparedModel:
    made = models.model(
        [models.node(op_type, ["x"], ["y"], "it", **attributes)],
        [models.value("x", [1, 4])],
        [models.value("y", None)],
        opset=opset,
    )
    return prepared(made)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (one("Relu", swiftness=3), "Relu it: its attribute 'swiftness' is not supported"),
        (one("Concat", wrong=1), "Concat it: its attribute 'wrong'"),
        (one("Cast"), "Cast it: its attribute 'to' is missing"),
        (one("Cast", to=8), "Cast it: torch has no tensors of string"),
        (one("LSTM", activations=["Nonsense"] * 3), "its activation 'Nonsense'"),
        (one("StringNormalizer"), "StringNormalizer it: the torch backend has no function"),
    ],
    ids=str,
)
def test_what_torch_cannot_run_is_said_when_loading(model: PreparedModel, reason: str) -> None:
    with pytest.raises(BackendError) as caught:
        load(model, fold=True)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_that_calls_itself_is_refused() -> None:
    body = [helper.make_node("Endless", ["a"], ["b"], domain="local")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    endless = helper.make_function("local", "Endless", ["a"], ["b"], body, opsets)
    made = models.model(
        [models.node("Endless", ["x"], ["y"], "it", domain="local")],
        [models.value("x", [1, 4])],
        [models.value("y", None)],
        domains=["local"],
        functions=[endless],
    )
    with pytest.raises(BackendError, match="nested more than"):
        load(prepared(made), fold=True)


def test_an_operator_without_a_function_inside_a_branch_is_found_when_loading() -> None:
    def branch(op_type: str, domain: str) -> onnx.GraphProto:
        node = models.node(op_type, ["x"], [op_type], f"in_{op_type}", domain=domain)
        return helper.make_graph([node], op_type, [], [models.value(op_type, None)])

    made = models.model(
        [
            models.node("If", ["go"], ["y"], "choose", then_branch=branch("Relu", ""),
                        else_branch=branch("Wobble", "com.example")),
        ],
        [models.value("x", [1, 4]), models.value("go", [], models.BOOL)],
        [models.value("y", None)],
        domains=["com.example"],
    )  # fmt: skip
    with pytest.raises(BackendError, match="in_Wobble"):
        load(prepared(made), fold=True)


def test_resizing_by_torchs_kernel_is_what_the_formula_says() -> None:
    from onnxprof.backends.torch.ops import resize

    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 7, 9)).astype(np.float32))
    for mode in ("half_pixel", "align_corners", "pytorch_half_pixel"):
        axes = {n: resize._Axis(x.shape[n], out, out / x.shape[n], "linear", mode)
                for n, out in ((2, 14), (3, 5))}  # fmt: skip
        fast = resize._fast(x, axes)
        assert fast is not None
        assert torch.allclose(fast, resize._by_axes(x, axes), atol=1e-5)
