"""Shared by all tests: no test writes to the user's folders, none depends on his terminal."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from hypothesis import settings

# What they assert is shown as in a test.
pytest.register_assert_rewrite("support.store.same", "support.sweeps.killed")
pytest_plugins = ["support.session"]

# A busy machine is no bug: no test fails for being slow.
settings.register_profile("onnxprof", deadline=None)
settings.load_profile("onnxprof")

# Several processes of tests share the cores: threads of torch that wait are not to spin on them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell's background jobs ignore interrupts, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Under nohup a closed terminal is ignored, and would be by every process that a test starts.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The source tree that the tests stand in."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary cache for the whole session, and output of 80 plain columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONNXPROF_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("ONNXPROF_LOCKS", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(_compiled()))
        patch.setenv("COLUMNS", "80")
        patch.setenv("TERM", "xterm-256color")
        for name in ("FORCE_COLOR", "NO_COLOR", "ONNXPROF_CONFIG", "PYTHONPATH"):
            patch.delenv(name, raising=False)
        yield


def _compiled() -> Path:
    """What torch compiled stays from one session to the next: kernels by their source's digest."""
    kept = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    return Path(kept or platformdirs.user_cache_path("onnxprof") / "tests" / "inductor")


@pytest.fixture(scope="session")
def chromium() -> str:
    """A Chromium to drive; without one the test is skipped, or fails where one is required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("ONNXPROF_REQUIRE_BROWSER"):
        pytest.fail("ONNXPROF_REQUIRE_BROWSER is set and there is no chromium")
    if found is None:
        pytest.skip("no chromium here")
    return found
