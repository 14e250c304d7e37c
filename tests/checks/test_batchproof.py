"""Batch k on k different items against k runs of one: what meets, where, and what is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto
from support.networks import mixing_models, models
from support.networks.models import node, value
from typer.testing import CliRunner

from onnxprof.checks.batches.items import Pool, pool
from onnxprof.checks.batches.lab import Lab
from onnxprof.checks.batches.layouts import is_touched, part, placements
from onnxprof.checks.batches.proof import Question, beside, verdicts
from onnxprof.checks.batches.trial import Trial
from onnxprof.checks.batches.verdict import Kind, Verdict, warnings_of
from onnxprof.cli.main import app
from onnxprof.jobs import proving
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.model.opened import opened
from onnxprof.processes.confined import Limits
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.parity import OutputParity
from onnxprof.records.warning import WarningKind
from onnxprof.store.folder import load_all
from onnxprof.testing import sample_run

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

BATCHES = (3, 8)


def asked_of(path: Path, batches: tuple[int, ...], **changes) -> Question:
    """With time enough: a busy machine is no reason that a batch stays unproven."""
    return Question(opened(open_model(str(path))), batches, **({"seconds": 300.0} | changes))


def proof(made: ModelProto, folder: Path, **changes) -> list[Verdict]:
    path = models.save(made, folder)
    return list(verdicts(asked_of(path, BATCHES, **changes)))


@pytest.mark.parametrize("layer", mixing_models.BY_SHAPE)
def test_shapes_alone_name_the_layer(layer: str, tmp_path: Path) -> None:
    model = open_model(str(models.save(mixing_models.BY_SHAPE[layer](), tmp_path)))
    table = inspect(model, 8)
    assert f"layer {layer.removesuffix(' before 13')}:" in table.obstacle
    assert table.batch == 1
    assert inspect(model, 1).obstacle == ""


@pytest.mark.parametrize("layer", mixing_models.BY_VALUE)
def test_running_it_names_the_layer(layer: str, tmp_path: Path) -> None:
    for verdict in proof(mixing_models.BY_VALUE[layer](), tmp_path):
        assert verdict.kind is Kind.MIXES
        assert f"layer {layer}:" in verdict.subject
    assert inspect(open_model(str(tmp_path / "model.onnx")), 8).obstacle == ""


@pytest.mark.parametrize("name", mixing_models.SOUND)
def test_what_is_sound_holds(name: str, tmp_path: Path) -> None:
    found = proof(mixing_models.SOUND[name](), tmp_path)
    assert found == [Verdict(Kind.HOLDS)] * 2


@pytest.mark.parametrize(
    "build",
    [models.lenet, lambda: models.lenet(1), models.quantised, models.attention, models.looped,
     models.tf_style, lambda: models.branching(1), models.with_function,
     lambda: models.recurrent("LSTM", 1), lambda: models.recurrent("GRU", 3)],
)  # fmt: skip
def test_networks_of_every_style_hold(build, tmp_path: Path) -> None:
    assert {verdict.kind for verdict in proof(build(), tmp_path)} == {Kind.HOLDS}


def test_a_batch_below_the_own_one_is_proved_too(tmp_path: Path) -> None:
    path = models.save(mixing_models.SOUND["pairs"](), tmp_path)
    assert list(verdicts(asked_of(path, (1, 6)))) == [Verdict(Kind.HOLDS)] * 2


def test_dynamic_quantisation_is_no_mixing(tmp_path: Path) -> None:
    verdict, _ = proof(mixing_models.quantised_dynamically(), tmp_path)
    assert verdict.kind is Kind.QUANTISED
    assert "layer quantise (DynamicQuantizeLinear)" in verdict.subject


class Shifted(Lab):
    """Two items give other values than one, by as much as the test wants."""

    shift, moved = 0.0, 0.0

    def run(self, items, more=(), *, optimised=False):
        values = super().run(items, more, optimised=optimised)
        factor = 1 + (self.shift if len(items) > 1 else self.moved * optimised)
        return {name: array * np.float32(factor) for name, array in values.items()}


@pytest.mark.parametrize(("moved", "kind"), [(0.002, Kind.ROUNDING), (1e-6, Kind.MIXES)])
def test_rounding_is_told_apart_from_what_the_size_of_the_batch_does(
    moved: float, kind: Kind, tmp_path: Path
) -> None:
    model = open_model(str(models.save(models.linear(1), tmp_path)))
    lab = Shifted(model, {}, 1, pool(model, {}, (("x", 0),), 4, 0, ""))
    lab.shift, lab.moved = 0.01, moved
    verdict = Trial(lab, 3).prove(2)
    assert verdict.kind is kind
    assert verdict.value == pytest.approx(0.01, rel=0.2)


def test_sizes_that_depend_on_the_data_prove_nothing(tmp_path: Path) -> None:
    made = models.model(
        [node("Relu", ["x"], ["r"], "relu"), node("Compress", ["r", "c"], ["y"], "pick")],
        [value("x", [1, 4]), value("c", [1], models.BOOL)],
        [value("y", None)],
    )
    assert {v.kind for v in proof(made, tmp_path)} <= {Kind.HOLDS, Kind.UNPROVEN}


def test_what_cannot_be_run_is_unproven_and_says_why(tmp_path: Path) -> None:
    verdict, _ = proof(models.custom_domain(), tmp_path)
    assert verdict.kind is Kind.UNPROVEN
    assert "cannot load" in verdict.subject
    late, _ = proof(models.lenet(1), tmp_path, seconds=-1.0)
    assert late == Verdict(Kind.UNPROVEN, "there was no time left")


def test_given_inputs_are_varied_where_they_repeat(tmp_path: Path) -> None:
    model = open_model(str(models.save(mixing_models.BY_VALUE["pick (Gather)"](), tmp_path)))
    np.savez(tmp_path / "in.npz", x=np.arange(4, dtype=np.float32).reshape(1, 4))
    items = pool(model, {}, (("x", 0),), 4, 0, str(tmp_path / "in.npz"))
    taken = items.take(range(4))["x"]
    assert len({row.tobytes() for row in taken}) == 4
    assert all(sorted(row) == [0, 1, 2, 3] for row in taken)
    question = asked_of(model.path, (8,), inputs=str(tmp_path / "in.npz"))
    assert [v.kind for v in verdicts(question)] == [Kind.MIXES]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_a_part_is_found_wherever_the_batch_lies(rest, own, times, outer, axis) -> None:
    axis = min(axis, len(rest))
    small, large = list(rest), list(rest)
    small.insert(axis, outer * own)
    large.insert(axis, outer * own * times)
    found = placements(small, own, large, own * times)
    if times == 1:
        assert found == []
        return
    array = np.arange(np.prod(large)).reshape(large)
    assert any(at.outer == outer for at in found)
    for at in found:
        parts = [part(array, at, own * times, start, own) for start in range(0, own * times, own)]
        assert sorted(np.concatenate([p.reshape(-1) for p in parts])) == list(range(array.size))


def test_only_others_count_as_touched() -> None:
    before = np.zeros((4, 2))
    own_item, other = before.copy(), before.copy()
    own_item[1], other[2] = 1, 1
    assert not is_touched(before, own_item, (1, 2), 1, 4, 1)
    assert is_touched(before, other, (1, 2), 1, 4, 1)
    same = np.full((4, 2), np.nan)
    assert not is_touched(same, same.copy(), (1, 2), 1, 4, 1)


def test_items_are_taken_along_their_own_axis() -> None:
    states = np.arange(12).reshape(1, 6, 2)
    taken = Pool({"h": states, "w": np.ones(3)}, (("h", 1),), 3).take([2, 0])
    assert taken["h"][0, :, 0].tolist() == [8, 10, 0, 2]
    assert taken["w"].tolist() == [1, 1, 1]


def settled(made: ModelProto, folder: Path, monkeypatch, batches=(1, 8)) -> list[Job]:
    """Planned and proved, in this process."""
    path = models.save(made, folder)
    options = Options((str(path),), batches=batches, budget=Budget(0.2), threads=1)
    monkeypatch.setattr(proving, "proved", lambda question, *_: tuple(verdicts(question)))
    return proving.proven(plan(options), options, lambda *_: None)


def test_a_fixed_batch_that_mixes_is_measured_once_at_its_own(tmp_path, monkeypatch) -> None:
    made = mixing_models.BY_VALUE["pick (Gather)"]()
    (only,) = settled(made, tmp_path, monkeypatch)
    assert (only.batch, only.table.batch) == (1, 1)
    assert "layer pick (Gather)" in only.table.obstacle
    assert "--batch 1 " in only.command


def test_a_fixed_batch_that_holds_is_measured_without_a_note(tmp_path, monkeypatch) -> None:
    first, second = settled(models.lenet(1), tmp_path, monkeypatch)
    assert (first.batch, second.batch) == (1, 8)
    assert first.notes == second.notes == ()


def test_dynamic_quantisation_is_measured_with_a_note(tmp_path, monkeypatch) -> None:
    *_, last = settled(mixing_models.quantised_dynamically(), tmp_path, monkeypatch)
    assert last.batch == 8
    assert [note.kind for note in last.notes] == [WarningKind.QUANTISED_TOGETHER]


def test_a_free_batch_is_its_authors_and_carries_a_caveat(tmp_path: Path) -> None:
    path = models.save(mixing_models.attention("batch"), tmp_path)
    assert inspect(open_model(str(path)), 8).obstacle == ""
    run = sample_run()
    run = replace(run, request=replace(run.request, batch=8), warnings=())
    (warning,) = beside(run, opened(open_model(str(path))), "", 0.2).warnings
    assert warning.kind is WarningKind.ITEMS_MIX
    assert "scores (MatMul)" in warning.subject


def test_the_process_of_a_proof_sends_a_verdict_a_batch(tmp_path: Path) -> None:
    path = models.save(mixing_models.BY_VALUE["top (ReduceMax)"](), tmp_path)
    question = asked_of(path, BATCHES)
    found = proving.proved(question, Limits(60), lambda *_: None)
    assert [v.kind for v in found] == [Kind.MIXES] * 2
    short = proving.proved(question, Limits(0.01), lambda *_: None)
    assert [v.kind for v in short] == [Kind.UNPROVEN] * 2
    assert "stopped after" in short[0].subject


def test_profile_measures_at_the_own_batch_and_says_why(tmp_path, monkeypatch) -> None:
    models.save(mixing_models.BY_VALUE["pick (Gather)"](), tmp_path, "net.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONNXPROF_LOCKS", str(tmp_path / "locks"))
    options = ("--batch", "1,8", "--budget", "0.1", "--threads", "1", "--no-telemetry")
    done = CliRunner().invoke(app, ["profile", "net.onnx", *options], standalone_mode=False)
    assert done.exception is None, done.exception
    assert "net stays at batch 1: layer pick (Gather)" in done.stderr
    ((run,), _) = load_all([tmp_path / "runs"])
    assert run.request.batch == 1
    assert WarningKind.FIXED_BATCH in {warning.kind for warning in run.warnings}


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.HOLDS])
def test_every_verdict_has_words(kind: Kind) -> None:
    (warning,) = warnings_of(Verdict(kind, "layer a (Add): x", 0.5))
    assert "layer a (Add)" in warning_text(warning)
    assert list(warnings_of(Verdict(Kind.HOLDS))) == []


def test_the_gap_of_an_output_whose_shape_does_not_follow(tmp_path: Path) -> None:
    gap = OutputParity("y", np.inf, np.inf, passed=False, note="[3] at batch 2, [1] at 1")
    model = open_model(str(models.save(models.linear(1), tmp_path)))
    lab = Lab(model, {}, 1, pool(model, {}, (("x", 0),), 4, 0, ""))
    verdict = Trial(lab, 3)._apart([gap], 2)
    assert verdict.kind is Kind.MIXES


def test_items_with_several_places_lie_apart_or_together() -> None:
    latents = np.array([0, 1, 2, 10, 11, 12])  # two places an item: all firsts, then all seconds
    apart = Pool({"l": latents}, (), 3, (("l", 0),)).take([2, 0])["l"]
    together = Pool({"l": latents}, (("l", 0),), 3).take([2, 0])["l"]
    assert apart.tolist() == [2, 0, 12, 10]
    assert together.tolist() == [11, 12, 0, 1]


def test_inspect_says_what_shapes_leave_open(tmp_path, monkeypatch) -> None:
    models.save(models.lenet(1), tmp_path, "fixed.onnx")
    models.save(models.lenet(), tmp_path, "free.onnx")
    models.save(mixing_models.attention("batch"), tmp_path, "meets.onnx")
    monkeypatch.chdir(tmp_path)

    def told(name: str, batch: int) -> str:
        arguments = ["inspect", name, "--batch", str(batch)]
        return str(CliRunner().invoke(app, arguments, standalone_mode=False).stderr)

    note = "note: fixed: batch 8 is unproven; profile proves it or stays at 1"
    assert told("fixed.onnx", 8).splitlines() == [note]
    assert told("fixed.onnx", 1) == told("free.onnx", 8) == ""
    assert "layer scores (MatMul)" in told("meets.onnx", 8)


@pytest.mark.parametrize("layer", mixing_models.BY_VALUE)
def test_inspect_calls_a_batch_unproven_that_only_values_refuse(
    layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`profile` stays at the file's own batch; what `inspect` lists is what it was asked for."""
    path = models.save(mixing_models.BY_VALUE[layer](), tmp_path, "net.onnx")
    monkeypatch.chdir(tmp_path)
    arguments = ["inspect", "net.onnx", "--batch", "1,8", "--format", "json"]
    done = CliRunner().invoke(app, arguments, standalone_mode=False)
    (note,) = [line for line in done.stderr.splitlines() if "unproven" in line]
    assert "batch 8 is unproven" in note
    assert note.endswith("stays at 1")
    assert len(note) <= 80
    assert "unproven" not in done.stdout
    assert {v.kind for v in verdicts(asked_of(path, (8,)))} == {Kind.MIXES}


