"""OpenVINO's messages and devices, in a user's words."""

from __future__ import annotations

import pytest

from onnxprof.backends.openvino.runtime import devices, reason

MESSAGES = (
    (
        "Exception from src/inference/src/cpp/core.cpp:84:\nCheck 'false' failed at "
        "src/frontends/common_translators/src/unconverted_ops_report.cpp:151:\nFrontEnd API failed "
        "with OpConversionFailure:\nModel wasn't fully converted. Failed operations detailed log:\n"
        "-- Conv-15 with a message:\nWhile validating ONNX node '<Node(Conv): /model/conv>': "
        "Check 'data.get_partial_shape().rank().is_static()' failed at "
        "src/frontends/onnx/frontend/src/op/conv.cpp:38:\nFrontEnd API failed with "
        "GeneralFailure:\nThe input data tensor's rank has to be known (static)\n\n"
        "Summary:\n-- Conversion is failed for: Conv-15\n",
        "While validating ONNX node '<Node(Conv): /model/conv>' "
        "The input data tensor's rank has to be known (static)",
    ),
    (
        "Exception from src/inference/src/cpp/core.cpp:105:\nCheck 'false' failed at "
        "src/frontends/common_translators/src/unconverted_ops_report.cpp:151:\nFrontEnd API failed "
        "with OpConversionFailure:\nModel wasn't fully converted.\nSummary:\n-- No conversion rule "
        "found for operations: local.Swish\nTo facilitate the conversion of unsupported "
        "operations, refer to Frontend Extension documentation: https://example.org \n\n\n",
        "No conversion rule found for operations: local.Swish",
    ),
    ("", "RuntimeError"),
    ("x" * 5000, "x" * 300),
)


@pytest.mark.parametrize(("said", "expected"), MESSAGES)
def test_messages_are_cut_to_what_concerns_the_user(said: str, expected: str) -> None:
    assert reason(RuntimeError(said)) == expected


class Core:
    """A runtime that lists devices; a driver may refuse a property."""

    def __init__(self, **names: str) -> None:
        self.available_devices = list(names)
        self._names = names

    def get_property(self, target: str, name: str) -> object:
        if name == "FULL_DEVICE_NAME":
            return self._names[target]
        if name == "GPU_DEVICE_TOTAL_MEM_SIZE":
            return 8 << 30
        raise RuntimeError("unsupported")


def test_devices_by_intel_have_ids_and_names() -> None:
    core = Core(
        CPU="AMD",
        **{"GPU.0": "Intel(R) Arc(TM) A770 Graphics (dGPU)", "GPU.1": "Intel(R) UHD Graphics"},
        NPU="Intel(R) AI Boost",
        AUTO="none",
    )
    cpu, gpu, npu = (found.device for found in devices(core))
    assert cpu.kind == "cpu"
    assert (gpu.id, gpu.name) == ("gpu:0:intel-arc-a770-graphics", "Intel Arc A770 Graphics")
    assert gpu.memory_bytes == 8 << 30
    assert (npu.id, npu.memory_bytes) == ("npu:0:intel-ai-boost", 0)
