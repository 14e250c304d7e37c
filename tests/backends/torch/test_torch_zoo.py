"""A network of each family of the zoo on the torch backend: parity, and every step a layer's.

All networks were run once: docs/backends.md has the count and the command.
"""

from __future__ import annotations

import pytest

from onnxprof import zoo
from onnxprof.backends.torch.backend import TorchBackend
from onnxprof.checks.reference import check
from onnxprof.model.feeds import generate
from onnxprof.model.file import declared_fills, open_model, prepare, with_defaults
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.step import Confidence

torch = pytest.importorskip("torch", reason="needs onnxprof[torch]")
pytest.importorskip("onnxruntime", reason="the reference")

#: Of each family one that is small and has the operators of the others.
OF_FAMILY = {
    "light": "shufflenet",
    "keras_mnist": "mnist-cnn",
    "small_images": "alexnet-cifar10",
    "imagenet": "mobilenet-v2",
    "model_zoo": "fer-plus",
    "vision": "efficientnet-b0",
    "language": "t5-small-encoder",
    "mlperf_vision": "ssd-mobilenet-v1-300",
    "mlperf_language": "ncf",
    "decoders": "whisper-tiny-decoder",
    "towers": "minilm-l6",
    "int8": "squeezenet-int8",
}


def test_every_family_has_its_network() -> None:
    assert set(OF_FAMILY) == {entry.family for entry in zoo.entries()}
    assert all(zoo.entry(name).family == family for family, name in OF_FAMILY.items())


@pytest.mark.parametrize("name", OF_FAMILY.values())
def test_it_runs_with_parity_and_every_step_is_a_layer(name: str) -> None:
    model = open_model(f"zoo:{name}")
    dims = with_defaults(model, {})
    table = inspect(model, 2, dims)
    inputs = generate(table, 0, declared_fills(model))
    job = Workload(prepare(model, 2, dims), table, inputs, threads=2)
    with TorchBackend().open_traced(job) as session:
        session.infer()
        parity = check(job, session.values())
        trace = session.trace()
    assert table.batch == 2
    assert parity.passed, parity
    assert {step.layers for step in trace.steps} == {(step.name,) for step in trace.steps}
    assert {step.confidence for step in trace.steps} == {Confidence.EXACT}
    covered = {step.name for step in trace.steps}
    live = {layer.name for layer in table.nodes if not layer.parent} - set(trace.folded)
    assert live <= covered
