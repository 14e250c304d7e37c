"""How a session of tests is run: its processes, what goes to one of them, and what was skipped.

A plugin that `tests/conftest.py` names. It also holds without pytest-xdist.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator

import psutil
import pytest

from onnxprof.machine.kernel import usable_cores

#: What one process may take: torch, a network of 600 MB, and a child with the same.
PROCESS_BYTES = 3 << 30
FEWEST, MOST = 2, 8
SHARED = ("module", "package")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many processes as cores that may be used and memory allow, two at least."""
    return workers(usable_cores(), psutil.virtual_memory().available)


def workers(cores: int, available_bytes: int) -> int:
    """Processes for `-n auto`."""
    return max(FEWEST, min(cores, available_bytes // PROCESS_BYTES, MOST))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the tests that share a fixture of their module to one process, which makes it once."""
    for item in items:
        if shares(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def shares(item: pytest.Item) -> bool:
    """Whether a fixture that the test needs is made once for its module."""
    known = getattr(item, "_fixtureinfo", None)
    definitions = known.name2fixturedefs.values() if known else ()
    return any(one.scope in SHARED for found in definitions for one in found)


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
