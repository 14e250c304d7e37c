"""How a session of tests is run: its processes, what each of them gets, and what was skipped.

A plugin that `tests/conftest.py` names. It works without pytest-xdist, too.
"""

from __future__ import annotations

import gc
import os
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from math import inf
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
#: Seconds of a core that other files take, where that is much for as many tests as they have.
#: Nothing but the order depends on it; `--durations=0` shows what takes long.
LONG = {
    "tests/api/test_api_types.py": 16,
    "tests/cli/load/test_cli_scenario.py": 16,
    "tests/cli/test_cli_output.py": 10,
    "tests/docs_site/test_tour_page.py": 15,
    "tests/gate/test_ci_files.py": 28,
    "tests/gate/test_cli_gate.py": 16,
    "tests/hostile/test_killed_sweeps.py": 11,
    "tests/house/test_packaging.py": 12,
    "tests/publish/report/test_report_browser.py": 27,
    "tests/release/test_release_run.py": 36,
    "tests/runtimes/test_api_versions.py": 20,
    "tests/runtimes/test_cli_versions.py": 33,
    "tests/runtimes/test_overlay.py": 14,
    "tests/site/leaderboard/test_site_leaderboard.py": 25,
    "tests/site/page/test_site_charts.py": 12,
    "tests/site/page/test_site_earlier.py": 13,
    "tests/site/page/test_site_opening.py": 22,
    "tests/site/page/test_site_paper.py": 11,
    "tests/site/page/test_site_plot.py": 54,
    "tests/site/page/test_site_reading.py": 17,
    "tests/site/page/test_site_repeat.py": 26,
    "tests/site/page/test_site_selection.py": 21,
    "tests/site/page/test_site_where.py": 49,
    "tests/site/page/test_site_why.py": 17,
    "tests/site/page/test_site_windows.py": 57,
    "tests/site/test_site_browser.py": 30,
    "tests/site/test_site_build.py": 11,
    "tests/site/test_site_changes.py": 25,
    "tests/site/test_site_layers.py": 24,
    "tests/site/test_site_navigation.py": 11,
    "tests/site/test_site_published.py": 12,
    "tests/sweeps/fleet/test_far_worker.py": 12,
    "tests/sweeps/fleet/test_ssh.py": 32,
}
#: What a test takes where nothing is said, and one out of `SPREAD`: they are for the end.
USUAL_S, ONE_OF_SPREAD_S = 0.05, 0.5


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
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.workqueue = LongestFirst()

        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return ByFile(config, log)


def unit(nodeid: str) -> str:
    """What goes to a process as a whole: a test, a file, or several files."""
    file = nodeid.partition("::")[0]
    if file in ALONE:
        return "alone"
    return nodeid if file in SPREAD else file


class LongestFirst(OrderedDict[str, dict[str, bool]]):
    """Units with their tests, of which the longest is taken first.

    In the end the short ones fill the cores: none waits for a long one that began last.
    """

    def popitem(self, last: bool = True) -> tuple[str, dict[str, bool]]:
        """Take the unit out that is to be handed out next."""
        longest = max(self, key=lambda name: seconds(name, self[name]))
        return longest, self.pop(longest)


def seconds(name: str, tests: Collection[str]) -> float:
    """About how long a unit takes."""
    if name == "alone":
        return inf
    file = name.partition("::")[0]
    return LONG.get(file, USUAL_S * len(tests)) if name == file else ONE_OF_SPREAD_S


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
