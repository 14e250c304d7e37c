"""A small decoder with int4 weights and a cache on every runtime: parity in both phases."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from support.contrib.tiny import HEAD, LAYERS, SHARED, decoder
from support.networks import models

from onnxprof.checks.parity import compare, slack
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend

#: (past, new tokens) of the phases: a prompt, a token after it, a second part of a prompt.
PHASES = {"prefill": (0, 6), "decode": (5, 1), "chunk": (4, 3)}


def workload(folder: Path, past: int, new: int, kind: int, batch: int = 1) -> Workload:
    model = open_model(str(models.save(decoder(kind), folder)))
    dims = {"past_sequence_length": past, "sequence_length": new}
    dims["total_sequence_length"] = past + new
    table = inspect(model, batch, dims)
    return Workload(prepare(model, batch, dims), table, generate(table), 1, "cpu")


def values(name: str, work: Workload) -> dict[str, np.ndarray]:
    with backend(name).open(work) as session:
        session.infer()
        return dict(session.values())


@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16"])
def test_outputs_agree_with_onnxruntime(name, phase, kind, tmp_path: Path) -> None:
    if find_spec(name) is None:
        pytest.skip(f"needs {name}")
    past, new = PHASES[phase]
    work = workload(tmp_path, past, new, TensorProto.DataType.Value(kind))
    expected, found = values("ort", work), values(name, work)
    assert expected.keys() == found.keys()
    assert found["present.0.key"].shape == (1, SHARED, past + new, HEAD)
    allowed = slack(work.table)
    for output, reference in expected.items():
        verdict = compare(output, reference, found[output], allowed)
        assert verdict.passed, verdict


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_two_items_decode_together(name: str, tmp_path: Path) -> None:
    if find_spec(name) is None:
        pytest.skip(f"needs {name}")
    work = workload(tmp_path, 5, 1, TensorProto.FLOAT, batch=2)
    expected, found = values("ort", work), values(name, work)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["torch", "openvino", "ort"])
def test_every_attention_is_a_step_or_in_one(name: str, tmp_path: Path) -> None:
    if find_spec(name.replace("ort", "onnxruntime") if name == "ort" else name) is None:
        pytest.skip(f"needs {name}")
    work = workload(tmp_path, 5, 1, TensorProto.FLOAT)
    with backend(name).open_traced(work) as session:
        for _ in range(3):
            session.infer()
        steps = session.trace().steps
    covered = [layer for step in steps for layer in step.layers]
    attentions = [la.name for la in work.table.nodes if la.op_type == "GroupQueryAttention"]
    assert len(attentions) == LAYERS
    assert set(attentions) <= set(covered)


def test_openvino_cuts_a_decoder_where_it_compiles_what_is_left(tmp_path: Path) -> None:
    """Some cuts leave a graph that the runtime does not compile: the next one is tried."""
    if find_spec("openvino") is None:
        pytest.skip("needs openvino")
    work = workload(tmp_path, 5, 1, TensorProto.FLOAT)
    with backend("openvino").open_traced(work) as session:
        for _ in range(3):
            session.infer()
        length = len(session.trace().steps)
        cuts = session.cuttable(range(0, length + 1, 4))
        assert {0, length} < set(cuts)
        for part in session.prefixes(cuts):
            part.infer()


def test_shapes_of_caches_are_known_where_the_total_is(tmp_path: Path) -> None:
    work = workload(tmp_path, 5, 1, TensorProto.FLOAT)
    shapes = {t.name: t.shape for layer in work.table.nodes for t in layer.outputs}
    assert shapes["logits"] == (1, 1, 50)
    assert shapes["present.1.value"] == (1, SHARED, 6, HEAD)
