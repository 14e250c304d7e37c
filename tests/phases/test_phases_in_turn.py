"""Two decoders in turn: each phase and size has a pair of jobs, with their states bound."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.decoders.cells import cell
from support.decoders.grouped import grouped_decoder
from support.decoders.plain import plain_decoder
from support.inturn import Machine, job
from support.networks.models import lenet, model, node, value

import onnxprof as op
from onnxprof.api.comparing import in_turn_options
from onnxprof.api.in_turn import Planned, of_models, planned
from onnxprof.compare.changes import compare
from onnxprof.compare.verdict import Verdict
from onnxprof.errors import ModelError, UsageError
from onnxprof.jobs.in_turn import alternate
from onnxprof.model.dims.grammar import Dims
from onnxprof.processes.confined import Limits

LAYERS = (1_000_000, 300_000, 500_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    root = tmp_path_factory.mktemp("decoders")
    made = {
        "plain": plain_decoder(),
        "prompt": plain_decoder(past=False),
        "grouped": grouped_decoder(),
        "cell": cell(),
        "network": lenet(),
    }
    for name, each in made.items():
        onnx.save(each, root / f"{name}.onnx")
    return root


def pairs(
    folder: Path,
    a: str,
    b: str,
    *phases: str,
    dims: Dims = (),
    batches: tuple[int, ...] = (1,),
    force: bool = False,
) -> Planned:
    options = in_turn_options({"dims": dims, "batches": batches, "threads": 1})
    names = (str(folder / f"{name}.onnx") for name in (a, b))
    return planned(of_models(*names, options), lambda _: None, phases=phases, force=force)


def sizes(found: Planned) -> list[tuple[str, str]]:
    return [(ours.sizes, theirs.sizes) for ours, theirs in found.pairs]


def test_phases_sizes_and_batches_are_pairs_of_their_own(folder: Path) -> None:
    found = pairs(folder, "plain", "grouped", "prefill:4", "decode:0,8", batches=(1, 2))
    told = [
        f"batch {batch}, {phase}"
        for phase in ("prefill:4", "decode:0", "decode:8")
        for batch in (1, 2)
    ]
    assert sizes(found) == [(text, text) for text in told]
    assert all(job.states is not None for pair in found.pairs for job in pair)
    assert found.options.timer.value == "trace"


def test_a_sequence_of_steps(folder: Path) -> None:
    found = pairs(folder, "cell", "cell", "steps:3")
    assert sizes(found) == [("batch 1, steps:3", "batch 1, steps:3")]


def test_sizes_of_axes_in_turn(folder: Path) -> None:
    dims: Dims = (("past_sequence_length", "4,8"), ("sequence_length", 1))
    told = [f"batch 1, past_sequence_length={past}, sequence_length=1" for past in (4, 8)]
    found = sizes(pairs(folder, "plain", "plain", dims=dims))
    assert [sorted(text.split(", ")) for text, _ in found] == [sorted(t.split(", ")) for t in told]


@pytest.mark.parametrize(
    ("a", "b", "phases", "told"),
    [
        ("plain", "prompt", ("prefill:4", "decode:8"), "prompt.onnx: no decode: the model returns"),
        ("prompt", "plain", ("decode:8",), "prompt.onnx: no decode: the model returns a cache"),
        ("plain", "network", ("decode:8",), "network.onnx: no decode: no input and output"),
        ("cell", "plain", ("steps:4",), "plain.onnx: no steps: its cache past_key_values.0.key"),
        ("plain", "plain", ("decode:256",), "takes 257 positions"),
        ("plain", "plain", ("decode",), "is not KIND:SIZE"),
    ],
)
def test_a_phase_that_a_side_does_not_have_is_refused_with_its_name(
    folder: Path, a: str, b: str, phases: tuple[str, ...], told: str
) -> None:
    with pytest.raises((UsageError, ModelError)) as caught:
        pairs(folder, a, b, *phases)
    assert told in str(caught.value)


def test_sizes_for_one_of_the_models(folder: Path) -> None:
    dims: Dims = (("plain:sequence_length", "1,2"), ("past_sequence_length", 4))
    with pytest.raises(UsageError, match=r"plain.onnx 2 sizes and .*grouped.onnx 1"):
        pairs(folder, "plain", "grouped", dims=dims)


def test_axes_of_other_names_are_refused_before_anything_is_measured(folder: Path) -> None:
    for name, axis in (("one", "seq"), ("other", "length")):
        dims = ["N", axis]
        made = model([node("Relu", ["x"], ["y"])], [value("x", dims)], [value("y", dims)])
        onnx.save(made, folder / f"{name}.onnx")
    given: Dims = (("one:seq", 4), ("other:length", 4))
    with pytest.raises(UsageError, match="sizes of axes differ: seq=4 in A, length=4 in B"):
        pairs(folder, "one", "other", dims=given)
    assert sizes(pairs(folder, "one", "other", dims=given, force=True)) == [
        ("batch 1, seq=4", "batch 1, length=4")
    ]


def test_an_unchanged_decoder_is_the_same_in_each_phase() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS}, offsets=0.001)
    found = []
    for phase in ("prefill:16", "decode:64"):
        both = (job(name, 10, 0.05).asking(phase=phase) for name in "ab")
        ours, theirs = alternate(*both, Limits(60), lambda *_: None, machine.start)
        found.append(([ours], [theirs]))
    outcome = compare(found, 0.02, in_turn=True)
    assert not outcome.regressed
    assert [pair.latency.verdict for pair in outcome.pairs] == [Verdict.SAME] * 2


def test_a_small_decoder_is_compared_in_its_phases(folder: Path, tmp_path: Path) -> None:
    """The real thing, without a word on times."""
    a, b = (str(folder / f"{name}.onnx") for name in ("plain", "grouped"))
    found = op.compare(
        *(a, b),
        phases=["prefill:4", "decode:8"],
        **{"threads": 1, "budget": 0.1, "processes": 1, "verify": False, "parity": False},
        store=tmp_path,
        progress=False,
    )
    asked = [(pair.a[0].request.phase, pair.b[0].request.phase) for pair in found.pairs]
    assert asked == [("prefill:4", "prefill:4"), ("decode:8", "decode:8")]
    lines = found.to_csv().splitlines()
    assert lines[0].endswith(",phase,dims")
    assert {line.rsplit(",", 2)[1] for line in lines[1:]} == {"prefill:4", "decode:8"}
    stored = op.load(tmp_path)
    assert sorted(run.request.phase for run in stored) == sorted(["prefill:4", "decode:8"] * 2)


def test_errors_of_layers_are_those_of_the_phase(folder: Path) -> None:
    """Masks and positions of the phase are fed: those made up at random would be out of range."""
    tool = pytest.importorskip("onnxruntime.quantization", reason="needs onnxruntime's tool")
    a, b = str(folder / "plain.onnx"), str(folder / "int8.onnx")
    tool.quantize_dynamic(a, b)
    found = op.compare(
        *(a, b),
        phases="decode:8",
        layer_errors=True,
        **{"threads": 1, "budget": 0.1, "processes": 1, "verify": False, "parity": False},
        progress=False,
    )
    (pair,) = found.pairs
    assert pair.quantised is not None
    errors = {row.layers[0]: row.error for row in pair.quantised.rows if row.error is not None}
    told = errors["h1.down"]
    assert told.sqnr_db is not None
    assert told.sqnr_db > 20


def test_phases_are_for_models() -> None:
    from onnxprof.testing import sample_run

    with pytest.raises(UsageError, match="phases is for models"):
        op.compare(sample_run(), sample_run(), phases="decode:8")


def test_a_search_takes_one_phase(folder: Path) -> None:
    with pytest.raises(UsageError, match="several phases are given: decode:4, decode:8"):
        op.compare_versions(
            *(str(folder / "plain.onnx"), "onnxruntime==1.22.1", "onnxruntime==1.32.0"),
            **{"bisect": True, "phases": "decode:4,8", "progress": False},
        )
