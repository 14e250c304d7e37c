"""A network's graph from its definition in Keras, for maintainers."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxprof.zoo.declaration import Entry, Source

if TYPE_CHECKING:
    from onnx import ModelProto

#: Spread of the biases while exporting: tf2onnx drops one of zeros, and merges equal ones.
_BIAS = 0.01


def keras_source(factory: str, *gains: tuple[str, float]) -> Source:
    """The network that `module:function` of `onnxprof.zoo.networks` returns.

    Its inputs have the names and shapes of the entry's.
    """
    return Source(partial(_build, factory), gains)


def _build(factory: str, entry: Entry) -> ModelProto:
    from onnxprof.exporters.keras.exporter import silence
    from onnxprof.exporters.keras.graph import LATEST_OPSET, convert
    from onnxprof.exporters.keras.model import from_keras, with_inputs
    from onnxprof.plugins.exporter import ExportRequest

    silence()
    module, _, function = factory.partition(":")
    model = getattr(import_module(f"onnxprof.zoo.networks.{module}"), function)()
    _fill_biases(model)
    network = from_keras(model, entry.name)
    return convert(network, with_inputs(network, ExportRequest(entry.name, "", LATEST_OPSET)))


def _fill_biases(model: Any) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith("bias"):
            variable.assign(_BIAS * rng.standard_normal(variable.shape))
