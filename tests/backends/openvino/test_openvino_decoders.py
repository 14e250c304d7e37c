"""Decoders on OpenVINO: where their prefixes can be cut, and tables that two operators share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.contrib.cases import bytes_, ids, real
from support.decoders.grouped import grouped_decoder
from support.decoders.plain import TINY, plain_decoder
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend
from onnxprof.sequences.feeding import fed
from onnxprof.sequences.grammar import points
from onnxprof.sequences.planned import in_phase

pytest.importorskip("openvino", reason="needs onnxprof[openvino]")

from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.backends.openvino.traced import CountingSession


def phased(made: onnx.ModelProto, folder: Path, text: str) -> Workload:
    """A model in one phase, fed as `profile` feeds it."""
    model = open_model(str(models.save(made, folder)))
    states, sizes = in_phase(model, text, {})
    table = inspect(model, 1, sizes)
    (phase,) = points([text])
    arrays = fed(generate(table), states, phase)
    return Workload(prepare(model, 1, sizes), table, arrays, 1, "cpu")


@contextmanager
def traced(job: Workload) -> Iterator[CountingSession]:
    with OpenvinoBackend().open_traced(job) as session:
        session.infer()
        yield session


@pytest.mark.parametrize("text", ["prefill:6", "decode:0", "decode:6"])
def test_a_decoder_of_plain_operators_is_cut_behind_every_step(text: str, tmp_path: Path) -> None:
    """Its caches are outputs, and cross every cut behind them."""
    with traced(phased(plain_decoder(TINY), tmp_path, text)) as session:
        trace = session.trace()
        inner = range(1, trace.length)
        assert not trace.barred
        assert [n for n in inner if list(session.cuttable([n])) != [n]] == []


def test_a_prefix_reads_outputs_that_cross_it(tmp_path: Path) -> None:
    job = phased(plain_decoder(TINY), tmp_path, "decode:6")
    with OpenvinoBackend().open(job) as session:
        session.infer()
        whole = dict(session.values())
    with traced(job) as session:
        last = session.trace().length - 1
        (part,) = session.prefixes([last])
        caches = [name for name in session._cuts().crossing(last) if name.startswith("present")]
        part.infer()
        (read,) = part.values().values()
    assert len(caches) == 2 * TINY.layers
    assert read.size < sum(whole[name].size for name in caches)  # a sink reads some of each
    first = np.concatenate([whole[name][:, :, :1, :1].ravel() for name in caches])
    assert np.isin(first, read).all()


@pytest.mark.parametrize("text", ["prefill:6", "decode:6"])
def test_a_decoder_of_onnxruntimes_operators_is_cut_behind_most_steps(
    text: str, tmp_path: Path
) -> None:
    with traced(phased(grouped_decoder(TINY, 4), tmp_path, text)) as session:
        trace = session.trace()
        inner = [n for n in range(1, trace.length) if n not in trace.barred]
        found = [n for n in inner if list(session.cuttable([n])) == [n]]
        assert len(found) >= 0.8 * len(inner)


def test_a_shared_cache_of_two_items_is_refused_with_layer_and_reason(tmp_path: Path) -> None:
    """The runtime names an output, behind a list of all operands that is longer than a line."""
    model = open_model(str(models.save(grouped_decoder(TINY, 4), tmp_path)))
    states, sizes = in_phase(model, "decode:6", {})
    table = inspect(model, 2, sizes)
    arrays = fed(generate(table), states, points(["decode:6"])[0])
    job = Workload(prepare(model, 2, sizes), table, arrays, 1, "cpu")
    words = r"cannot run GroupQueryAttention layers\.0\.attention: .* batch_size == 1"
    with pytest.raises(BackendError, match=words), OpenvinoBackend().open(job):
        pass


def shared_table(shape_of: Callable[[str, str], onnx.NodeProto]) -> onnx.ModelProto:
    """Rows of a packed table, multiplied by the same table, which one of both reads reshaped."""
    gather = models.node(
        "GatherBlockQuantized", ["flat", "ids", "scales"], ["rows"], "rows",
        domain="com.microsoft",
        bits=4, block_size=16, gather_axis=0, quantize_axis=1,
    )  # fmt: skip
    product = models.node(
        "MatMulNBits", ["rows", "table", "scales"], ["y"], "product", domain="com.microsoft",
        K=32, N=48, bits=4, block_size=16,
    )  # fmt: skip
    held = [
        onnx.numpy_helper.from_array(bytes_(48, 2, 8), "table"),
        onnx.numpy_helper.from_array(real(48, 2), "scales"),
        onnx.numpy_helper.from_array(np.int64([48, 16]), "shape"),
    ]
    return models.model(
        [shape_of("table", "flat"), gather, product],
        [models.value("ids", ["batch", 3], models.INT64)],
        [models.value("y", None)], held, domains=["com.microsoft"], ir_version=10, opset=21,
    )  # fmt: skip


def reshaped(source: str, target: str) -> onnx.NodeProto:
    return models.node("Reshape", [source, "shape"], [target], "view")


def flattened(source: str, target: str) -> onnx.NodeProto:
    return models.node("Flatten", [source], [target], "view", axis=1)


@pytest.mark.parametrize("way", [reshaped, flattened])
@pytest.mark.parametrize("external", [False, True])
def test_a_packed_table_may_be_read_through_a_reshape(way, external: bool, tmp_path: Path) -> None:
    path = models.save(shared_table(way), tmp_path)
    if external:
        onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=64)
    model = open_model(str(path))
    job = Workload(
        prepare(model, 1, {}), inspect(model, 1, {}),
        {"ids": ids(1, 3, kind=np.int64)}, 1, "cpu",
    )  # fmt: skip
    found = {}
    for name in ("ort", "openvino"):
        with backend(name).open(job) as session:
            session.infer()
            found[name] = session.values()["y"]
    np.testing.assert_allclose(found["openvino"], found["ort"], rtol=1e-3, atol=1e-5)
    with traced(job) as session:
        trace = session.trace()
    assert {layer for step in trace.steps for layer in step.layers} == {"rows", "product"}
