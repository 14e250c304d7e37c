"""A gate over phases and sizes: what is planned, judged and reported as a case of its own."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from support.decoders.cells import cell
from support.decoders.grouped import grouped_decoder
from support.decoders.plain import plain_decoder
from support.gates.outcomes import case, gated
from support.inturn import Machine, job
from support.networks import models

from onnxprof.cli.output import plain_text
from onnxprof.errors import UsageError
from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.conduct import Planned, Told, conducted, planned
from onnxprof.gate.report.annotations import annotated
from onnxprof.gate.report.code_quality import code_quality
from onnxprof.gate.report.document import document
from onnxprof.gate.report.markdown import markdown
from onnxprof.gate.report.terminal import rendered
from onnxprof.gate.rule import Rule
from onnxprof.gate.subject import Subject
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.model.dims.grammar import Dims
from onnxprof.records.step import Timer

LAYERS = (1_000_000, 300_000, 500_000)
OPTIONS = Options((), threads=1, telemetry=False, timer=Timer.TRACE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoders with and without a prompt or a cache, of either layout, a cell and a network."""
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    root = tmp_path_factory.mktemp("models")
    changed = plain_decoder()
    changed.producer_name = "changed"
    made = {
        "plain": plain_decoder(),
        "changed": changed,
        "prompt": plain_decoder(past=False),
        "grouped": grouped_decoder(),
        "cell": cell(),
        "network": models.lenet(),
    }
    for name, model in made.items():
        onnx.save(model, root / f"{name}.onnx")
    return root


def plans(
    folder: Path, *pairs: tuple[str, str], phases: tuple[str, ...] = (), dims: Dims = ()
) -> list[Planned]:
    """Old and new by their names."""
    subjects = [
        Subject(str(folder / f"{new}.onnx"), str(folder / f"{old}.onnx"), "main")
        for old, new in pairs
    ]
    options = replace(OPTIONS, dims=dims)
    return planned(subjects, options, lambda _: nullcontext(), phases=phases)


def told(found: list[Planned]) -> list[tuple[Outcome, str, str]]:
    """Outcome, phase and reason of cases that are not measured."""
    return [(p.told.outcome, p.told.phase, p.told.why) for p in found if p.told is not None]


def sizes(found: list[Planned]) -> list[str]:
    """What is measured, where both versions agree on it."""
    jobs = [each.jobs for each in found if each.jobs is not None]
    assert all(old.sizes == new.sizes for old, new in jobs)
    return [new.sizes for _, new in jobs]


def test_each_phase_at_each_size_is_a_case_with_bound_states(folder: Path) -> None:
    found = plans(folder, ("plain", "changed"), phases=("prefill:4", "decode:8,16"))
    assert sizes(found) == [f"batch 1, {phase}" for phase in ("prefill:4", "decode:8", "decode:16")]
    assert all(each.jobs and all(j.states for j in each.jobs) for each in found)


def test_layouts_of_states_may_differ(folder: Path) -> None:
    found = plans(folder, ("plain", "grouped"), phases=("prefill:4", "decode:8"))
    assert sizes(found) == ["batch 1, prefill:4", "batch 1, decode:8"]


def test_each_size_of_an_axis_is_a_case(folder: Path) -> None:
    dims: Dims = (("past_sequence_length", "4,8"), ("sequence_length", 1))
    found = plans(folder, ("plain", "changed"), dims=dims)
    assert [name.partition(", ")[2] for name in sizes(found)] == [
        "past_sequence_length=4, sequence_length=1",
        "past_sequence_length=8, sequence_length=1",
    ]


def test_a_phase_that_the_old_version_lacks_is_new(folder: Path) -> None:
    found = plans(folder, ("prompt", "plain"), phases=("prefill:4", "decode:8"))
    assert sizes(found) == ["batch 1, prefill:4"]
    ((outcome, phase, why),) = told(found)
    assert (outcome, phase) == (Outcome.NEW, "decode:8")
    assert "plain.onnx of main: no decode: the model returns a cache" in why


def test_a_phase_that_the_new_version_lost_fails(folder: Path) -> None:
    found = plans(folder, ("plain", "prompt"), phases=("prefill:4", "decode:8"))
    assert sizes(found) == ["batch 1, prefill:4"]
    ((outcome, phase, why),) = told(found)
    assert (outcome, phase) == (Outcome.FAILED, "decode:8")
    assert "no decode: the model returns a cache" in why


def test_what_fails_everywhere_for_one_reason_is_one_case(folder: Path) -> None:
    found = plans(folder, ("network", "network"), phases=("decode:8,16",))
    ((outcome, phase, why),) = told(found)
    assert (outcome, phase) == (Outcome.FAILED, "")
    assert "no decode: no input and output of the model are a state" in why
    ((outcome, _, why),) = told(plans(folder, ("cell", "cell"), phases=("decode:8",)))
    assert outcome is Outcome.FAILED
    assert "measure --phase steps:16" in why


