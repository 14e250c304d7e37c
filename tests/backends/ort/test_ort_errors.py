"""What onnxruntime and CUDA's driver say where something fails, and what is made of it.

The runtime's texts are those of its releases 1.14 to 1.24, as their users reported them; the
driver is a stub that is compiled on the spot.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.networks import models

from onnxprof.backends.cuda import driver as cuda_driver
from onnxprof.backends.cuda.driver import driver_problem, explained
from onnxprof.backends.ort.runtime.errors import failure, runtime_errors
from onnxprof.errors import BackendError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan, sweep
from onnxprof.measure.budget import Budget
from onnxprof.plugins.memory import SMALLER
from onnxprof.processes.confined import Limits
from onnxprof.store.folder import Store, load

_SOURCE = "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:122 std::conditional_t<>"
ARENA = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running"
    " Conv node. Name:'/stages.0/fc1/Conv' Status Message: \n"
    "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void*"
    " onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool,"
    " onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size"
    " 939524096\n"
)


def cuda(number: int, said: str) -> str:
    return (
        f"{_SOURCE} CUDA failure {number}: {said} ; GPU=0 ; hostname=zaphods-machine ;"
        " file=/onnxruntime_src/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=73 ;"
        " expr=cudaMemcpyAsync(dst_data, src_data, bytes);"
    )


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        (
            ARENA,
            "onnxruntime cannot run the model at Conv /stages.0/fc1/Conv: out of memory,"
            " 896 MiB more were asked for",
            f"Use {SMALLER}",
        ),
        (
            cuda(2, "out of memory"),
            "onnxruntime cannot run the model: the device is out of memory (CUDA error 2: out of"
            " memory)",
            f"Use {SMALLER}; nvidia-smi",
        ),
        (
            cuda(35, "CUDA driver version is insufficient for CUDA runtime version"),
            "the NVIDIA driver is older than the CUDA of this runtime (CUDA error 35",
            "Update the driver",
        ),
        (cuda(719, "unspecified launch failure"), "took the device with it", "Xid"),
        (cuda(999, "unknown error"), "its driver does not say how", "Xid"),
        (cuda(46, "all CUDA-capable devices are busy or unavailable"), "busy", "compute mode"),
        (cuda(209, "no kernel image is available"), "no kernels for the device", "a build"),
        (cuda(77, "an odd thing"), "CUDA error 77: an odd thing", "nvidia-smi"),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", "out of memory", "--batch"),
        ("std::bad_alloc", "out of memory", "--batch"),
    ],
)
def test_a_known_failure_is_told_by_what_it_means(text: str, what: str, remedy: str) -> None:
    told = failure(RuntimeError(text), "cannot run the model")
    assert what in told.what
    assert remedy in told.remedy
    assert "\n" not in str(told)
    for noise in ("zaphods-machine", "onnxruntime_src", "std::conditional"):
        assert noise not in str(told)


def test_what_is_not_known_keeps_the_runtimes_own_first_line() -> None:
    told = failure(ValueError("Unexpected input data type\nmore"), "cannot run the model", "Look")
    assert told.what == "onnxruntime cannot run the model: Unexpected input data type"
    assert told.remedy == "Look"
    placed = failure(RuntimeError("odd ; GPU=0 ; hostname=zaphods-machine ; line=1"), "x")
    assert placed.what == "onnxruntime x: odd"
    assert failure(KeyError(), "x").what == "onnxruntime x: KeyError"
    assert len(failure(RuntimeError("y" * 9_000), "x").what) < 500


def test_what_openvino_says_through_its_provider_is_told_without_the_sources() -> None:
    """As onnxruntime-openvino 1.24.1 puts it."""
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime/core/"
        "providers/openvino/backends/basic_backend.cc:136 onnxruntime::openvino_ep::BasicBackend"
        "(std::unique_ptr<onnx::ModelProto>&) [OpenVINO-EP] Exception while Loading Network for"
        " graph subgraph_1_0: Exception from src/inference/src/cpp/core.cpp:114:\n"
        "Exception from src/inference/src/dev/plugin.cpp:53:\n"
        "Check '!shape.rank().is_dynamic()' failed at src/plugins/intel_cpu/src/node.cpp:106:\n"
        "Unexpected: CPU plug-in doesn't support Parameter operation with dynamic rank.\n\n\n"
    )
    assert failure(RuntimeError(text), "cannot load the model").what == (
        "onnxruntime cannot load the model: Exception while Loading Network for graph"
        " subgraph_1_0: Unexpected: CPU plug-in doesn't support Parameter operation with dynamic"
        " rank."
    )


def test_pythons_own_lack_of_memory_is_one() -> None:
    wanted = rf"out of memory\. Use {SMALLER}"
    with pytest.raises(BackendError, match=wanted), runtime_errors("cannot run the model"):
        raise MemoryError
    with pytest.raises(BackendError, match="as it was"), runtime_errors("x"):
        raise BackendError("as it was")


def test_an_arena_of_the_runtimes_that_is_full_is_out_of_memory(tmp_path: Path) -> None:
    """The runtime's own text of today: an arena of one MiB, and a tensor of four."""
    ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    image = models.value("x", [1024, 1024])
    nodes = [
        models.node("Relu", ["x"], ["a"], "first"),
        models.node("Neg", ["a"], ["y"], "second"),
    ]
    path = models.save(models.model(nodes, [image], [models.value("y", [1024, 1024])]), tmp_path)
    code = f"""
import numpy as np, onnxruntime as ort
from onnxprof.backends.ort.runtime.errors import failure
info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                         ort.OrtMemType.DEFAULT)
ort.create_and_register_allocator(info, ort.OrtArenaCfg(1 << 20, -1, -1, -1))
made = ort.SessionOptions()
made.log_severity_level = 4
made.add_session_config_entry("session.use_env_allocators", "1")
session = ort.InferenceSession({str(path)!r}, made, providers=["CPUExecutionProvider"])
try:
    session.run(None, {{"x": np.zeros((1024, 1024), np.float32)}})
except Exception as error:
    print(failure(error, "cannot run the model"))
"""
    assert ort
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"out of memory, 4 MiB more were asked for\. Use smaller sizes", done.stdout)


