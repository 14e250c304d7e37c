"""Operators of decoders on OpenVINO: the values of onnxruntime's kernels, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.contrib.cases import Case, built, run
from support.contrib.decoders import DECODERS, RECURRENT, STANDARD
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.model.file import open_model, plan_for, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload

pytest.importorskip("openvino", reason="needs onnxprof[openvino]")

from onnxprof.backends.openvino.backend import OpenvinoBackend


def openvino_run(case: Case, folder: Path) -> dict[str, NDArray[np.generic]]:
    model = open_model(str(models.save(built(case), folder)))
    batch = plan_for(model, {}, deep=False).batch.own
    workload = Workload(
        prepare(model, batch, {}), inspect(model, batch, {}), case.feeds(), 1, "cpu"
    )
    with OpenvinoBackend().open(workload) as session:
        session.infer()
        return dict(session.values())


def apart(want: NDArray[np.generic], got: NDArray[np.generic]) -> float:
    """The largest difference, relative to the larger of a value and the root mean square."""
    want, got = want.astype(np.float64), got.astype(np.float64)
    floor = np.sqrt(np.mean(want**2)) if want.size else 1.0
    return float(np.max(np.abs(want - got) / np.maximum(np.abs(want), floor or 1.0), initial=0.0))


#: What the runtime has no translation for, or only one for other forms, and the words about it.
REFUSED = {
    "QAttention": r"no translation of com\.microsoft\.QAttention \(layer n\)",
    "FusedMatMul": "cannot translate FusedMatMul n: Incompatible MatMul batch dimension",
    "GroupQueryAttention": "cannot translate GroupQueryAttention n: .* for batch_size == 1",
    "EmbedLayerNormalization": "EmbedLayerNormalization node is 3 .*layer n",
}


def is_refused(case: Case) -> bool:
    """Integers, a cache that is a buffer for two items, batch axes that are moved."""
    buffer = case.op == "GroupQueryAttention" and case.operands[3] is not None
    if buffer and case.operands[3].shape[2] > case.operands[6]:
        return len(case.operands[0]) > 1
    if case.op == "FusedMatMul":
        return "transBatchA" in case.attributes
    return case.op == "QAttention" or (case.op == "EmbedLayerNormalization" and case.outputs == 3)


#: The runtime does not round the left factor.
_LOOSE = {"DynamicQuantizeMatMul": 0.05}


@pytest.mark.parametrize("case", [*DECODERS, *STANDARD], ids=str)
def test_values_are_those_of_onnxruntime_or_the_layer_is_named(case: Case, tmp_path: Path) -> None:
    expected = run(case, built(case))
    if is_refused(case):
        with pytest.raises(BackendError, match=REFUSED[case.op]):
            openvino_run(case, tmp_path)
        return
    found = openvino_run(case, tmp_path)
    for number, want in enumerate(expected):
        got = found[f"o{number}"]
        assert got.shape == want.shape
        if case.op == "GroupQueryAttention" and number:  # behind the last token is anything
            want, got = (x[:, :, : int(case.operands[6])] for x in (want, got))
        assert apart(want, got) <= max(_LOOSE.get(case.op, case.tolerance), 2e-5)


@pytest.mark.parametrize("case", RECURRENT, ids=str)
def test_recurrences_are_refused_by_the_name_of_the_layer(case: Case, tmp_path: Path) -> None:
    words = rf"no translation of com\.microsoft\.{case.op} \(layer n\)"
    with pytest.raises(BackendError, match=words):
        openvino_run(case, tmp_path)
