"""Errors of runtimes are stored and published: no folder of who built a runtime may be in them."""

from __future__ import annotations

import pytest

from onnxprof.backends.openvino.runtime import reason
from onnxprof.plugins.source_places import without_places

ASSERTED = (
    'numel == 3 INTERNAL ASSERT FAILED at "/__w/pytorch/pytorch/aten/src/ATen/Copy.cpp":124,'
    " please report a bug to PyTorch. Too few."
)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            ASSERTED,
            "numel == 3 INTERNAL ASSERT FAILED, please report a bug to PyTorch. Too few.",
        ),
        ("[enforce fail at ..\\c10\\core\\alloc.cpp:72] data", "[enforce fail] data"),
        (
            "Exception raised from make at ../c10/cuda/Fn.h:12 (call)",
            "Exception raised from make (call)",
        ),
        ("C:\\w\\src\\node.cc(41): no kernel", "no kernel"),
        (
            "cannot broadcast [3,4] with [2,4] at axis 0",
            "cannot broadcast [3,4] with [2,4] at axis 0",
        ),
        ("tensor blocks/0/conv:0 is odd", "tensor blocks/0/conv:0 is odd"),
    ],
)
def test_places_in_a_source_are_left_out(said: str, left: str) -> None:
    assert without_places(said) == left


def test_openvino_names_no_source() -> None:
    said = "Shape mismatch, see /repos/openvino/src/core/src/shape.cpp:12 for it"
    assert reason(RuntimeError(said)) == "Shape mismatch, see for it"


def test_torch_names_no_source() -> None:
    pytest.importorskip("torch")
    from onnxprof.backends.torch.program.program import is_memory_error, layer_error

    told = str(layer_error(None, RuntimeError(ASSERTED)))
    assert "INTERNAL ASSERT FAILED, please" in told
    assert "/" not in told.replace("Other inputs? See --inputs and --dim", "")
    assert is_memory_error(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))
