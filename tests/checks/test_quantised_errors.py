"""What quantising does to each layer's output, on small networks whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import models, quantised_models

from onnxprof.checks.quantised import errors as module
from onnxprof.checks.quantised.errors import Question, layer_errors
from onnxprof.checks.quantised.scales import Scale, scales
from onnxprof.compare.quantised.gains import LayerError, sqnr_db
from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.model.file import open_model
from onnxprof.model.opened import opened


def told(original: Path, quantised: Path, **asked: object) -> dict[str, LayerError]:
    given = (opened(open_model(str(path))) for path in (original, quantised))
    return layer_errors(Question(*given, 1, **asked))  # type: ignore[arg-type]


def files(folder: Path, network: str, form: str) -> tuple[Path, Path]:
    original = models.save(quantised_models.NETWORKS[network](), folder, "float.onnx")
    quantised = folder / f"{form}.onnx"
    quantised.write_bytes(quantised_models.quantised(network, form))
    return original, quantised


def _constant(name: str, value: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value), name)


def halved(scale: float) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """y = Relu(x * 0.5), and with the product rounded to a grid."""
    half = _constant("half", np.float32(0.5))
    ends = models.value("x", [1, 4]), models.value("y", [1, 4])
    product = models.node("Mul", ["x", "half"], ["p"], "product")
    plain = [product, models.node("Relu", ["p"], ["y"], "relu")]
    grid = [_constant("s", np.float32(scale)), _constant("z", np.int8(0))]
    rounded = [
        product,
        models.node("QuantizeLinear", ["p", "s", "z"], ["p_q"], "q"),
        models.node("DequantizeLinear", ["p_q", "s", "z"], ["p_dq"], "dq"),
        models.node("Relu", ["p_dq"], ["y"], "relu"),
    ]
    first = models.model(plain, [ends[0]], [ends[1]], [half])
    return first, models.model(rounded, [ends[0]], [ends[1]], [half, *grid])


def test_the_error_of_a_grid_by_hand(tmp_path: Path) -> None:
    paths = [models.save(made, tmp_path, f"{i}.onnx") for i, made in enumerate(halved(scale=0.25))]
    np.savez(tmp_path / "x.npz", x=np.array([[1.0, -0.6, 0.3, 2.0]], np.float32))
    found = told(*paths, inputs=str(tmp_path / "x.npz"))
    # 0.5, -0.3, 0.15, 1.0 become 0.5, -0.25, 0.25, 1.0
    signal = 0.25 + 0.09 + 0.0225 + 1.0
    expected = 10 * np.log10(signal / (0.05**2 + 0.1**2))
    assert found["product"].sqnr_db == pytest.approx(expected, abs=1e-4)
    assert found["product"].own_sqnr_db == pytest.approx(expected, abs=1e-4)
    assert found["product"].max_abs == pytest.approx(0.1)
    after = 10 * np.log10((0.25 + 0.0225 + 1.0) / 0.1**2)
    assert found["relu"].sqnr_db == pytest.approx(after, abs=1e-4)
    assert found["relu"].own_sqnr_db == pytest.approx(after, abs=1e-4)  # of its input's grid


@pytest.mark.parametrize("network", list(quantised_models.NETWORKS))
@pytest.mark.parametrize("form", quantised_models.FORMS)
def test_every_layer_that_yields_floats_has_an_error(
    tmp_path: Path, network: str, form: str
) -> None:
    original, quantised = files(tmp_path, network, form)
    found = told(original, quantised)
    assert set(found) == {node.name for node in onnx.load(original).graph.node}
    for error in found.values():
        assert error.max_abs >= 0.0
        assert error.sqnr_db is None or np.isfinite(error.sqnr_db)
    if form != "dynamic":  # each layer rounds its output
        assert all(error.own_sqnr_db is not None for error in found.values())
    if network == "convolutions":
        assert min(e.sqnr_db or 99.0 for e in found.values()) > 15


def test_a_layer_with_a_bad_scale_stands_out(tmp_path: Path) -> None:
    """The output of one convolution is cut at a tenth of its range."""
    original, quantised = files(tmp_path, "convolutions", "qoperator")
    model = onnx.load(quantised)
    [bad] = [n for n in model.graph.node if n.name == "second_quant"]
    [scale] = [t for t in model.graph.initializer if t.name == bad.input[6]]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) / 10, scale.name))
    found = told(original, models.save(model, tmp_path, "bad.onnx"))
    own = {name: e.own_sqnr_db for name, e in found.items() if e.own_sqnr_db is not None}
    worst = {name for name, value in own.items() if value < 10}
    made, reads = {"second", "second/norm", "second/relu"}, {"third", "third/norm"}
    assert worst == made | reads  # its output's grid is its reader's input's grid
    after = found["residual"]
    assert after.sqnr_db is not None
    assert after.own_sqnr_db is not None
    assert after.own_sqnr_db > after.sqnr_db + 10  # it suffers from what came before


def test_a_float_model_has_no_error_against_itself(tmp_path: Path) -> None:
    path = models.save(quantised_models.convolutions(), tmp_path)
    for error in told(path, path).values():
        assert error == LayerError(None, None, 0.0)


def test_layers_in_shares_have_the_same_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = files(tmp_path, "convolutions", "qdq")
    whole = told(*paths)
    monkeypatch.setattr(module, "SHARE_BYTES", 1)
    assert told(*paths) == whole


def test_networks_without_a_common_layer_are_refused(tmp_path: Path) -> None:
    other = models.save(models.custom_domain(), tmp_path, "other.onnx")
    quantised = files(tmp_path, "convolutions", "qdq")[1]
    with pytest.raises(UsageError, match="no layer of the quantised network"):
        told(other, quantised)


def test_a_model_that_does_not_run_says_so(tmp_path: Path) -> None:
    original, quantised = files(tmp_path, "convolutions", "qdq")
    model = onnx.load(quantised)
    model.graph.node[-1].attribute.add(name="axis", i=77, type=onnx.AttributeProto.INT)
    model.graph.node[0].domain = "nobody.knows"
    model.opset_import.add(domain="nobody.knows", version=1)
    with pytest.raises(OnnxprofError):
        told(original, models.save(model, tmp_path, "broken.onnx"))


def test_scales_are_read_off_and_passed_on() -> None:
    graph = onnx.load_from_string(quantised_models.quantised("convolutions", "qoperator")).graph
    known = scales(graph)
    assert known["pooled_quantized"] == known["sum_quantized"]
    assert known["joined_quantized"] == Scale("joined_scale", "joined_zero_point")
    assert "y" not in known
    given = onnx.load_from_string(quantised_models.quantised("convolutions", "dynamic")).graph
    assert scales(given)["x_quantized"] == Scale("x_scale", "x_zero_point")


def test_rows_of_quantised_weights_have_the_scale_that_dequantises_them() -> None:
    graph = models.model(
        [
            models.node("Gather", ["w", "ids"], ["rows"]),
            models.node("DequantizeLinear", ["rows", "s", "z"], ["y"]),
        ],
        [models.value("ids", ["N"], onnx.TensorProto.INT64)],
        [models.value("y", ["N", 4])],
    ).graph
    assert scales(graph) == {"rows": Scale("s", "z")}


def test_signal_over_noise() -> None:
    one = np.array([3.0, 4.0])
    assert sqnr_db(one, one) is None
    assert sqnr_db(one, one + np.array([0.5, 0.0])) == pytest.approx(20.0)
    assert sqnr_db(np.zeros(2), one) == float("-inf")
