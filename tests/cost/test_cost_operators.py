"""Every operator that ONNX and onnxruntime define is modelled or named as not modelled."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from support.networks.written_layers import KINDS, cost_of, layer

from onnxprof.cost.count import costs
from onnxprof.cost.operators.move import MOVERS
from onnxprof.cost.table import NOT_MODELLED, OPERATORS, formula_of
from onnxprof.model.file import ModelFile
from onnxprof.model.graph.parameters import parameters
from onnxprof.model.graph.walk import normalise
from onnxprof.model.layers import inspect
from onnxprof.records.cost import LayerCost
from onnxprof.records.layer import Layer

#: Operators whose output has no size before they run, and so no cost.
DATA_DECIDE = {
    "StringSplit", "StringNormalizer", "ImageDecoder", "TfIdfVectorizer", "SequenceMap",
    # shapes and lengths that these tests give as inputs of floating point, or not at all
    "Bernoulli",
}  # fmt: skip
#: Tests in which an operator that computes has nothing to do.
NOTHING_TO_DO = {
    "Clip": "no limit",
    "Max": "one input",
    "Min": "one input",
    "Sum": "one input",
    "Einsum": "a transposition or a diagonal",
    "MaxPool": "a window of one element",
    "ArrayFeatureExtractor": "only picks",
    "Exp": "no element",
    "SequenceMap": "its layers are rows of their own",
}


def standard() -> Iterator[tuple[str, str]]:
    for schema in onnx.defs.get_all_schemas():
        yield schema.domain, schema.name


@pytest.mark.parametrize("domain", sorted({domain for domain, _ in standard()}))
def test_every_operator_of_the_installed_onnx_has_a_formula_or_a_reason(domain):
    names = [name for known, name in standard() if known == domain]
    without = [n for n in names if formula_of(n, domain) is None and n not in NOT_MODELLED]
    assert without == []


def test_every_operator_of_the_installed_onnxruntime_has_a_formula_or_a_reason():
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    theirs = {
        (schema.domain, schema.name)
        for schema in state.get_all_operator_schema()
        if schema.domain in ("com.microsoft", "com.ms.internal.nhwc", "com.microsoft.nchwc")
    }
    without = {n for d, n in theirs if formula_of(n, d) is None and n not in NOT_MODELLED}
    # a later onnxruntime may have more: a cost names them as unknown by itself
    if tuple(map(int, version("onnxruntime").split(".")[:2])) <= (1, 32):
        assert without == set()
    assert {n for d, n in theirs if formula_of(n, d) is not None} >= {"FusedConv", "QMoE"}


def test_no_operator_is_both_modelled_and_not():
    for domain, table in OPERATORS.items():
        if domain in ("", "ai.onnx.ml", "com.microsoft"):
            assert not set(table) & set(NOT_MODELLED), domain


@pytest.mark.parametrize("name", sorted(NOT_MODELLED))
def test_an_operator_without_a_model_says_so_and_has_no_zero(name):
    for domain in ("", "com.microsoft", "ai.onnx.ml"):
        if formula_of(name, domain) is None:
            cost = cost_of(layer(name, [(4,)], [(4,)], domain))
            assert cost.operations is None
            assert NOT_MODELLED[name] in cost.unknown


@pytest.mark.parametrize("name", sorted({n for table in OPERATORS.values() for n in table}))
def test_no_formula_fails_on_operands_that_it_does_not_expect(name):
    """A stored or hostile table may hold anything; a formula answers or says that it cannot."""
    shapes: list[Any] = [(), (0,), (3,), (2, 3), (2, 3, 4), (1, 2, 3, 4), (None, 3), "string 2"]
    odd = {"axis": "x", "kernel_shape": "[…]", "equation": "->", "num_heads": 0, "mode": "?"}
    for domain, table in OPERATORS.items():
        if name not in table:
            continue
        for shape in shapes:
            for count in (0, 1, 3, 9):
                for attributes in ({}, odd, {"axis": 99, "num_heads": 7, "K": 4, "N": 4}):
                    cost = cost_of(layer(name, [shape] * count, [shape], domain, **attributes))
                    assert cost.operations is not None or cost.unknown
                    work = cost.operations
                    assert work is None or min(getattr(work, kind) for kind in KINDS) >= 0


# --- the node tests of ONNX -----------------------------------------------------------------


def cases() -> list[Any]:
    """Node tests, one for each operator, number of inputs and set of attributes."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow and divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        every = collect_testcases(None)
    kept: dict[tuple[Any, ...], Any] = {}
    for case in every:
        node = case.model.graph.node[0]
        inputs = tuple(bool(name) for name in node.input)
        kept.setdefault((node.op_type, inputs, tuple(a.name for a in node.attribute)), case)
    return list(kept.values())


def sized(case: Any) -> ModelFile:
    """The test's model with the integers that it is given as constants: shapes, axes, counts."""
    made = ModelProto()
    made.CopyFrom(case.model)
    given = case.data_sets[0][0] if case.data_sets else []
    for declared, array in zip(case.model.graph.input, given, strict=False):
        if isinstance(array, np.ndarray) and array.dtype == np.int64 and array.ndim < 2:
            made.graph.initializer.append(numpy_helper.from_array(array, declared.name))
    for declared in list(made.graph.input):
        if any(stored.name == declared.name for stored in made.graph.initializer):
            made.graph.input.remove(declared)
    path = Path(f"{case.name}.onnx")
    return ModelFile(path, case.name, case.name, made, normalise(made, path)[0], parameters(made))


@pytest.fixture(scope="module")
def counted() -> list[tuple[str, Layer, LayerCost]]:
    found = []
    for case in cases():
        opened = sized(case)
        table = inspect(opened, 1)
        found += [
            (case.name, row, cost) for row, cost in zip(table.nodes, costs(table), strict=True)
        ]
    return found


def test_the_node_tests_cover_the_operators(counted):
    """Nearly every operator is met, so that the next tests look at them all."""
    met = {(row.domain, row.op_type) for _, row, _ in counted}
    known = {(d, n) for d, n in standard() if d in ("", "ai.onnx.ml")}
    missing = {n for d, n in known - met}
    assert len(missing) < len(known) / 4, missing


def test_none_is_silently_zero(counted):
    silent = {
        (name, row.op_type)
        for name, row, cost in counted
        if cost.operations is not None
        and cost.operations.flops == 0
        and row.op_type not in MOVERS
        and row.op_type not in NOTHING_TO_DO
        and "noop" not in name  # a reduction over no axes
    }
    assert silent == set()


def test_each_is_modelled_or_named(counted):
    """An operator without figures has a reason: it has no model, or data decide a size."""
    wrong = []
    for name, row, cost in counted:
        if cost.operations is not None:
            continue
        named = formula_of(row.op_type, row.domain) is None and "is not modelled" in cost.unknown
        if not named and "shape of" not in cost.unknown:
            wrong.append((name, row.op_type, cost.unknown))
    assert {op for _, op, _ in wrong} <= {"STFT", "RoiAlign", "DFT"}, wrong


def test_most_operators_have_a_test_in_which_they_are_modelled(counted):
    modelled = {row.op_type for _, row, cost in counted if cost.operations is not None}
    met = {row.op_type for _, row, _ in counted if row.domain in ("", "ai.onnx.ml")}
    assert met - modelled <= {*NOT_MODELLED, *DATA_DECIDE}
