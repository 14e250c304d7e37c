"""A small NVML of two GPUs, compiled on the spot; environment variables are its script.

STUB_NO_DRIVER=1     the driver is not loaded
STUB_LOST_AFTER=N    the GPUs are gone after N readings of the clock
STUB_NO_ENERGY=1     no energy counter
STUB_NO_INSTANT=1    power as an average alone
STUB_HIDDEN=1        no process is listed
STUB_REASONS=MASK    what lowers the clock
STUB_OLD=1           no function of R535 or later
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned int u32;
typedef unsigned long long u64;
enum { OK = 0, UNSUPPORTED = 3, INSUFFICIENT = 7, NOT_LOADED = 9, LOST = 15 };

static int gpus[2] = {0, 1};
static int readings = 0;

static long number(const char *name) { const char *v = getenv(name); return v ? atol(v) : 0; }
static int lost(void) { long n = number("STUB_LOST_AFTER"); return n && readings >= n; }
static int which(void *handle) { return *(int *)handle; }

int nvmlInitWithFlags(u32 flags) { return number("STUB_NO_DRIVER") ? NOT_LOADED : OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return "stub error"; }
int nvmlSystemGetDriverVersion(char *out, u32 n) { snprintf(out, n, "580.95.05"); return OK; }
int nvmlDeviceGetCount_v2(u32 *n) { *n = 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(u32 i, void **handle) { *handle = &gpus[i]; return OK; }
int nvmlDeviceGetName(void *h, char *out, u32 n) {
    snprintf(out, n, which(h) ? "NVIDIA L4" : "NVIDIA H200");
    return lost() ? LOST : OK;
}
int nvmlDeviceGetUUID(void *h, char *out, u32 n) {
    snprintf(out, n, which(h) ? "GPU-bbbb-1111" : "GPU-aaaa-0000");
    return OK;
}
int nvmlDeviceGetCudaComputeCapability(void *h, int *major, int *minor) {
    *major = which(h) ? 8 : 9;
    *minor = which(h) ? 9 : 0;
    return OK;
}
int nvmlDeviceGetNumGpuCores(void *h, u32 *n) { *n = which(h) ? 7424 : 16896; return OK; }
int nvmlDeviceGetMemoryInfo(void *h, u64 *memory) {
    memory[0] = 141ull << 30;
    memory[1] = 140ull << 30;
    memory[2] = 1ull << 30;
    return OK;
}
int nvmlDeviceGetMaxClockInfo(void *h, u32 kind, u32 *mhz) {
    *mhz = kind == 1 ? 1980 : 3201;
    return OK;
}
int nvmlDeviceGetDefaultApplicationsClock(void *h, u32 kind, u32 *mhz) { return UNSUPPORTED; }
int nvmlDeviceGetClockInfo(void *h, u32 kind, u32 *mhz) {
    readings += kind == 1;
    *mhz = kind == 1 ? 1700 + 10 * (readings % 3) : 3201;
    return lost() ? LOST : OK;
}
struct field { u32 id, scope; long long at, latency; u32 type; int result; u64 value; };
int nvmlDeviceGetFieldValues(void *h, int n, struct field *fields) {
    fields[0].result = number("STUB_NO_INSTANT") ? UNSUPPORTED : OK;
    fields[0].value = 300000;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *h, u32 *mw) { *mw = 250000; return OK; }
int nvmlDeviceGetTotalEnergyConsumption(void *h, u64 *mj) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *mj = 300 * (now.tv_sec * 1000ull + now.tv_nsec / 1000000);
    return number("STUB_NO_ENERGY") ? UNSUPPORTED : OK;
}
int nvmlDeviceGetUtilizationRates(void *h, u32 *rates) { rates[0] = 87; rates[1] = 12; return OK; }
int nvmlDeviceGetTemperature(void *h, u32 sensor, u32 *c) { *c = 61; return OK; }
struct process { u32 pid; u64 memory; u32 gpu, compute; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, u32 *n, struct process *out) {
    if (number("STUB_HIDDEN")) { *n = 0; return OK; }
    if (!out) { *n = 1; return INSUFFICIENT; }
    *n = 1;
    out[0].pid = getpid();
    out[0].memory = 512ull << 20;
    return OK;
}
#ifndef OLD
int nvmlDeviceGetCurrentClocksEventReasons(void *h, u64 *bits) {
    *bits = number("STUB_REASONS");
    return OK;
}
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, u64 *bits) {
    *bits = number("STUB_REASONS");
    return OK;
}
"""


def build(folder: Path, *flags: str) -> Path:
    """The folder that holds the library. Skips the test where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler here to build the NVML stub with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nvml.c").write_text(SOURCE)
    library = str(folder / "libnvidia-ml.so.1")
    command = [compiler, *flags, "-shared", "-fPIC", "-w", "-o", library, str(folder / "nvml.c")]
    subprocess.run(command, check=True)
    return folder


def environ(folder: Path, **script: str) -> dict[str, str]:
    """The environment in which the stub's two GPUs are seen, whatever the machine hides."""
    kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return kept | {"LD_LIBRARY_PATH": str(folder)} | script


def ask(folder: Path, code: str, **script: str) -> Any:
    """What a fresh Python under the stub prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environ(folder, **script),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
