"""Half precision that a runtime computes in a wider type, by the graph that it runs."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprof.analysis.widened import computed_in, widening
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.step import Confidence, Step


def layer(name: str, dtype: str) -> Layer:
    out = (Tensor(f"{name}_out", dtype, (1, 4)),)
    return Layer(name, LayerKind.NODE, "Conv", "Conv", outputs=out)


def step(name: str, layers: tuple[str, ...], dtype: str, op: str = "Conv") -> Step:
    seen = (Tensor(f"{layers[-1]}_out" if layers else name, dtype, (1, 4), observed=True),)
    return Step(name, op, "cpu", layers, Confidence.EXACT, outputs=seen)


def table(*layers: Layer) -> LayerTable:
    return LayerTable(layers, 1)


@pytest.mark.parametrize(
    ("declared", "executed", "wide"),
    [
        ("float16", "float32", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float16", "float16", ""),
        ("float16", "bfloat16", ""),
        ("float32", "float64", ""),
        ("float16", "int32", ""),
        ("float16", "", ""),
        ("float8_e4m3fn", "float32", ""),
    ],
)
def test_a_step_is_computed_in_what_its_output_has(declared, executed, wide) -> None:
    made = table(layer("a", declared))
    assert computed_in(step("a", ("a",), executed), made) == wide


def test_a_step_that_is_no_layers_is_not_widened() -> None:
    made = table(layer("a", "float16"))
    assert computed_in(step("Cast of a", (), "float32", "Cast"), made) == ""
    assert computed_in(None, made) == ""


def test_layers_and_casts_are_counted() -> None:
    made = table(layer("a", "float16"), layer("b", "float16"), layer("c", "float16"))
    steps = [
        step("Cast of x", (), "float32", "Cast"),
        step("b", ("a", "b"), "float32"),
        step("Cast of b", (), "float16", "Cast"),
        step("c", ("c",), "float16"),
    ]
    found = widening(steps, made, np.array([1.0, 6.0, 1.0, 2.0]))
    assert found is not None
    assert found.words == "2 of 3 layers of float16 are computed in float32"
    assert found.cast_share == pytest.approx(0.2)


def test_a_run_that_keeps_its_types_says_nothing() -> None:
    made = table(layer("a", "float16"), layer("b", "float32"))
    steps = [step("a", ("a",), "float16"), step("b", ("b",), "float32")]
    assert widening(steps, made, np.array([1.0, 1.0])) is None
