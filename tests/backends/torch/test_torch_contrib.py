"""Operators of decoders on torch: the values of onnxruntime's kernels, for each form of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from support.contrib.cases import Case, built, bytes_, real, run
from support.contrib.decoders import DECODERS, HEADS, RECURRENT, STANDARD, nbits
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.records.layer import PreparedModel

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")

from onnxprof.backends.torch.base.values import to_numpy, to_torch  # noqa: E402
from onnxprof.backends.torch.program import table  # noqa: E402
from onnxprof.backends.torch.program.loader import load  # noqa: E402


def torch_run(case: Case) -> list[NDArray[Any]]:
    prepared = PreparedModel(built(case).SerializeToString(), Path())
    with torch.inference_mode():
        loaded = load(prepared, fold=False)
        program, feeds = loaded.program, case.feeds()
        values = program.template.copy()
        for name, slot in loaded.inputs.items():
            values[slot] = to_torch(feeds[name])
        program.run(values)
        return [to_numpy(values[slot]) for slot in program.outputs]


def apart(want: NDArray[Any], got: NDArray[Any]) -> float:
    """The largest difference, relative to the larger of a value and the root mean square."""
    want, got = want.astype(np.float64), got.astype(np.float64)
    floor = np.sqrt(np.mean(want**2)) if want.size else 1.0
    return float(np.max(np.abs(want - got) / np.maximum(np.abs(want), floor or 1.0), initial=0.0))


@pytest.mark.parametrize("case", [*DECODERS, *STANDARD, *RECURRENT], ids=str)
def test_values_are_those_of_onnxruntime(case: Case) -> None:
    expected = run(case, built(case))
    found = torch_run(case)
    assert len(found) == len(expected)
    for want, got in zip(expected, found, strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        assert apart(want, got) <= case.tolerance


def test_packed_layouts_that_no_cpu_kernel_takes_equal_the_plain_ones() -> None:
    whole = real(2, 5, 4, 3, 8)
    parts = [whole[:, :, :, i].reshape(2, 5, 32) for i in range(3)]
    (packed,) = torch_run(Case("MultiHeadAttention", [whole], HEADS))
    (plain,) = torch_run(Case("MultiHeadAttention", list(parts), HEADS))
    np.testing.assert_allclose(packed, plain, rtol=1e-5)
    pair = [parts[0], np.ascontiguousarray(whole[:, :, :, 1:])]
    np.testing.assert_allclose(
        torch_run(Case("MultiHeadAttention", pair, HEADS))[0], plain, rtol=1e-5
    )


def test_each_operator_has_a_case() -> None:
    tried = {case.op for case in (*DECODERS, *RECURRENT)}
    assert set(table.contrib()) == tried & set(table.contrib())


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (
            Case("MatMulNBits", [real(2, 32), bytes_(48, 2, 6), real(48, 2)],
                 {"K": 32, "N": 48, "bits": 3, "block_size": 16}),
            "weights of 3 bits",
        ),
        (Case("MoE", [real(5, 8), real(5, 4), real(4, 16, 8), None, real(4, 8, 16)],
              {"use_sparse_mixer": 1}), "sparse mixer"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_supported_says_so(case: Case, reason: str) -> None:
    with pytest.raises(BackendError, match=reason):
        torch_run(case)


def packed_product(scales_are_computed: bool) -> onnx.ModelProto:
    """A MatMulNBits of constants, or one whose scales pass through a Mul with an input."""
    case = nbits(4, "packed")
    model = built(case)
    if scales_are_computed:
        node = model.graph.node[0]
        factor = onnx.helper.make_node("Mul", ["i2", "factor"], ["scaled"], "m")
        node.input[2] = "scaled"
        model.graph.node.insert(0, factor)
        model.graph.input.append(models.value("factor", [1]))
    return model


@pytest.mark.parametrize("computed", [False, True])
def test_constant_weights_are_unpacked_once_and_computed_ones_each_time(computed: bool) -> None:
    model = packed_product(computed)
    program = load(PreparedModel(model.SerializeToString(), Path()), fold=False).program
    call = program.calls[-1]
    weights = program.template[call.inputs[1]]
    assert call.is_ready is not computed
    assert weights.dtype is (torch.uint8 if computed else torch.float32)
    if not computed:
        assert weights.shape == (48, 32)
        kept = [v for v in program.template if v is not None and v.dtype is torch.uint8]
        assert all(v.numel() < weights.numel() / 2 for v in kept)  # not the packed ones, too


def test_computed_scales_count() -> None:
    case, model = nbits(4, "packed"), packed_product(True)
    (expected,) = run(case, built(case))
    with torch.inference_mode():
        loaded = load(PreparedModel(model.SerializeToString(), Path()), fold=True)
        values = loaded.program.template.copy()
        given = case.feeds() | {"factor": np.float32([2])}
        for name, slot in loaded.inputs.items():
            values[slot] = to_torch(given[name])
        loaded.program.run(values)
        got = to_numpy(values[loaded.program.outputs[0]])
    np.testing.assert_allclose(got, 2 * expected, rtol=1e-3, atol=1e-4)
