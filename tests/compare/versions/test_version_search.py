"""The first slow version: the search, what is watched, and how versions are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inturn import Machine, against

from onnxprof.compare.changes import Pair, Row
from onnxprof.compare.verdict import Verdict
from onnxprof.compare.versions.bisecting import Bisection, Step, bisect, like, mark_of, watched
from onnxprof.compare.versions.by_operator import by_operator
from onnxprof.compare.versions.search import Found, Mark, most_steps, search
from onnxprof.errors import BackendError

LAYERS = (1_000_000, 300_000, 500_000)
SLOW = (1_000_000, 480_000, 500_000)


@given(st.integers(2, 60), st.data())
def test_the_first_slow_one_is_found_in_log2_steps(count: int, data: st.DataObject) -> None:
    versions = [str(number) for number in range(count)]
    first = data.draw(st.integers(1, count - 1))
    asked: list[str] = []

    def judge(version: str) -> Mark:
        asked.append(version)
        return Mark.SLOW if int(version) >= first else Mark.GOOD

    found = search(versions, judge)
    assert found == Found(str(first - 1), str(first))
    assert len(asked) <= most_steps(versions)
    assert len(set(asked)) == len(asked)


@given(st.integers(2, 40), st.data())
def test_what_cannot_be_judged_is_passed_over(count: int, data: st.DataObject) -> None:
    versions = [str(number) for number in range(count)]
    first = data.draw(st.integers(1, count - 1))
    lost = data.draw(st.sets(st.integers(1, max(1, count - 2))))
    marks = {
        str(n): Mark.SKIPPED if n in lost else Mark.SLOW if n >= first else Mark.GOOD
        for n in range(1, count - 1)
    }
    found = search(versions, marks.__getitem__)
    known = [0, *(n for n in range(1, count - 1) if n not in lost), count - 1]
    assert int(found.good) == max(n for n in known if n < first)
    assert int(found.slow) == min(n for n in known if n >= first)
    assert found.open == tuple(versions[int(found.good) + 1 : int(found.slow)])
    assert first in range(int(found.good) + 1, int(found.slow) + 1)


def pair_of(slow: tuple[int, ...], seed: int = 0) -> Pair:
    return against(Machine({"a": LAYERS, "b": slow}, jitter=0.003, seed=seed), 4, 0.2)


def test_the_layer_that_holds_the_loss_is_watched() -> None:
    row = watched(pair_of(SLOW))
    assert row is not None
    assert len(row.layers) == 1
    assert row.ratio == pytest.approx(1.6, abs=0.02)


def test_the_model_is_watched_where_no_layer_holds_half_of_the_loss() -> None:
    spread = watched(pair_of((1_100_000, 400_000, 600_000)))
    assert spread is not None
    assert spread.layers == ()


def test_a_slow_layer_counts_where_the_model_is_as_fast_as_before() -> None:
    row = watched(pair_of((820_000, 480_000, 500_000)))
    assert row is not None
    assert row.ratio == pytest.approx(1.6, abs=0.02)


def test_nothing_slower_is_nothing_to_watch() -> None:
    assert watched(pair_of(LAYERS)) is None
    assert watched(pair_of((900_000, 200_000, 500_000))) is None


def measuring(durations: dict[str, tuple[int, ...]]) -> Callable[[str, bool], Pair]:
    return lambda version, _: pair_of(durations[version], seed=int(version))


def test_a_layer_is_followed_from_version_to_version() -> None:
    versions = [str(n) for n in range(9)]
    durations = {v: SLOW if int(v) >= 6 else LAYERS for v in versions}
    # what is not watched may change on the way
    durations["4"] = (1_300_000, 300_000, 500_000)
    ends = watched(pair_of(durations["8"]))
    assert ends is not None
    told: list[Step] = []
    done = bisect("fakert", versions, ends, measuring(durations), told.append)
    assert done.found == Found("5", "6")
    assert [step.version for step in done.steps] == ["4", "6", "5"]
    assert told == list(done.steps)
    assert done.explained == pytest.approx(1.0, abs=0.05)
    assert not done.has_more


def test_a_loss_that_came_in_parts_is_said() -> None:
    versions = [str(n) for n in range(5)]
    middle = (1_000_000, 340_000, 500_000)
    durations = {"1": LAYERS, "2": middle, "3": middle, "4": SLOW}
    ends = watched(pair_of(SLOW))
    assert ends is not None
    done = bisect("fakert", versions, ends, measuring(durations))
    assert done.found == Found("1", "2")
    assert done.has_more
    assert done.explained == pytest.approx(0.27, abs=0.05)


def test_a_version_that_does_not_install_is_skipped_with_its_reason() -> None:
    versions = [str(n) for n in range(4)]
    ends = watched(pair_of(SLOW))
    assert ends is not None

    def measure(version: str, again: bool) -> Pair:
        if version == "1":
            raise BackendError("has no wheel", where="fakert 1")
        return pair_of(SLOW)

    done = bisect("fakert", versions, ends, measure)
    assert done.found == Found("0", "2", ("1",))
    assert [(step.version, step.mark) for step in done.steps] == [
        *(("1", Mark.SKIPPED), ("2", Mark.SLOW))
    ]
    assert done.steps[0].reason == "fakert 1: has no wheel"


def row(verdict: Verdict, ratio: float = 1.0, high: float = 1.1, name: str = "conv") -> Row:
    return Row(name, (name,), 1e6, 1e6 * ratio, verdict, ratio, (0.9, high))


@pytest.mark.parametrize(
    ("seen", "mark"),
    [
        (row(Verdict.SLOWER, 1.5, 1.6), Mark.SLOW),
        (row(Verdict.FASTER, 0.5, 0.6), Mark.GOOD),
        (row(Verdict.SAME), Mark.GOOD),
        (row(Verdict.UNDECIDED, 1.0, 1.2), Mark.GOOD),  # far from the 1.69 of the slow end
        (row(Verdict.UNDECIDED, 1.1, 1.4), Mark.SKIPPED),
        (replace(row(Verdict.UNDECIDED), interval=None), Mark.SKIPPED),
    ],
)
def test_what_a_row_says_of_its_version(seen: Row, mark: Mark) -> None:
    assert mark_of(seen, row(Verdict.SLOWER, 1.69, 1.8)) is mark


def test_an_undecided_version_is_measured_again_for_longer_and_then_skipped() -> None:
    pair, ends = pair_of(LAYERS), watched(pair_of(SLOW))
    assert ends is not None
    open_ = tuple(replace(r, verdict=Verdict.UNDECIDED, interval=(0.9, 1.5)) for r in pair.rows)
    asked: list[bool] = []

    def measure(version: str, again: bool) -> Pair:
        asked.append(again)
        return replace(pair, rows=open_)

    done = bisect("fakert", ["0", "1", "2"], ends, measure)
    assert asked == [False, True]
    assert done.steps[0].mark is Mark.SKIPPED
    assert "undecided" in done.steps[0].reason
    assert done.found == Found("0", "2", ("1",))


def test_a_layer_that_one_side_does_not_run_is_no_answer() -> None:
    pair, ends = pair_of(LAYERS), watched(pair_of(SLOW))
    assert ends is not None
    assert like(pair, ends) is not None
    gone = tuple(replace(r, verdict=Verdict.ONLY_A) for r in pair.rows)
    assert like(replace(pair, rows=gone), ends) is None
    assert like(pair, replace(ends, layers=())) == pair.latency


def test_operators_add_up_to_their_rows() -> None:
    pair = pair_of(SLOW)
    found = by_operator(pair)
    assert found[0].slower == 1
    assert found[0].lost_ns == pytest.approx(180_000, rel=0.05)
    assert sum(each.a_ns for each in found) == sum(r.a_ns or 0.0 for r in pair.rows)
    assert sum(each.blocks for each in found) == len(pair.rows)


def test_the_first_slow_row_is_that_of_its_step_or_of_the_end() -> None:
    ends = row(Verdict.SLOWER, 2.0)
    step = Step("1", Mark.SLOW, row(Verdict.SLOWER, 1.5))
    done = Bisection("p", ends, "0", "2", (step,), Found("0", "1"))
    assert done.first is step.row
    assert replace(done, found=Found("1", "2")).first is ends
