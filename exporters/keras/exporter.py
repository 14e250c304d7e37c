"""Keras models and TensorFlow SavedModels to ONNX, through tf2onnx."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from onnxprof.plugins.exporter import ExportRequest, Sample
from onnxprof.records.device import Availability

_SUFFIXES = (".keras", ".h5", ".hdf5")


class KerasExporter:
    """`MODEL.keras`, `MODEL.h5`, or the folder of a SavedModel."""

    name = "keras"

    def availability(self) -> Availability:
        """Whether Keras, TensorFlow and tf2onnx are installed."""
        from onnxprof.exporters.common.installed import availability

        return availability(self.name, "keras", "tensorflow", "tf2onnx", "onnxscript")

    def accepts(self, target: str) -> bool:
        """Whether the target ends like a Keras file, or is a folder with a `saved_model.pb`."""
        return target.endswith(_SUFFIXES) or (Path(target) / "saved_model.pb").is_file()

    def export(self, request: ExportRequest) -> Sequence[Sample]:
        """Write the ONNX file, with a free batch if the request names one; returns samples."""
        silence()
        from onnxprof.exporters.keras import graph, model

        network = model.load(request.target)
        asked = model.with_inputs(network, request)
        graph.write(graph.convert(network, asked), request.path)
        return model.samples(network, asked)


def silence() -> None:
    """Set TensorFlow's environment before its import: CPU only, no oneDNN, few log messages."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