def test_a_context_beyond_the_positions_fails_alone(folder: Path) -> None:
    found = plans(folder, ("plain", "changed"), phases=("decode:8,300",))
    assert sizes(found) == ["batch 1, decode:8"]
    ((outcome, phase, why),) = told(found)
    assert (outcome, phase) == (Outcome.FAILED, "decode:300")
    assert "has 256" in why


def test_an_unchanged_file_is_one_case(folder: Path) -> None:
    found = plans(folder, ("plain", "plain"), phases=("prefill:4", "decode:8"))
    assert told(found) == [(Outcome.UNCHANGED, "", "")]


def test_each_of_several_models_takes_the_phases_that_it_has(folder: Path) -> None:
    pairs = ("prompt", "prompt2"), ("cell", "cell2"), ("network", "network2")
    for _, name in pairs:
        shutil.copy(folder / f"{name.removesuffix('2')}.onnx", folder / f"{name}.onnx")
        changed = onnx.load(folder / f"{name}.onnx")
        changed.producer_name = "changed"
        onnx.save(changed, folder / f"{name}.onnx")
    found = plans(folder, *pairs, phases=("prefill:4", "steps:3"))
    assert sizes(found) == ["batch 1, prefill:4", "batch 1, steps:3"]
    ((outcome, _, why),) = told(found)
    assert outcome is Outcome.FAILED
    assert "it has none of the phases" in why


def test_a_text_that_names_no_phase_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="is not KIND:SIZE"):
        plans(folder, ("plain", "changed"), phases=("decode",))


def in_phases(machine: Machine, pairs: int = 10) -> Gated:
    """A decoder in two phases, the new version `b` against `a`."""
    made = [
        Planned(
            Subject("b", "a", "main"),
            (job("a", pairs, 0.05).asking(phase=phase), job("b", pairs, 0.05).asking(phase=phase)),
        )
        for phase in ("prefill:16", "decode:64")
    ]
    silent = Told(lambda *_: None, lambda *_: None, lambda *_: None, lambda: None)
    options = Options((), processes=pairs, budget=Budget(1.0))
    rules = Rule(0.05, 0.01), None, lambda _: nullcontext()
    return conducted(made, options, *rules, silent, start=machine.start)


def test_an_unchanged_decoder_is_the_same_in_each_phase() -> None:
    found = in_phases(Machine({"a": LAYERS, "b": LAYERS}, offsets=0.002))
    assert [(c.outcome, c.phase) for c in found.cases] == [
        (Outcome.SAME, "prefill:16"),
        (Outcome.SAME, "decode:64"),
    ]
    assert found.exit_code == 0
    assert found.rule.cases == 2


def test_a_slowdown_is_called_in_each_phase_with_its_layer() -> None:
    slow = (LAYERS[0], 2 * LAYERS[1], LAYERS[2])
    found = in_phases(Machine({"a": LAYERS, "b": slow}, offsets=0.002))
    assert [c.outcome for c in found.cases] == [Outcome.SLOWER] * 2
    titles = [c.title for c in found.cases]
    assert titles == ["b, batch 1, prefill:16", "b, batch 1, decode:64"]


def cases() -> tuple[Case, ...]:
    slow, same = case(ratio=1.2), case()
    return (
        replace(slow, phase="prefill:16"),
        replace(slow, phase="decode:64"),
        replace(same, dims=(("past|x", 3),)),
        Case("m.onnx", None, Outcome.NEW, "main", why="no decode: none", phase="decode:64"),
    )


def test_every_form_names_the_phase() -> None:
    outcome = gated(*cases())
    for text in (plain_text(rendered(outcome)), markdown(outcome), "\n".join(annotated(outcome))):
        assert "prefill:16" in text.replace("%3A", ":")
        assert "decode:64" in text.replace("%3A", ":")
    documents = json.loads(document(outcome))["cases"]
    assert [(c["phase"], c["dims"]) for c in documents] == [
        ("prefill:16", {}),
        ("decode:64", {}),
        (None, {"past|x": 3}),
        ("decode:64", {}),
    ]
    issues = json.loads(code_quality(outcome, {}))
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 2
    assert "does not have this phase: no decode: none" in markdown(outcome)


def test_tables_have_a_column_for_phases_only_where_there_are_some() -> None:
    assert "| model | batch | phase, axes | old |" in markdown(gated(*cases()))
    assert "past\\|x=3" in markdown(gated(*cases()))
    assert "phase" not in markdown(gated(case()))


def test_a_case_without_a_phase_keeps_its_fingerprint() -> None:
    """GitLab tells an issue that is there already from a new one by it."""
    (plain,) = json.loads(code_quality(gated(case(ratio=1.2)), {}))
    (phased,) = json.loads(code_quality(gated(cases()[0]), {}))
    known = "models/net.onnx\0" + "1\0slower"
    assert plain["fingerprint"] == sha256(known.encode()).hexdigest()
    assert phased["fingerprint"] != plain["fingerprint"]
