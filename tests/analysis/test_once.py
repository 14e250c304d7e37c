"""What is derived from the same records is made once within a block, and forgotten after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onnxprof.analysis import reconcile as tables
from onnxprof.analysis.once import once, remembering
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.compare.align import align
from onnxprof.compare.replicates import latency_group, step_replicates
from onnxprof.errors import StoreError
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


class Counted:
    """Makes lists and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def make(self, *things: object) -> list[object]:
        self.calls += 1
        return list(things)


def test_outside_of_a_block_everything_is_made_each_time() -> None:
    work, thing = Counted(), object()
    make = work.make
    assert once(make, thing) is not once(make, thing)
    assert work.calls == 2


def test_within_a_block_each_thing_is_looked_at_once() -> None:
    work, first, second = Counted(), object(), object()
    make = work.make
    with remembering():
        assert once(make, first) is once(make, first)
        assert once(make, first, second) is once(make, first, second)
        assert once(make, second, first) == [second, first]
        with remembering():  # an inner block is part of the outer one
            once(make, first)
        once(make, first)
    assert work.calls == 3
    once(make, first)
    assert work.calls == 4


def test_equal_things_are_told_apart_and_none_gets_the_identity_of_another() -> None:
    work = Counted()
    make = work.make
    with remembering():
        for number in range(1000):  # each would have the place in memory of the one before
            assert once(make, (number, "x" * number)) == [(number, "x" * number)]
    assert work.calls == 1000


def test_what_raises_raises_again_and_the_block_ends_with_it() -> None:
    bare = sample_run()
    failed = Run(**{name: getattr(bare, name) for name in _FIELDS}, failure="killed")
    with remembering():
        for _ in range(2):
            with pytest.raises(StoreError, match="killed"):
                reconcile(failed)
    with pytest.raises(KeyError), remembering():
        raise KeyError
    work, thing = Counted(), object()
    make = work.make
    once(make, thing)
    once(make, thing)
    assert work.calls == 2


_FIELDS = ("request", "model", "device", "environment", "created", "command", "table")


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Run]]:
    """The runs whose tables are made, within the block."""
    made: list[Run] = []
    original = tables._reconciled

    def counted(run: Run) -> tables.Reconciliation:
        made.append(run)
        return original(run)

    with monkeypatch.context() as patched:
        patched.setattr(tables, "_reconciled", counted)
        yield made


def test_a_run_of_many_alignments_has_its_table_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = [sample_run(scale=scale, seed=number) for number, scale in enumerate((1.0, 1.5, 2.0))]
    plain = [align([a, b]) for a in runs for b in runs if a is not b]
    with counting(monkeypatch) as made, remembering():
        again = [align([a, b]) for a in runs for b in runs if a is not b]
    assert [each.rows for each in again] == [each.rows for each in plain]
    assert [each.total for each in again] == [each.total for each in plain]
    assert len(made) == len(runs)
    assert {id(run) for run in made} == {id(run) for run in runs}


def test_what_is_kept_is_what_is_made_anew() -> None:
    run = sample_run()
    with remembering():
        for _ in range(2):
            assert reconcile(run) == tables._reconciled(run)
            assert (divided(run).step_ns == divided(sample_run()).step_ns).all()
            kept, anew = step_replicates(run), step_replicates(sample_run())
            assert (kept.times_ns == anew.times_ns).all()
            kept_group, anew_group = latency_group(run), latency_group(sample_run())
            assert (kept_group.times_ns == anew_group.times_ns).all()
