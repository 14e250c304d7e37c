"""One node of an operator with its operands, as a model and as a run of onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import helper

from support.networks import models

MICROSOFT = "com.microsoft"


@dataclass
class Case:
    """One node: its operands (None for one left out), its attributes, its outputs."""

    op: str
    operands: list[NDArray[Any] | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    domain: str = MICROSOFT
    constant: tuple[int, ...] = ()
    """Operands that must be initializers."""
    open: tuple[int, ...] = ()
    """Outputs of which not all sizes can be known."""
    opset: int = 17
    tolerance: float = 1e-5
    """Of another runtime's results, relative to the larger of a value and the root mean square."""

    def __str__(self) -> str:
        return "-".join([self.op, *map(str, self.attributes.values())])[:60]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Arrays of the operands that are inputs."""
        return {
            f"i{i}": np.asarray(x)
            for i, x in enumerate(self.operands)
            if x is not None and i not in self.constant
        }


def real(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(len(shape)).normal(0, 0.1, shape).astype(np.float32)


def bytes_(*shape: int, signed: bool = False) -> NDArray[Any]:
    kind = np.int8 if signed else np.uint8
    return np.random.default_rng(1).integers(0, 100, shape).astype(kind)


def ids(*shape: int, kind: Any = np.int32, high: int = 4) -> NDArray[Any]:
    return np.random.default_rng(2).integers(0, high, shape).astype(kind)


def built(case: Case) -> onnx.ModelProto:
    """The model of the one node `n`, with inputs `i0`, … and outputs `o0`, …."""
    names = [f"i{i}" if x is not None else "" for i, x in enumerate(case.operands)]
    outputs = [f"o{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, "n", domain=case.domain, **case.attributes)
    held, given = [], []
    for index, (name, array) in enumerate(zip(names, case.operands, strict=True)):
        if array is None:
            continue
        array = np.asarray(array)
        if index in case.constant:
            held.append(onnx.numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            given.append(models.value(name, list(array.shape), kind))
    return models.model(
        [node], given, [helper.make_empty_tensor_value_info(o) for o in outputs], held,
        domains=[MICROSOFT], ir_version=10, opset=case.opset,
    )  # fmt: skip


def run(case: Case, model: onnx.ModelProto) -> list[NDArray[Any]]:
    """onnxruntime's outputs, without its optimisations; skips what it has no kernel for."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error):
            pytest.skip("this onnxruntime has no kernel for the operator")
        raise
    results = session.run(None, case.feeds())
    if any(value is None for value in results):
        pytest.skip("this onnxruntime leaves out an output that is optional")
    return list(results)