STUB = r"""
int cuInit(unsigned int flags) { return INIT; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
"""


def driver(folder: Path, init: int = 0, count: int = 1, version: int = 13_000) -> str:
    """A driver's library that answers so. Skips the test where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler here to build a stub of CUDA's driver with")
    (folder / "cuda.c").write_text(STUB)
    library = folder / "libcuda-stub.so"
    facts = [f"-DINIT={init}", f"-DCOUNT={count}", f"-DVERSION={version}"]
    sources = [str(folder / "cuda.c"), "-o", str(library)]
    subprocess.run([compiler, *facts, "-shared", "-fPIC", *sources], check=True)
    return str(library)


def test_a_driver_that_answers_is_no_problem(tmp_path: Path) -> None:
    library = driver(tmp_path, version=12_080)
    for built_for in ("", "12.9", "11.8", "unknown"):
        assert driver_problem(library, built_for=built_for) is None


def test_a_driver_older_than_the_runtime_wants_is_told_with_both_versions(tmp_path: Path) -> None:
    found = driver_problem(driver(tmp_path, version=12_080), built_for="13.0")
    assert found is not None
    assert "knows CUDA up to 12.8" in found.detail
    assert "built for CUDA 13.0" in found.detail
    assert "580 or newer" in found.remedy
    later = driver_problem(str(tmp_path / "libcuda-stub.so"), built_for="99.1")
    assert later is not None
    assert later.remedy.startswith("Update the driver, or")


@pytest.mark.parametrize(
    ("init", "count", "words"),
    [
        (0, 0, "the driver lists no device"),
        (100, 0, "the driver lists no device (CUDA error 100)"),
        (803, 0, "of different versions (CUDA error 803)"),
        (999, 0, "the device failed"),
        (12345, 0, "CUDA error 12345"),
    ],
)
def test_a_driver_that_fails_says_why(tmp_path: Path, init: int, count: int, words: str) -> None:
    found = driver_problem(driver(tmp_path, init, count))
    assert found is not None
    assert words in found.detail
    assert found.remedy


def test_a_library_without_the_drivers_functions_is_no_driver(tmp_path: Path) -> None:
    library = driver(tmp_path)
    source = tmp_path / "cuda.c"
    source.write_text("int nothing(void) { return 0; }")
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", library], check=True)
    found = driver_problem(library)
    assert found is not None
    assert "is not NVIDIA's driver" in found.detail


def test_every_known_error_has_a_remedy() -> None:
    for number in cuda_driver._ERRORS:
        told = explained(number, "as CUDA says")
        assert told.detail.endswith(f"(CUDA error {number}: as CUDA says)")
        assert told.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by the kernel's RLIMIT_DATA")
def test_a_batch_that_is_too_big_fails_with_its_reason_and_the_others_stand(tmp_path: Path) -> None:
    """onnxruntime on the CPU under a limit of one GiB; batch 512 wants four at once."""
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    wide = 1 << 21
    nodes = [
        models.node("MatMul", ["x", "w"], ["a"], "widen"),
        models.node("Relu", ["a"], ["b"], "relu"),
        models.node("MatMul", ["b", "v"], ["y"], "narrow"),
    ]
    weights = [models.weight("w", 1, wide), models.weight("v", wide, 1)]
    ends = [models.value("x", ["n", 1])], [models.value("y", ["n", 1])]
    path = models.save(models.model(nodes, *ends, weights), tmp_path)
    planned = plan(Options((str(path),), batches=(1, 512, 2), budget=Budget(0.2), parity=False))
    done = list(sweep(planned, Limits(120, 1 << 30), Store(tmp_path / "runs"), lambda *_: None))
    assert [o.error is None for o in done] == [True, False, True]
    failure = done[1].run.failure
    assert "at MatMul widen: out of memory, 4,096 MiB more were asked for" in failure
    assert load(done[1].path).failure == failure
    assert all(load(o.path).timings is not None for o in (done[0], done[2]))


@pytest.mark.parametrize(
    "text",
    [
        "[E] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/reshape_helper.h:45"
        " onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, bool)"
        " size was false. Cannot be reshaped",
        "Status Message: /onnxruntime_src/onnxruntime/core/a.cc:12: Cannot be reshaped",
        r"D:\a\_work\1\s\onnxruntime\core\a.cc:12 onnxruntime::f(int) const Cannot be reshaped",
    ],
)
def test_no_path_of_the_machine_that_built_the_runtime_stays(text: str) -> None:
    said = str(failure(RuntimeError(text), "cannot run"))
    assert said.endswith("Cannot be reshaped")
    assert ".cc" not in said
    assert ".h:" not in said
    assert "::" not in said
