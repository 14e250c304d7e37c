"""Runs with other options of the runtime are told apart wherever runs are compared or listed."""

from __future__ import annotations

import dataclasses
from typing import Any

from onnxprof.compare.pairing import pair
from onnxprof.compare.scaling import families
from onnxprof.compare.systems import differences, labels, newest, system
from onnxprof.publish.leaderboard.board import board
from onnxprof.publish.pages.catalogue import catalogue, measured
from onnxprof.publish.tables import identity
from onnxprof.publish.tables.run_summary import headline
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

PACKING = (("session.disable_prepacking", "1"),)


def run(model: str = "sample", batch: int = 1, **asked: Any) -> Run:
    made = sample_run(model, batch)
    return dataclasses.replace(made, request=dataclasses.replace(made.request, **asked))


PLAIN, SET = run(), run(session_options=PACKING)
BASIC = run(optimization_level="basic")


def test_folders_pair_runs_of_the_same_options_alone() -> None:
    found = pair([PLAIN, SET], [SET, BASIC])
    assert [(a[0], b[0]) for a, b in found.pairs] == [(SET, SET)]
    assert (found.unmatched_a, found.unmatched_b) == ((PLAIN,), (BASIC,))


def test_two_runs_that_are_named_are_compared_and_the_difference_is_told() -> None:
    [(a, b)] = pair([PLAIN], [SET]).pairs
    told = {fact.what: (fact.a, fact.b) for fact in differences(a[0], b[0])}
    assert told["options"] == ("none", "session.disable_prepacking=1")
    assert "options" not in {fact.what for fact in differences(PLAIN, run(seed=3))}


def test_systems_and_their_labels_name_the_options() -> None:
    runs = [PLAIN, SET, BASIC]
    assert len({system(each) for each in runs}) == 3
    assert newest([*runs, *runs]) == runs
    assert labels(runs) == (
        "fake usual options",
        "fake session.disable_prepacking=1",
        "fake optimisation level basic",
    )
    assert labels([PLAIN, run("other")]) == ("fake sample", "fake other")


def test_a_curve_over_batches_has_one_setting() -> None:
    runs = [run(), run(batch=8), run(batch=8, session_options=PACKING)]
    [family] = families(runs)
    assert family == runs[:2]


def test_a_page_shows_them_as_systems_and_rankings_leave_them_out() -> None:
    [page] = catalogue([PLAIN, SET, BASIC])
    assert {each.settings for each in page.systems} == {
        (),
        ("session.disable_prepacking=1",),
        ("optimisation level basic",),
    }
    assert page.systems[0].settings == (), "the usual setting comes first"
    assert len({system_.key for system_ in page.systems}) == 3
    [ranked] = measured([page])
    assert [entry.run for entry in ranked.entries] == [PLAIN]
    assert len(board([ranked]).records[0]) == 1
    assert measured(catalogue([SET])) == []


def test_tables_have_a_column_for_them() -> None:
    cells = dict(zip(identity.COLUMNS, identity.identity(SET), strict=True))
    assert cells["options"] == "session.disable_prepacking=1"
    assert identity.COLUMNS[-1] == "options"
    assert identity.identity(PLAIN)[-1] == ""
    assert headline(SET).plain.endswith("2 threads, session.disable_prepacking=1")
    assert headline(PLAIN).plain.endswith("2 threads")
    request = dataclasses.replace(PLAIN.request, phase="decode:512", dims=(("past", 0),))
    sized = dataclasses.replace(PLAIN, request=request)
    assert ", batch 1, decode:512, past=0, " in headline(sized).plain
