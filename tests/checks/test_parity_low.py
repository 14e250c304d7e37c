"""Networks of low precision: what is right passes, and a fault in one layer does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper
from support.networks import small_resnets
from support.networks.models import FLOAT, INT64, ints, model, node, save, value, weight

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.checks.parity import Noise, Slack, compare
from onnxprof.checks.reference import check, warnings_of
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.publish.text.sentences import parity_text
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.step import Granularity

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

FAULTS = ("permuted channels", "scaled weight", "no bias", "zero point")
LAYERS = ("b0.one", "b1.two", "b3.two")


def workload(made: ModelProto, folder: Path) -> Workload:
    opened = open_model(str(save(made, folder)))
    table = inspect(opened, 1)
    return Workload(prepare(opened, 1, {}), table, {"x": small_resnets.sample()}, threads=1)


def outputs(work: Workload) -> dict[str, np.ndarray]:
    with OrtBackend().open(work) as session:
        session.infer()
        return dict(session.values())


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelProto]:
    made, folder = small_resnets.resnet(), tmp_path_factory.mktemp("twins")
    return {"int8": small_resnets.in_8_bits(made, folder), "float16": small_resnets.in_halves(made)}


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_onnxruntime_optimised_is_right(precision: str, twins, tmp_path: Path) -> None:
    work = workload(twins[precision], tmp_path)
    parity = check(work, outputs(work))
    (output,) = parity.outputs
    assert parity.passed is True
    assert output.whole
    assert output.rms_rel is not None
    assert output.rms_rel <= output.tolerance < 0.15
    assert "root mean square of its errors" in parity_text(parity)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("precision", "fault"),
    [(p, f) for p in ("int8", "float16") for f in FAULTS if (p, f) != ("float16", "zero point")],
)
def test_a_fault_in_one_layer_is_found(
    precision: str, fault: str, layer: str, twins, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    right = workload(twins[precision], tmp_path)
    wrong = workload(small_resnets.faulty(twins[precision], fault, layer), tmp_path / "wrong")
    parity = check(right, outputs(wrong))
    assert parity.passed is False
    (warning,) = warnings_of(parity)
    assert warning.value > warning.bound > 0
    assert "this answer is wrong" in warning_text(warning)


def test_two_classes_that_changed_places_are_found(twins, tmp_path: Path) -> None:
    right = workload(twins["int8"], tmp_path)
    values = outputs(right)
    order = np.argsort(values["logits"][0])
    values["logits"][0, order[[0, -1]]] = values["logits"][0, order[[-1, 0]]]
    assert check(right, values).passed is False


def test_a_nan_fails_whatever_the_noise(twins, tmp_path: Path) -> None:
    right = workload(twins["int8"], tmp_path)
    values = outputs(right)
    values["logits"][0, 0] = np.nan
    (output,) = check(right, values).outputs
    assert (output.passed, output.nan_mismatch) == (False, 1)


def test_noise_widens_what_passes_up_to_a_bound() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=1000).astype(np.float32)
    other = (array + 0.05 * rng.normal(size=1000)).astype(np.float32)
    low = Slack(0.02, 1)
    assert not compare("y", array, other, low, noise=Noise()).passed
    assert compare("y", array, other, low, noise=Noise(0.03, 0.1)).passed
    assert compare("y", array, other, low).passed  # nothing is known of the noise
    assert not compare("y", array, array + 1, low, noise=Noise(5.0, 5.0)).passed
    assert not compare("y", array, other).passed  # float32 is held to each element


def ids(spread: float) -> ModelProto:
    """The largest of many values in each place, as a map of classes has it."""
    return model(
        [
            node("MatMul", ["x", "w"], ["h"], "mm"),
            node("Mul", ["h", "c"], ["s"], "scale"),
            node("QuantizeLinear", ["s", "q", "z"], ["u"], "quantise"),
            node("DequantizeLinear", ["u", "q", "z"], ["d"], "dequantise"),
            node("ArgMax", ["d"], ["y"], "argmax", axis=-1, keepdims=0),
        ],
        [value("x", [1, 400, 8])],
        [value("y", [1, 400], INT64)],
        [
            weight("w", 8, 6),
            numpy_helper.from_array(np.array(spread, np.float32), "c"),
            numpy_helper.from_array(np.array(0.1, np.float32), "q"),
            numpy_helper.from_array(np.array(0, np.int8), "z"),
        ],
    )


def test_ids_near_a_tie_may_flip_as_often_as_noise_flips_them(tmp_path: Path) -> None:
    opened = open_model(str(save(ids(1.0), tmp_path)))
    inputs = {"x": np.random.default_rng(0).normal(size=(1, 400, 8)).astype(np.float32)}
    work = Workload(prepare(opened, 1, {}), inspect(opened, 1), inputs, threads=1)
    values = outputs(work)
    few, many = values["y"].copy(), np.roll(values["y"], 1)
    few[0, :3] = (few[0, :3] + 1) % 6
    assert check(work, values).passed is True
    (flipped,) = check(work, {"y": few}).outputs
    assert flipped.rms_rel == pytest.approx(3 / 400)
    assert check(work, {"y": many}).passed is False


def test_ids_of_a_sure_network_must_be_equal(tmp_path: Path) -> None:
    made = model(
        [node("ArgMax", ["x"], ["y"], "argmax", axis=-1, keepdims=0)],
        [value("x", [1, 8], FLOAT)],
        [value("y", [1], INT64)],
        [ints("unused", 1)],
    )
    opened = open_model(str(save(made, tmp_path)))
    inputs = {"x": np.arange(8, dtype=np.float32).reshape(1, 8)}
    work = Workload(prepare(opened, 1, {}), inspect(opened, 1), inputs, threads=1)
    assert check(work, {"y": np.array([6], np.int64)}).passed is False


def test_records_of_earlier_versions_keep_their_words() -> None:
    old = OutputParity("y", 0.1, 0.36, 0, 0.25, False)
    assert parity_text(Parity("onnxruntime", (old,))) == (
        "y not as the reference (error 0.1, relative 0.36)"
    )


def test_unoptimised_against_itself_needs_no_noise(twins, tmp_path: Path) -> None:
    work = workload(twins["float16"], tmp_path)
    from dataclasses import replace

    plain = replace(work, granularity=Granularity.WRITTEN)
    (output,) = check(plain, outputs(plain)).outputs
    assert (output.rms_rel, output.cosine) == (0.0, pytest.approx(1.0))
