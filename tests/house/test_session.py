"""How the suite itself is run: what goes to which process, and how skipped tests are told."""

from __future__ import annotations

import pytest
from support import session
from support.places import ROOT


def test_files_that_are_named_exist() -> None:
    for file in session.SPREAD | session.ALONE | session.LONG.keys():
        assert (ROOT / file).is_file(), file


def test_a_file_that_makes_something_for_its_module_stays_whole() -> None:
    for file in session.SPREAD:
        text = (ROOT / file).read_text("utf-8")
        assert 'scope="module"' not in text, file
        assert "support.browsing" not in text, file


def test_what_goes_to_a_process_as_a_whole() -> None:
    assert session.unit("tests/a/test_a.py::test_x[a::b]") == "tests/a/test_a.py"
    spread, *alone = (min(session.SPREAD), *sorted(session.ALONE))
    assert session.unit(f"{spread}::test_x") == f"{spread}::test_x"
    assert {session.unit(f"{file}::test_x") for file in alone} == {"alone"}


def test_the_longest_unit_is_handed_out_first() -> None:
    long, spread = min(session.LONG), f"{min(session.SPREAD)}::test_x"
    units = session.LongestFirst()
    for name, count in (
        (spread, 1),
        ("tests/a.py", 1),
        (long, 1),
        ("alone", 1),
        ("tests/b.py", 90),
    ):
        units[name] = dict.fromkeys(map(str, range(count)), False)
    order = [units.popitem(last=False)[0] for _ in range(5)]
    assert order[0] == "alone"
    assert order.index("tests/b.py") < order.index("tests/a.py")
    assert order.index(long) < order.index(spread)
    assert not units


@pytest.mark.parametrize(
    ("cores", "gibibytes", "expected"), [(1, 64, 2), (2, 1, 2), (4, 64, 4), (64, 64, 8), (8, 10, 3)]
)
def test_as_many_processes_as_cores_and_memory_allow(
    cores: int, gibibytes: int, expected: int
) -> None:
    assert session.workers(cores, gibibytes << 30) == expected


def test_a_reason_is_one_line_however_often_it_is_given() -> None:
    told = [("a.py", 1, "Skipped: no GPU"), ("b.py", 2, "Skipped: no GPU"), ("a.py", 9, "no\n x")]
    reports = [
        pytest.TestReport("a", ("a", 1, "a"), {}, "skipped", longrepr, "call") for longrepr in told
    ]
    lines = list(session.folded(session.reason(report) for report in reports))
    assert lines == ["   2  no GPU", "   1  no x"]
