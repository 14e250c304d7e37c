"""Tests that Windows cannot run say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import session
from support.habits.posix import unmarked
from support.places import TESTS

FILES = sorted(TESTS.rglob("test_*.py"))


def test_every_test_that_needs_posix_says_so() -> None:
    found = {str(path.relative_to(TESTS)): names for path in FILES if (names := unmarked(path))}
    assert found == {}, "add @pytest.mark.posix"


MODULE = """
import os, pytest
def helper(): os.mkfifo("x")
@pytest.fixture
def pipe(): helper()
def test_plain(): pass
def test_direct(): helper()
def test_by_fixture(pipe): pass
@pytest.mark.posix
def test_marked(pipe): pass
def test_that_asks():
    if os.name == "posix":
        os.mkfifo("x")
"""


def test_helpers_and_fixtures_count(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(MODULE)
    assert [name for name, _ in unmarked(path)] == ["test_direct", "test_by_fixture"]
    path.write_text(f"{MODULE}\npytestmark = pytest.mark.skipif(os.name == 'nt', reason='')\n")
    assert unmarked(path) == []


class Item:
    """As much of a test as the hook asks for."""

    def get_closest_marker(self, name: str) -> bool:
        return name == "posix"


def test_the_marker_skips_on_windows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    session.pytest_runtest_setup(Item())
    monkeypatch.setattr(session, "SYSTEM", "nt")
    with pytest.raises(pytest.skip.Exception, match="as POSIX has them"):
        session.pytest_runtest_setup(Item())
