"""Models rewritten by onnxruntime's basic optimisation: what changes, stays, and is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper
from support.networks.models import model, node, save, value, weight

from onnxprof.errors import ModelError
from onnxprof.model.file import open_model
from onnxprof.model.sources.policy import Resolved
from onnxprof.plugins import registry
from onnxprof.records.run import Request
from onnxprof.rewrite.safe import Rewritten, rewrite

NORM = ("scale", "shift", "mean", "var")


def network(batch: int | str = "N") -> ModelProto:
    """A convolution with its normalisation, an Identity and a product of constants."""
    nodes = [
        node("Conv", ["x", "w"], ["conv"], "conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["conv", *NORM], ["norm"], "norm"),
        node("Identity", ["norm"], ["same"], "same"),
        node("Mul", ["a", "b"], ["factor"], "factor"),
        node("Mul", ["same", "factor"], ["scaled"], "scaled"),
        node("Relu", ["scaled"], ["y"], "relu"),
    ]
    ones = numpy_helper.from_array(np.ones(4, np.float32), "var")
    weights = [weight("w", 4, 3, 3, 3), *(weight(name, 4) for name in NORM[:3]), ones]
    weights += [weight("a", 1), weight("b", 1, seed=1)]
    inputs, outputs = [value("x", [batch, 3, 8, "W"])], [value("y", [batch, 4, 8, "W"])]
    return model(nodes, inputs, outputs, weights)


def rewritten(path: Path, **asked) -> tuple[Rewritten, ModelProto]:
    facts = open_model(str(path)).facts()
    given = {"batch": 1, "dims": (("W", 8),), "model_sha256": facts.sha256} | asked
    request = Request("net", backend="ort", provider="cpu", device_id="cpu", **given)
    target = path.with_name("out.onnx")
    done = rewrite(Resolved(path, "net", str(path)), request, target)
    return done, onnx.load(str(target))


def test_layers_that_can_go_are_gone_and_the_rest_is_the_same(tmp_path: Path) -> None:
    original = network()
    onnx.helper.set_model_props(original, {"a": "b"})
    done, made = rewritten(save(original, tmp_path))
    changes = {kind: (before, after) for kind, before, after in done.operators}
    assert changes["BatchNormalization"] == (1, 0)
    assert changes["Identity"] == (1, 0)
    assert done.checks == 2
    assert done.worst < 1e-5
    assert made.graph.input == original.graph.input
    assert made.graph.output == original.graph.output
    assert made.opset_import == original.opset_import
    assert made.ir_version == original.ir_version
    assert made.metadata_props == original.metadata_props
    assert {one.domain for one in made.graph.node} == {""}


def test_transposes_casts_and_constants_go_too(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["there"], "there", perm=[0, 2, 3, 1]),
        node("Transpose", ["there"], ["back"], "back", perm=[0, 3, 1, 2]),
        node("Cast", ["back"], ["cast"], "cast", to=onnx.TensorProto.FLOAT),
        node("Add", ["a", "b"], ["sum"], "sum"),
        node("Div", ["cast", "sum"], ["y"], "div"),
    ]
    inputs, outputs = [value("x", ["N", 3, 8, 8])], [value("y", ["N", 3, 8, 8])]
    made = model(nodes, inputs, outputs, [weight("a", 1), weight("b", 1, seed=1)])
    done, _ = rewritten(save(made, tmp_path), dims=())
    changes = {kind: (before, after) for kind, before, after in done.operators}
    assert changes == {"Transpose": (2, 0), "Cast": (1, 0), "Add": (1, 0)}


def test_free_axes_stay_free(tmp_path: Path) -> None:
    path = save(network(), tmp_path)
    rewritten(path)
    x = np.random.default_rng(0).normal(size=(3, 3, 8, 5)).astype(np.float32)
    ours, theirs = (
        onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
            None, {"x": x}
        )[0]
        for file in (path, tmp_path / "out.onnx")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_fixed_batch_is_compared_at_that_batch(tmp_path: Path) -> None:
    done, made = rewritten(save(network(2), tmp_path), batch=2)
    assert done.checks == 2
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


def test_weights_in_other_files_come_into_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    outside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save_model(network(), str(path), **outside)
    done, made = rewritten(path)
    assert ("BatchNormalization", 1, 0) in done.operators
    assert not any(one.external_data for one in made.graph.initializer)


def test_another_file_than_the_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="another file than the run's"):
        rewritten(save(network(), tmp_path), model_sha256="cd" * 32)


class Wrong:
    """A reference whose rewrite is replaced by that of a test."""

    def __init__(self, change) -> None:
        self._true, self._change = registry.reference(), change

    def __getattr__(self, name: str):
        return getattr(self._true, name)

    def simplify(self, source: Path, target: Path) -> None:
        made = onnx.load(str(source))
        self._change(made)
        target.write_bytes(made.SerializeToString())


def other_weights(made: ModelProto) -> None:
    made.graph.initializer[0].CopyFrom(weight("w", 4, 3, 3, 3, seed=9))


def other_output(made: ModelProto) -> None:
    made.graph.node[-1].output[0] = made.graph.output[0].name = "z"


def other_domain(made: ModelProto) -> None:
    made.graph.node[-1].domain = "com.microsoft"


def other_opset(made: ModelProto) -> None:
    made.opset_import[0].version = 18


def no_model(made: ModelProto) -> None:
    made.graph.node[-1].input[0] = "nowhere"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_weights, "not rewritten: output y: differs"),
        (other_output, "changes the outputs"),
        (other_domain, "needs com.microsoft Relu"),
        (other_opset, "changes the opset"),
        (no_model, "no valid model"),
    ],
)
def test_a_rewrite_that_is_not_the_same_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, what: str
) -> None:
    wrong = Wrong(change)
    monkeypatch.setattr(registry, "reference", lambda: wrong)
    with pytest.raises(ModelError, match=what):
        rewritten(save(network(), tmp_path))


def test_what_draws_random_numbers_is_refused(tmp_path: Path) -> None:
    nodes = [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"], "sum")]
    drawn = model(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])])
    with pytest.raises(ModelError, match="draws random numbers"):
        rewritten(save(drawn, tmp_path), dims=())
