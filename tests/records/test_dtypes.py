"""Widths of element types by their names, against those that ONNX stores them with."""

from __future__ import annotations

import pytest
from onnx import TensorProto

from onnxprof.model.graph import weights
from onnxprof.records.layer import Tensor


@pytest.mark.parametrize("kind", TensorProto.DataType.values())
def test_a_type_is_as_wide_as_onnx_stores_it(kind: int) -> None:
    assert Tensor("t", weights.dtype_name(kind)).element_bits == weights.element_bits(kind)


@pytest.mark.parametrize("name", ["", "str", "sequence(float32)", "optional(int64)", "what"])
def test_other_types_have_no_width(name: str) -> None:
    assert Tensor("t", name).element_bits == 0
