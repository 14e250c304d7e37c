"""Versions of a runtime in every format: by operator, and the search for the first slow one."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from support.habits.documents import checked
from support.inturn import Machine, against

from onnxprof.api.results.versions import VersionsCompared
from onnxprof.cli.output import plain_text
from onnxprof.compare.changes import Comparison, Pair, Row, compare
from onnxprof.compare.verdict import Verdict
from onnxprof.compare.versions.bisecting import Bisection, Step
from onnxprof.compare.versions.search import Found, Mark
from onnxprof.publish.comparing import versions
from onnxprof.records.run import RUNTIME

LAYERS, SLOW = (1_000_000, 300_000, 500_000), (1_000_000, 480_000, 500_000)


def told_apart(pair: Pair) -> Pair:
    """The pair as runs of two versions."""
    sides = []
    for run, version in ((pair.a[0], "1.0"), (pair.b[0], "1.9")):
        request = replace(run.request, model_name="net", runtime=f"fakert=={version}")
        facts = (*run.environment, (RUNTIME, f"fakert {version}"))
        sides.append((replace(run, request=request, environment=facts),))
    return replace(pair, a=sides[0], b=sides[1])


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    pair = against(Machine({"a": LAYERS, "b": SLOW}, jitter=0.003), 4, 0.2)
    return Comparison((told_apart(pair),), 0.02, in_turn=True)


def test_a_profiler_that_costs_more_in_one_version_makes_no_layer_slower() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS}, jitter=0.003, costs={"a": 20_000, "b": 120_000})
    alike = against(machine, 4, 0.2)
    assert any(each.verdict is Verdict.SLOWER for each in alike.rows)  # as of one version
    apart = told_apart(alike)
    found = compare([(apart.a, apart.b)], 0.02, in_turn=True).pairs[0]
    assert {each.verdict for each in (found.latency, *found.rows)} == {Verdict.SAME}


def row(verdict: Verdict, ratio: float) -> Row:
    return Row(
        "conv<1>", ("conv<1>",), 1e6, 1e6 * ratio, verdict, ratio, (ratio - 0.01, ratio + 0.01)
    )


def search(*steps: Step, found: Found) -> Bisection:
    left_out = ("1.7 was yanked (wrong results)",)
    return Bisection("fakert", row(Verdict.SLOWER, 1.6), "1.0", "1.9", steps, found, left_out)


STEPS = (
    Step("1.4", Mark.SKIPPED, reason="fakert 1.4: has no wheel"),
    Step("1.5", Mark.SLOW, row(Verdict.SLOWER, 1.59)),
    Step("1.2", Mark.GOOD, row(Verdict.UNDECIDED, 1.01)),
    Step("1.3", Mark.GOOD, row(Verdict.SAME, 1.0)),
)
OPEN = search(*STEPS, found=Found("1.3", "1.5", ("1.4",)))


def test_a_terminal_shows_versions_operators_and_the_search(comparison) -> None:
    text = plain_text(versions.table(comparison, OPEN))
    assert max(map(len, text.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[1].startswith("A: fakert 1.0 on ")
    assert lines[2].startswith("B: fakert 1.9 on ")
    operators = lines.index("by operator rows A ms B ms B - A slower faster")
    assert lines[operators + 2].startswith("Op1 1 0.")
    assert "end 1.9 1.0000 1.6000 1.600 1.590–1.610 slower" in lines
    assert "1 1.4 skipped" in lines
    assert "2 1.5 1.0000 1.5900 1.590 1.580–1.600 slower" in lines
    assert "3 1.2 1.0000 1.0100 1.010 1.000–1.020 undecided" in lines
    assert "! 1.4 was skipped: fakert 1.4: has no wheel" in lines
    told = " ".join(lines)
    assert "The first slow version is one of 1.4, 1.5: fakert 1.3 is not slower, 1.5 is," in told
    assert "Not tried: 1.7 was yanked (wrong results)." in told
    assert "came later" not in told


def test_without_a_search_there_is_none(comparison) -> None:
    text = plain_text(versions.table(comparison, None))
    assert "by operator" in text
    assert "first slow" not in text


def test_a_loss_in_parts_says_from_where_to_go_on(comparison) -> None:
    steps = (Step("1.5", Mark.SLOW, row(Verdict.SLOWER, 1.1)),)
    parts = search(*steps, found=Found("1.0", "1.5"))
    told = " ".join(versions.outcome(parts))
    assert "The first slow version is fakert 1.5; 1.0 is the last that is not slower." in told
    assert "It has 20.3 % of what 1.9 lost; the rest came later: bisect from 1.5 to 1.9." in told


def test_the_model_itself_may_be_watched(comparison) -> None:
    whole = replace(OPEN, watched=replace(OPEN.watched, layers=()))
    assert "by the model's latency" in versions.heading(whole)
    assert "by the layer conv<1>" in versions.heading(OPEN)


@pytest.mark.parametrize("search", [OPEN, None])
def test_the_document_has_its_schema(comparison, search: Bisection | None) -> None:
    made = VersionsCompared(comparison, None, search)
    told = checked(made.to_json(), "compare")
    assert (told["bisection"] is None) is (search is None)
    assert told["pairs"][0]["operators"][0]["operator"] == "Op1"
    assert made.to_csv() == versions.to_csv(comparison, search)
    assert made.to_markdown() == versions.markdown(comparison, search)


def test_a_workbook_has_operators_and_versions(comparison) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    plain, whole = (VersionsCompared(comparison, None, each).to_xlsx() for each in (None, OPEN))
    names = ["verdicts", "operators", "runs", "caveats"]
    assert openpyxl.load_workbook(io.BytesIO(plain)).sheetnames == names
    book = openpyxl.load_workbook(io.BytesIO(whole))
    assert book.sheetnames == ["versions", "outcome", *names]
    assert [row[1].value for row in book["versions"]][1:] == ["1.9", "1.4", "1.5", "1.2", "1.3"]
    assert "one of 1.4, 1.5" in book["outcome"]["A2"].value
    assert [cell.value for cell in book["operators"][2]][2] == "Op1"


def test_markdown_is_safe_and_has_the_same(comparison) -> None:
    text = versions.markdown(comparison, OPEN)
    assert "conv<1>" not in text
    assert "| operator | rows | A ms | B ms | B - A | slower | faster |" in text
    assert "| 1 | 1.4 |  |  |  |  | skipped |" in text
    assert "The first slow version is one of 1.4, 1.5" in text


def test_json_and_csv_have_every_step(comparison) -> None:
    plain = versions.plain(comparison, OPEN)
    assert next(each["operator"] for each in plain["pairs"][0]["operators"]) == "Op1"
    found = plain["bisection"]
    assert (found["first_slow"], found["last_good"], found["not_judged"]) == ("1.5", "1.3", ["1.4"])
    rows = list(csv.DictReader(io.StringIO(versions.to_csv(comparison, OPEN))))
    assert list(rows[0]) == list(versions.COLUMNS)
    assert [(each["step"], each["version"], each["outcome"]) for each in rows] == [
        *(("0", "1.9", "slower"), ("1", "1.4", "skipped"), ("2", "1.5", "slower")),
        *(("3", "1.2", "not slower"), ("4", "1.3", "not slower")),
    ]
    assert rows[1]["why"] == "fakert 1.4: has no wheel"
    assert versions.to_csv(comparison, None).startswith("model,batch,layer")
    assert versions.plain(comparison, None)["bisection"] is None
