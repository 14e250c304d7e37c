"""Mixtures of experts on OpenVINO: which forms it computes by chosen experts, and equal forms."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.contrib.cases import Case, built
from support.contrib.decoders import biased_experts, experts, packed_experts
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.model.file import open_model, plan_for, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload

openvino = pytest.importorskip("openvino", reason="needs onnxprof[openvino]")

from onnxprof.backends.openvino.backend import OpenvinoBackend  # noqa: E402
from onnxprof.backends.openvino.graphs.steps import executed  # noqa: E402
from onnxprof.backends.openvino.source import readable  # noqa: E402

on_x64 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="OpenVINO gathers experts on x64 alone",
)
CONSTANT = (2, 3, 4, 5, 6, 7)


def workload(case: Case, folder: Path) -> Workload:
    model = open_model(str(models.save(built(case), folder)))
    batch = plan_for(model, {}, deep=False).batch.own
    return Workload(prepare(model, batch, {}), inspect(model, batch, {}), case.feeds(), 1, "cpu")


def values(case: Case, folder: Path) -> NDArray[np.generic]:
    with OpenvinoBackend().open(workload(case, folder)) as session:
        session.infer()
        return dict(session.values())["o0"]


def kinds(case: Case, folder: Path) -> list[str]:
    """The kinds of the nodes that run."""
    work = workload(case, folder)
    with readable(work.model, work.table) as source:
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(source), "CPU", settings)
    return [node.kind for node in executed(compiled.get_runtime_model(), {})]


@on_x64
@pytest.mark.parametrize(
    "case",
    [
        experts("swiglu", 1, held=CONSTANT),
        experts("swiglu", 2, held=CONSTANT),
        experts("silu", third=True, held=CONSTANT),
        biased_experts(1, swiglu_limit=0.05),
        packed_experts(4, "swiglu", 1),
        packed_experts(4, "swiglu", 1, block=16),
    ],
    ids=str,
)
def test_gated_experts_are_computed_where_a_token_chose_them(case: Case, tmp_path: Path) -> None:
    assert "GatherMatmul" in kinds(case, tmp_path)


@pytest.mark.parametrize("kind", ["relu", "gelu", "silu"])
def test_other_experts_compute_every_token(kind: str, tmp_path: Path) -> None:
    assert "GatherMatmul" not in kinds(experts(kind, held=CONSTANT), tmp_path)


def test_halves_and_rows_in_turn_are_one_computation(tmp_path: Path) -> None:
    """onnxruntime's kernel takes rows in turn alone."""
    turns, halves = experts("swiglu", 1, held=CONSTANT), experts("swiglu", 2, held=CONSTANT)
    matrix = turns.operands[2]
    assert matrix is not None
    halves.operands[2] = np.concatenate([matrix[:, 0::2], matrix[:, 1::2]], 1)
    np.testing.assert_allclose(values(turns, tmp_path), values(halves, tmp_path), rtol=1e-4)


def test_a_third_matrix_is_the_value_of_a_gate(tmp_path: Path) -> None:
    one, three = experts("swiglu", 1, held=CONSTANT), experts("silu", third=True, held=CONSTANT)
    matrix = one.operands[2]
    assert matrix is not None
    three.operands[2], three.operands[6] = matrix[:, 0::2], matrix[:, 1::2]
    np.testing.assert_allclose(values(one, tmp_path), values(three, tmp_path), rtol=1e-4)


REFUSED: list[dict[str, Any]] = [{"use_sparse_mixer": 1}, {"activation_type": "sigmoid"}]


@pytest.mark.parametrize("more", REFUSED, ids=["sparse mixer", "unknown activation"])
def test_what_has_no_form_is_refused_by_the_name_of_the_layer(
    more: dict[str, Any], tmp_path: Path
) -> None:
    case = experts("silu")
    case.attributes |= more
    with pytest.raises(BackendError, match=r"no translation of com\.microsoft\.MoE \(layer n\)"):
        values(case, tmp_path)
