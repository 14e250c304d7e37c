"""How a session of tests is run: its processes, what each of them gets, and what was skipped.

A plugin that `tests/conftest.py` names. It works without pytest-xdist, too.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import psutil
import pytest

from onnxprof.machine.kernel import usable_cores
from support.habits import posix

SYSTEM = os.name
#: What one process may take: torch, a network of 600 MB, and a child with the same.
PROCESS_BYTES = 3 << 30
FEWEST, MOST = 2, 8

#: Files of long tests that share nothing: each test is handed out on its own.
SPREAD = frozenset(
    {
        "tests/backends/openvino/test_openvino_layers.py",
        "tests/backends/openvino/test_openvino_prefix.py",
        "tests/backends/torch/test_torch_backend.py",
        "tests/backends/torch/test_torch_devices.py",
        "tests/backends/torch/test_torch_zoo.py",
        "tests/checks/test_batchproof.py",
        "tests/zoo/test_zoo.py",
    }
)
#: Files whose tests hold the device, wait for a limit or send signals: never two at once.
ALONE = frozenset(
    {
        "tests/cli/test_cli_profile.py",
        "tests/hostile/test_kills.py",
        "tests/hostile/test_limits.py",
        "tests/jobs/test_worker.py",
        "tests/machine/test_devicelock.py",
    }
)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many processes as cores that may be used and memory allow, two at least."""
    return workers(usable_cores(), psutil.virtual_memory().available)


def workers(cores: int, available_bytes: int) -> int:
    """Processes for `-n auto`."""
    return max(FEWEST, min(cores, available_bytes // PROCESS_BYTES, MOST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One file after another, but for those that are spread and those that must be alone."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return ByFile(config, log)


def unit(nodeid: str) -> str:
    """What goes to a process as a whole: a test, a file, or several files.

    The largest units are handed out first, so that in the end single tests fill the cores.
    """
    file = nodeid.partition("::")[0]
    if file in ALONE:
        return "alone"
    return nodeid if file in SPREAD else file


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip on Windows what POSIX alone has."""
    if SYSTEM == "nt" and item.get_closest_marker("posix"):
        pytest.skip(posix.REASON)


def pytest_collection_finish() -> None:
    """Take modules and tests out of every later collection, which the measuring code asks for."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for which reason; `-rs` says which."""
    lines = list(folded(reason(report) for report in terminalreporter.getreports("skipped")))
    if lines:
        terminalreporter.section("skipped", "=")
        for line in lines:
            terminalreporter.write_line(line)


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or a module was skipped."""
    told = report.longrepr
    text = told[2] if isinstance(told, tuple) else str(told)
    return " ".join(text.removeprefix("Skipped: ").split())


def folded(reasons: Iterable[str]) -> Iterator[str]:
    """A line for each reason, the most frequent first."""
    for text, count in sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:4d}  {text}"
