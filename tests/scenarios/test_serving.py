"""From queries to inferences: what shares an inference, how long it waits, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.scenarios.serving import Direct, Queue, Serving, size_for, sizes
from onnxprof.testing import ScriptedClock


def refuse(error: BaseException) -> None:
    raise error


def answered(serving: Serving, queries: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """The sizes of inferences and the samples in the order of their answers, of one session."""
    seen: list[int] = []
    done: list[int] = []
    queue = Queue(serving, refuse).answering(done.extend)
    for ids in queries:
        queue.issue(ids)
    queue.flush()
    queue.close()
    queue.serve(seen.append)
    assert queue.batches == {size: seen.count(size) for size in seen}
    return seen, done


def test_a_direct_answer_comes_in_parts_of_the_batch() -> None:
    seen: list[int] = []
    done: list[int] = []
    direct = Direct(seen.append, Serving(max_batch=3), done.extend, refuse)
    direct.issue(range(8))
    assert (seen, done) == ([3, 3, 2], [*range(8)])
    assert direct.batches == {3: 2, 2: 1}


def test_an_error_of_a_session_goes_to_who_asked_to_hear_of_it() -> None:
    heard: list[BaseException] = []

    def broken(_: int) -> None:
        raise ZeroDivisionError

    Direct(broken, Serving(), lambda _: None, heard.append).issue([1])
    queue = Queue(Serving(), heard.append).answering(lambda _: None)
    queue.issue([1])
    queue.serve(broken)
    assert [type(error) for error in heard] == [ZeroDivisionError] * 2


@given(
    counts=st.lists(st.integers(1, 9), max_size=8),
    max_batch=st.integers(1, 6),
    wait=st.sampled_from((0, 10**12)),
)
def test_every_sample_is_answered_once_and_in_order(
    counts: list[int], max_batch: int, wait: int
) -> None:
    ids = iter(range(1000))
    queries = [[next(ids) for _ in range(count)] for count in counts]
    seen, done = answered(Serving(max_batch=max_batch, max_wait_ns=wait), queries)
    assert done == [one for query in queries for one in query]
    assert sum(seen) == len(done)
    assert all(size == max_batch for size in seen[:-1])
    assert not seen or 1 <= seen[-1] <= max_batch


def waiting(samples: int, ms: float, clock: ScriptedClock) -> Queue:
    """A queue in which samples may wait so long for a batch of four."""
    serving = Serving(max_batch=4, max_wait_ns=round(ms * 1e6))
    queue = Queue(serving, refuse, clock).answering(lambda _: None)
    queue.issue(range(samples))
    return queue


def test_a_sample_waits_for_others_but_no_longer_than_it_may() -> None:
    clock = ScriptedClock()
    queue = waiting(1, 2, clock)
    assert queue._left_ns() == 2_000_000
    clock.advance(500_000)
    queue.issue([7])
    assert queue._left_ns() == 1_500_000  # counted from the first
    clock.advance(1_500_000)
    assert queue._left_ns() <= 0
    assert queue._next() == [0, 7]


def test_a_full_batch_does_not_wait_and_neither_does_the_last() -> None:
    clock = ScriptedClock()
    full = waiting(5, 2, clock)
    assert full._next() == [0, 1, 2, 3]
    assert full._left_ns() == 2_000_000
    full.flush()
    assert full._next() == [4]


def test_sessions_share_the_queue() -> None:
    """Each of two sessions is in an inference before either ends."""
    both = threading.Barrier(2, timeout=30)
    done: list[int] = []
    queue = Queue(Serving(sessions=2), refuse).answering(done.extend)
    threads = [
        threading.Thread(target=queue.serve, args=(lambda _: both.wait() and None,))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    queue.issue([1, 2])
    queue.close()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [1, 2]


@pytest.mark.parametrize(
    ("max_batch", "loaded"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))],
)
def test_the_batches_that_are_loaded(max_batch: int, loaded: tuple[int, ...]) -> None:
    assert sizes(max_batch) == loaded
    for samples in range(1, max_batch + 1):
        assert samples <= size_for(samples, loaded) < 2 * samples
