"""Loads as text, CSV and JSON: what a reader must see, in 80 columns, whatever the names."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import RenderableType
from support.golden import check_golden
from support.runs.scenarios import answer, asked, scenario_run
from support.sites import HOSTILE

from onnxprof.cli.output import plain_text
from onnxprof.publish.tables import scenarios as shown
from onnxprof.publish.text import scenarios as words
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.records.scenarios.run import LABEL, Probe, ScenarioRun
from onnxprof.records.step import Setup
from onnxprof.records.warning import RunWarning, WarningKind


def flat(parts: Iterable[RenderableType]) -> str:
    """The text in one line, so that breaks do not matter."""
    return " ".join(plain_text(*parts).split())


def test_a_server_run_in_80_columns() -> None:
    made = scenario_run(
        asked=asked(sessions=2, max_batch=4, max_wait_ns=2_000_000),
        probes=(Probe(70.0, False, 30_000_000, 200), Probe(52.0, True, 9_000_000, 200)),
        batches=((1, 600), (2, 200)),
        warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.5),),
    )
    text = plain_text(*shown.summary(made))
    assert all(len(line) <= 80 for line in text.splitlines())
    check_golden("scenario_80.txt", text)


@pytest.mark.parametrize("scenario", Scenario)
def test_the_label_and_the_figure_are_there(scenario: Scenario) -> None:
    text = flat(shown.summary(scenario_run(scenario)))
    assert LABEL in text
    assert "Quick" not in text
    figures = ("3.000 ms at the 90th", "4.000 ms at the 99th", "50 queries/s", "49.5 samples/s")
    assert figures[list(Scenario).index(scenario)] in text
    assert "a system that does nothing" in text
    assert "6.0.17" in text


def test_a_quick_run_is_marked_everywhere() -> None:
    made = scenario_run(asked=asked(duration_s=5.0))
    assert "Quick: 5 s, where the rules have 600 s." in flat(shown.summary(made))
    assert "50 queries/s q" in flat([shown.list_table([made])])
    assert "50 queries/s q" in flat(shown.matrix_tables([made]))
    assert next(csv.DictReader(shown.to_csv([made]).splitlines()))["quick"] == "True"
    few = scenario_run(Scenario.OFFLINE, asked=asked(Scenario.OFFLINE, samples=9))
    assert "600 s and 24,576 samples" in flat(shown.summary(few))


def test_an_invalid_run_says_why_and_has_a_mark() -> None:
    late = replace(
        answer(Scenario.SERVER),
        **{"valid": False, "latency_met": False, "early_stopping_met": False, "over_latency": 40},
        early_stopping="Would need to run at least 9 more queries.",
    )
    made = scenario_run(answer=late)
    text = flat(shown.summary(made))
    assert "no rate is in time: at 50 queries/s" in text
    assert "40 of them late" in text
    assert "no: the percentile is above the target latency; too few queries" in text
    assert "LoadGen on early stopping: Would need to run at least 9 more" in text
    assert "none !" in flat([shown.list_table([made])])
    assert "too late at 50" in words.result_text(replace(made, asked=asked(rate=50.0)))


def test_a_floor_that_is_much_of_the_result_is_said_to_be() -> None:
    heavy = replace(answer(Scenario.SINGLE_STREAM), percentile_ns=300_000)
    made = scenario_run(Scenario.SINGLE_STREAM, floor=heavy)
    assert "10.0 % of the result; so much of it may be LoadGen's own" in words.floor_text(made)
    assert "LoadGen's own" not in words.floor_text(scenario_run(Scenario.SINGLE_STREAM))
    assert words.floor_text(replace(made, floor=None)) == "not measured"


def test_a_floor_of_offline_is_a_rate_above_the_result() -> None:
    usual = answer(Scenario.OFFLINE)
    twice = replace(usual, completed_rate=2 * usual.completed_rate)
    text = words.floor_text(scenario_run(Scenario.OFFLINE, floor=twice))
    assert "samples/s; its time of a sample is 50.0 % of the result's; so much of it" in text


def test_a_failed_run_has_its_reason() -> None:
    made = scenario_run(answer=None, floor=None, failure="was ended by SIGSEGV")
    assert "was ended by SIGSEGV" in flat(shown.summary(made))
    assert "failed" in flat([shown.list_table([made])])
    row = next(csv.DictReader(shown.to_csv([made]).splitlines()))
    assert (row["failure"], row["valid"]) == ("was ended by SIGSEGV", "")


def test_the_matrix_has_a_row_a_system_and_a_column_a_model() -> None:
    runs = [
        scenario_run(Scenario.OFFLINE, "alpha"),
        scenario_run(Scenario.OFFLINE, "beta"),
        scenario_run(Scenario.OFFLINE, "beta", asked=asked(Scenario.OFFLINE, "beta", max_batch=8)),
        scenario_run(Scenario.SERVER, "alpha", asked=asked(model="alpha", rate=9.0)),
    ]
    (matrix,) = shown.matrices(runs)  # a rate that was given is no result to be set beside others
    assert [system.name for system in matrix.systems] == [
        "fake, 2 threads",
        "fake, 2 threads, batch 8",
    ]
    assert [(name, [run is not None for run in row]) for name, row in matrix.rows] == [
        ("alpha", [True, False]),
        ("beta", [True, True]),
    ]
    assert flat(shown.matrix_tables(runs)).count("49.5 samples/s") == 3


def cell(*runs: ScenarioRun) -> ScenarioRun | None:
    return shown.matrices(runs)[0].rows[0][1][0]


def test_of_several_runs_whole_and_valid_ones_count_then_the_newest() -> None:
    whole = scenario_run()
    quick = scenario_run(asked=asked(duration_s=5.0), created="2026-02-01T00:00:00Z")
    invalid = scenario_run(
        answer=replace(answer(Scenario.SERVER), valid=False), created="2026-03-01T00:00:00Z"
    )
    newer = replace(whole, created="2026-04-01T00:00:00Z")
    assert cell(whole, quick, invalid) == whole
    assert cell(quick, invalid) == invalid
    assert cell(whole, newer) == newer
    failed = replace(newer, answer=None, failure="killed")
    assert cell(quick, failed) == quick, "a failed one stands only where no other succeeded"
    assert cell(failed) == failed


def test_csv_and_json_have_the_same_values() -> None:
    runs = [scenario_run(scenario) for scenario in Scenario]
    rows = list(csv.DictReader(shown.to_csv(runs).splitlines()))
    made = json.loads(shown.json_text(runs))
    assert [row["scenario"] for row in rows] == [str(scenario) for scenario in Scenario]
    for row, values in zip(rows, made, strict=True):
        assert values.pop("record")["answer"]["settings"][1] == ["qsl_rng_seed", "7"]
        assert {key: "" if v is None else str(v) for key, v in values.items()} == row
        assert row["label"] == LABEL


def test_names_of_strangers_are_escaped() -> None:
    whole = scenario_run(model=HOSTILE)
    made = replace(
        whole, device=replace(whole.device, name=HOSTILE), command=HOSTILE, loadgen=HOSTILE
    )
    parts = [*shown.summary(made), shown.list_table([made]), *shown.matrix_tables([made])]
    text = plain_text(*parts) + shown.to_csv([made]) + shown.json_text([made])
    assert "\x07" not in text
    assert "\u202e" not in text


def test_settings_of_the_runtime_make_another_system_and_are_told() -> None:
    usual = scenario_run()
    basic = replace(usual, asked=asked(setup=Setup("basic", (("a", "1"),))))
    assert shown.system(basic).name.count("optimisation level basic, a=1") == 1
    assert shown.system(basic) != shown.system(usual)
    (matrix,) = shown.matrices([usual, basic])
    assert len(matrix.systems) == 2
    assert "optimisation level basic, a=1" in flat(shown.summary(basic))
    assert [row["options"] for row in shown.records([usual, basic])] == [
        "",
        "optimisation level basic; a=1",
    ]
