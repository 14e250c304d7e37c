"""Errors of runtimes are stored and published: no folder of who built a runtime may be in them."""

from __future__ import annotations

import dataclasses

import pytest

from onnxprof.backends.openvino.runtime import reason
from onnxprof.plugins.source_places import cleaned, cleaned_run, without_places
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.telemetry import Absence, Telemetry
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

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
        (
            "Load model from net.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:149"
            " onnxruntime::Model::Model(onnx::ModelProto&&, const std::function<void (int)>&)"
            " Unsupported model IR version: 99",
            "Load model from net.onnx failed: Unsupported model IR version: 99",
        ),
        (r"D:\a\_work\1\s\core\a.cc:12 onnxruntime::f(int) const Cannot", "Cannot"),
        ("cannot open model.h:12", "cannot open model.h:12"),
    ],
)
def test_places_in_a_source_are_left_out(said: str, left: str) -> None:
    assert without_places(said) == left


def test_a_whole_run_is_cleaned_and_left_alone_where_there_is_nothing() -> None:
    run = sample_run()
    assert cleaned_run(run) is run
    place = "failed:/onnxruntime_src/core/graph/model.cc:149 onnxruntime::Model::Model(int) no"
    told = dataclasses.replace(
        run,
        failure=place,
        warnings=(RunWarning(WarningKind.NO_PREFIXES, subject=place),),
        table=dataclasses.replace(run.table, obstacle=place),
        parity=Parity("ort", (OutputParity("y", 0.0, 0.0, note=place),), reason=place),
        steps=tuple(
            dataclasses.replace(step, verdict=f"not checked: {place}") for step in run.steps
        ),
        telemetry=Telemetry(1.0, 10, 5.0, absent=(Absence("power", place),)),
    )
    assert "onnxruntime_src" not in repr(cleaned_run(told))
    assert cleaned_run(told).failure == "failed: no"
    assert cleaned_run(told).steps[0].verdict == "not checked: failed: no"
    assert cleaned_run(told).steps[0].layers == run.steps[0].layers


def test_text_without_places_keeps_its_blanks() -> None:
    assert cleaned("two  blanks\nand a line") == "two  blanks\nand a line"


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
