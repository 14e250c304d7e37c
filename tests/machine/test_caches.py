"""Sizes of caches, from the kernel's files and from CUDA's driver."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from onnxprof.machine.caches import caches, caches_text, sharers, size_bytes
from onnxprof.machine.gpus import cuda_caches
from onnxprof.machine.kernel import Machine
from onnxprof.records.ceilings import Cache
from onnxprof.records.device import Device


def machine(folder: Path, *levels: tuple[str, str, str, str]) -> Machine:
    for i, values in enumerate(levels):
        place = folder / f"sys/devices/system/cpu/cpu0/cache/index{i}"
        place.mkdir(parents=True)
        for name, value in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True):
            (place / name).write_text(f"{value}\n")
    return Machine(folder, {})


def test_the_kernel_lists_levels_sizes_and_who_shares_them(tmp_path: Path) -> None:
    given = machine(
        tmp_path,
        ("1", "Data", "48K", "0"),
        ("1", "Instruction", "32K", "0"),
        ("2", "Unified", "1024K", "0,64"),
        ("3", "Unified", "32M", "0-7,64-71"),
    )
    assert caches(given) == (
        Cache("L1", 48 << 10, 1),
        Cache("L2", 1 << 20, 2),
        Cache("L3", 32 << 20, 16),
    )
    assert caches_text(given) == "L1 48K, L2 1024K, L3 32M"


def test_a_kernel_without_them_lists_none(tmp_path: Path) -> None:
    assert caches(Machine(tmp_path, {})) == ()
    assert caches_text(Machine(tmp_path, {})) == ""


@pytest.mark.parametrize(
    ("text", "size"), [("48K", 48 << 10), ("2M", 2 << 20), ("512", 512), ("big", 0), ("", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0-1,4,6-7", 5), ("x", 1)])
def test_lists_of_processors(text: str, count: int) -> None:
    assert sharers(text) == count


class Driver:
    """CUDA's driver with one attribute."""

    def __init__(self, size: int, failed: int = 0) -> None:
        self.size, self.failed, self.asked = size, failed, -1

    def cuInit(self, flags: int) -> int:
        return self.failed

    def cuDeviceGet(self, handle: object, index: int) -> int:
        self.asked = index
        return 0

    def cuDeviceGetAttribute(self, value, attribute: int, handle: object) -> int:
        assert attribute == 38
        ctypes.cast(value, ctypes.POINTER(ctypes.c_int))[0] = self.size
        return 0


def test_a_gpu_has_one_cache_that_all_threads_share() -> None:
    driver = Driver(50 << 20)
    (found,) = cuda_caches(Device("cuda:1:nvidia-x", "cuda", "X"), lambda: driver)
    assert driver.asked == 1
    assert (found.name, found.reach(64)) == ("L2", 50 << 20)


def test_a_driver_that_does_not_answer_gives_none() -> None:
    device = Device("cuda:0:nvidia-x", "cuda", "X")

    def missing() -> Driver:
        raise OSError("no such library")

    assert cuda_caches(device, missing) == ()
    assert cuda_caches(device, lambda: Driver(1, failed=100)) == ()
    assert cuda_caches(device, lambda: Driver(0)) == ()
    assert cuda_caches(device, lambda: object()) == ()