def test_items_that_meet_in_an_axis_of_batch_times_heads_are_named(tmp_path: Path) -> None:
    """The heads of an item may meet; two items may not."""

    def told(*nodes: NodeProto) -> str:
        image, out = [models.value("x", ["batch*heads", 8])], [models.value("y", None)]
        stored = [models.ints("s", -1, 3, 8), models.ints("one", 1)]
        path = models.save(models.model(list(nodes), image, out, stored), tmp_path)
        verdicts_of = verdicts(asked_of(path, (4,), dims=(("heads", 3),)))
        return " ".join(f"{verdict.kind} {verdict.subject}" for verdict in verdicts_of)

    group = node("Reshape", ["x", "s"], ["g"], "group")
    assert told(group, node("ReduceSum", ["g", "one"], ["y"], "sum")).strip() == Kind.HOLDS
    assert "layer mean (ReduceMean)" in told(node("ReduceMean", ["x"], ["y"], "mean", axes=[0]))


def test_an_axis_of_twice_the_batch_holds(tmp_path: Path) -> None:
    made = models.model(
        [
            node("Split", ["latents"], ["u", "c"], "split", axis=0),
            node("Mul", ["c", "scale"], ["y"], "mul"),
        ],
        [value("latents", ["2*batch", 4]), value("scale", ["batch", 1])],
        [value("y", ["batch", 4])],
        opset=11,
    )
    assert proof(made, tmp_path) == [Verdict(Kind.HOLDS)] * 2
