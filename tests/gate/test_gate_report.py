"""A gate's outcome in every form: words, widths, limits, and names that would do harm."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.gates.outcomes import FAILED, NEW, UNCHANGED, case, gated

from onnxprof.cli.output import plain_text
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.gate.cases import Gated, Outcome
from onnxprof.gate.report.annotations import annotated, data, muted, place, prop
from onnxprof.gate.report.code_quality import code_quality
from onnxprof.gate.report.document import document
from onnxprof.gate.report.markdown import LARGEST, MARK, markdown
from onnxprof.gate.report.terminal import rendered
from onnxprof.publish.json.gates import GATE

HOSTILE = "::error file=x::%0A\n##[add-mask]a, b: <b>|@all `x`\u202e"


def shown(outcome: Gated) -> str:
    return plain_text(rendered(outcome))


def test_a_slowdown_on_a_terminal() -> None:
    text = shown(gated(case(ratio=1.2)))
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    assert "models/net.onnx, batch 1" in flat
    assert "Slower: 1.200 times main (0123456789) (" in flat
    assert "more than the 5 % that passes" in flat
    assert "Processes of one model scatter by" in flat
    assert "Layers that changed, the largest change first:" in flat
    assert text.rstrip().endswith("Gate: 1 of 1 case slower by more than 5 %.")


def test_nothing_changed_on_a_terminal() -> None:
    text = " ".join(shown(gated(case(), NEW, UNCHANGED)).split())
    assert "Same: 1.000 times main" in text
    assert "within the limit of 5 %" in text
    assert "New: main (0123456789) has no such model" in text
    assert "Unchanged: the same bytes as in main" in text
    assert text.endswith("Gate: nothing is shown to be slower by more than 5 %.")


def test_where_nothing_was_measured_no_rule_is_told() -> None:
    for text in (shown(gated(NEW, UNCHANGED)), markdown(gated(NEW, UNCHANGED))):
        assert "measured in turn" not in text
        assert "nothing is shown to be slower" in text


def test_a_noisy_machine_says_so_everywhere() -> None:
    outcome = gated(case(scatter=0.08))
    assert outcome.exit_code == 0
    for text in (shown(outcome), markdown(outcome)):
        flat = " ".join(text.replace("> ", "").split())
        assert re.search(r"oo noisy to tell a slowdown of 5 % from none with 10 pairs", flat)
        assert re.search(r"--processes \d+ --budget \d+ would", flat)
    assert [line[:9] for line in annotated(outcome, {})] == ["::warning"]
    (issue,) = json.loads(code_quality(outcome, {}))
    assert issue["severity"] == "info"


def test_what_is_required_is_said() -> None:
    outcome = gated(case(scatter=0.08), required=Requirement.NO_SLOWER)
    assert outcome.exit_code == 1
    text = markdown(outcome)
    assert "### 🔴 onnxprof gate: 1 of 1 case not shown to be within 5 %" in text
    assert "slower than the limit, or not shown to be within 5 %" in text
    assert "and --require no-slower asks for more" in annotated(outcome, {})[0]
    assert annotated(outcome, {})[0].startswith("::error")


@pytest.mark.parametrize(
    ("required", "stopped"),
    [
        (None, ["slower"]),
        (Requirement.NO_SLOWER, ["slower", "undecided"]),
        (Requirement.SAME, ["slower", "faster", "undecided"]),
        (Requirement.FASTER, ["slower", "same", "undecided", "unchanged"]),
    ],
)
def test_what_stops_a_gate(required: Requirement | None, stopped: list[str]) -> None:
    cases = (case(ratio=1.2), case(), case(ratio=0.8), case(scatter=0.08), NEW, UNCHANGED)
    outcome = gated(*cases, required=required)
    assert [one.outcome.value for one in outcome.stopped] == stopped
    assert outcome.exit_code == 1
    assert gated(*cases, FAILED, required=required).exit_code == 2


def test_faster_or_the_same_is_enough_to_be_no_slower() -> None:
    either = case(ratio=0.97, scatter=0.02)
    assert either.outcome is Outcome.UNDECIDED
    assert gated(either, required=Requirement.NO_SLOWER).exit_code == 0
    assert gated(either, required=Requirement.SAME).exit_code == 1


def test_markdown_of_a_slowdown() -> None:
    text = markdown(gated(case(ratio=1.2), NEW, FAILED))
    assert text.startswith(f"{MARK}\n### 🔴 onnxprof gate: 1 of 3 cases not measured\n")
    assert "| model | batch | old | new | new / old | 98 % interval | verdict |" in text
    rows = [line for line in text.splitlines() if line.startswith("| models/")]
    assert rows[0].startswith("| models/net.onnx | 1 | ")
    assert rows[0].endswith("| 🔴 slower |")
    assert rows[1].endswith("| ❌ failed |")
    assert "| /block/conv\\_0 +1 |" in text
    assert "it is damaged" in text
    assert "<details><summary>How well this machine can tell</summary>" in text
    assert text.count("|\n") >= 8
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_markdown_of_no_change_has_no_layers() -> None:
    text = markdown(gated(case()))
    assert "### 🟢 onnxprof gate: nothing is shown to be slower by more than 5 %" in text
    assert "conv" not in text


def test_names_do_no_harm() -> None:
    outcome = gated(case(model=HOSTILE, ratio=1.2, name=HOSTILE, layers=[HOSTILE, "|x", "<i>"]))
    text = markdown(outcome)
    assert "<b>" not in text
    assert "@all" not in text
    assert "\u202e" not in text
    tables = [line for line in text.splitlines() if "::error" in line and line.startswith("|")]
    assert tables
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in tables)
    for line in (*annotated(outcome, {}), *shown(outcome).splitlines()):
        assert "\n" not in line
        assert "\u202e" not in line
    for line in annotated(outcome, {}):
        kind, properties, message = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line).groups()
        assert kind == "error"
        assert {part.partition("=")[0] for part in properties.split(",")} <= {"file", "title"}
        assert "%" not in re.sub("%(25|0A|0D)", "", message)


def test_workflow_commands_are_escaped() -> None:
    assert data("5 % of\r\na, b: c") == "5 %25 of%0D%0Aa, b: c"
    assert prop("5 % of\na, b: c") == "5 %25 of%0Aa%2C b%3A c"
    stop, go_on = muted("0f")
    assert (stop, go_on) == ("::stop-commands::0f", "::0f::")


def test_annotations_are_no_more_than_github_shows() -> None:
    slow = [case(model=f"m{i}.onnx", ratio=1.2) for i in range(12)]
    told = annotated(gated(*slow, NEW), {})
    assert [line.partition(" ")[0] for line in told] == ["::error"] * 10 + ["::notice"]


def test_paths_are_those_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    environ = {"GITHUB_WORKSPACE": str(tmp_path)}
    assert place("net.onnx", environ) == "sub/net.onnx"
    assert place("../net.onnx", environ) == "net.onnx"
    assert place("/elsewhere/net.onnx", environ) == ""
    assert place("zoo:lenet", environ) == ""
    told = annotated(gated(replace(FAILED, model="net.onnx")), environ)
    assert told[0].startswith("::error file=sub/net.onnx,title=onnxprof gate%3A failed::net.onnx")


def test_code_quality_has_the_fields_that_gitlab_reads() -> None:
    outcome = gated(case(ratio=1.2), case("models/b.onnx", scatter=0.08), FAILED, NEW)
    issues = json.loads(code_quality(outcome, {}))
    assert [issue["severity"] for issue in issues] == ["major", "info", "critical"]
    assert len({issue["fingerprint"] for issue in issues}) == 3
    for issue in issues:
        check_issue(issue)
    again = json.loads(code_quality(outcome, {}))
    assert [i["fingerprint"] for i in again] == [i["fingerprint"] for i in issues]
    assert json.loads(code_quality(gated(NEW), {})) == []


def test_the_document_has_everything() -> None:
    outcome = gated(case(ratio=1.2), NEW, FAILED)
    told = json.loads(document(outcome))
    Draft202012Validator(GATE.schema).validate(told)
    assert (told["schema"], told["exit_code"]) == ("onnxprof.gate/1", 2)
    slow, new, failed = told["cases"]
    assert (slow["outcome"], slow["stops"]) == ("slower", True)
    assert slow["low"] < slow["ratio"] < slow["high"]
    assert [layer["verdict"] for layer in slow["layers"]][:2] == ["slower", "slower"]
    assert slow["noise"]["process_scatter"] == outcome.cases[0].noise.of_processes
    assert (new["outcome"], new["ratio"], new["noise"], new["layers"]) == ("new", None, None, [])
    assert failed["why"] == "it is damaged"
    assert set(new) == set(slow) == set(failed)
    assert document(gated(case(name=HOSTILE, layers=[HOSTILE]))).isascii()


def check_issue(issue: dict) -> None:
    """The table of fields in GitLab's documentation, "Code Quality report format"."""
    assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
    texts = ("description", "check_name", "fingerprint")
    assert all(isinstance(issue[key], str) and issue[key] for key in texts)
    assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
    path = issue["location"]["path"]
    assert path
    assert not path.startswith(("/", "./"))
    assert issue["location"]["lines"] == {"begin": 1}


def many(count: int, length: int) -> Gated:
    one = case(ratio=1.2, layers=["l" * length, "m" * length])
    return gated(*(replace(one, model=f"models/{i}-{'n' * length}.onnx") for i in range(count)))


@pytest.mark.parametrize(("count", "length"), [(1, 20), (60, 200), (400, 200), (3000, 1000)])
def test_a_comment_is_never_too_long(count: int, length: int) -> None:
    text = markdown(many(count, length))
    assert len(text.encode()) <= LARGEST
    assert text.startswith(MARK)
    assert "slower by more than 5 %" in text
    if count > 60:
        assert "more cases are not shown" in text
    else:
        assert text.endswith("</sub>\n")


def test_even_the_least_room_has_the_headline() -> None:
    assert markdown(many(30, 200), 300).splitlines()[1].startswith("### 🔴 onnxprof gate")


def test_where_no_layer_changed_beyond_chance_the_largest_differences_stand() -> None:
    slow = case(ratio=1.2)
    assert slow.pair is not None
    quiet = replace(slow.pair, rows=case().pair.rows)  # type: ignore[union-attr]
    text = shown(gated(replace(slow, pair=quiet)))
    assert "No layer by itself changed beyond chance" in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_words(outcome: Outcome) -> None:
    judged = case(ratio=1.2)
    told = replace(judged, outcome=outcome) if outcome is not Outcome.FAILED else FAILED
    for text in (shown(gated(told)), markdown(gated(told))):
        assert outcome.value in text.lower()
