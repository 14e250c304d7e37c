"""Loading a Keras or TensorFlow network, reading its inputs, and running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxprof.errors import ExportError
from onnxprof.exporters.common.feeds import Arrays, free_batch, trials
from onnxprof.plugins.exporter import ExportRequest, InputSpec, Sample


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network and its inputs and outputs."""

    target: str
    inputs: tuple[InputSpec, ...]
    """Axis 0 is named `batch` if it is free; other free axes are named after the input."""
    outputs: tuple[str, ...]
    call: Callable[..., Sequence[Any]]
    """A function from the inputs, in order, to the outputs, in order."""
    layers: tuple[str, ...] = ()
    """Names of Keras's layers, in order."""


def load(target: str) -> Network:
    """Load a Keras file, or the folder of a SavedModel. Raises ExportError."""
    if not Path(target).exists():
        raise ExportError("no such file", where=target, remedy="Check the path")
    return _saved_model(target) if Path(target).is_dir() else from_keras(_loaded(target), target)


def _loaded(target: str) -> Any:
    import keras

    try:
        return keras.saving.load_model(target, compile=False, safe_mode=True)
    except Exception as error:
        raise _refused(error, target) from error


def _refused(error: Exception, target: str) -> ExportError:
    text = " ".join(str(error).split())
    if "safe_mode" in text or "unsafe" in text.lower() or "Lambda" in text:
        return ExportError(
            "Keras refuses to load it: it holds code of its own (a Lambda layer, for instance), "
            "which would run",
            where=target,
            remedy="If you trust it, load it in Python with safe_mode=False, save it with "
            "model.export(FOLDER), and export that folder",
        )
    if "custom" in text.lower() or "Could not locate class" in text:
        return ExportError(
            f"Keras does not know a class that it uses: {text[:200]}",
            where=target,
            remedy="Load it in Python with its custom objects, save it with "
            "model.export(FOLDER), and export that folder",
        )
    return ExportError(
        f"Keras cannot load it: {type(error).__name__}: {text[:200]}",
        where=target,
        remedy="It may be damaged, or of another version of Keras",
    )


def from_keras(model: Any, target: str) -> Network:
    """The network of a built Keras model. Raises ExportError if it does not define its inputs."""
    try:
        inputs = [_spec(tensor.name, tensor.dtype, tensor.shape) for tensor in model.inputs]
        names = [*model.output_names] if len(model.outputs) > 1 else ["output"]
    except (AttributeError, TypeError, ValueError) as error:
        raise ExportError(
            "the model does not say what its inputs are",
            where=target,
            remedy="Call it once on an example before saving it, or save it with "
            "model.export(FOLDER) and export that folder",
        ) from error

    def call(*tensors: Any) -> Sequence[Any]:
        import keras

        result = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return list(keras.tree.flatten(result))

    return Network(target, tuple(inputs), tuple(names), call, tuple(_layers(model)))


def _layers(model: Any) -> list[str]:
    """Names of all layers, those of nested models too, in order."""
    names = [model.name]
    for layer in getattr(model, "layers", ()):
        names += _layers(layer)
    return names


def _saved_model(target: str) -> Network:
    import tensorflow as tf

    if not (Path(target) / "saved_model.pb").is_file():
        raise ExportError("is no SavedModel: saved_model.pb is missing", where=target)
    try:
        loaded = tf.saved_model.load(target)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise ExportError(f"TensorFlow cannot load it: {text}", where=target) from error
    if not loaded.signatures:
        raise ExportError(
            "has no signature to call",
            where=target,
            remedy="Save it with signatures=, or a Keras model with model.export(FOLDER)",
        )
    key = "serving_default" if "serving_default" in loaded.signatures else min(loaded.signatures)
    signature = loaded.signatures[key]
    specs = signature.structured_input_signature[1]
    outputs = tuple(signature.structured_outputs)

    def call(*tensors: Any) -> Sequence[Any]:
        # The closure keeps `loaded` alive: its variables go with it.
        assert loaded is not None
        results = signature(**dict(zip(specs, tensors, strict=True)))
        return [results[name] for name in outputs]

    inputs = tuple(_spec(name, spec.dtype.name, spec.shape) for name, spec in specs.items())
    return Network(target, inputs, outputs, call)


def _spec(name: str, dtype: str, shape: Sequence[int | None]) -> InputSpec:
    free = (f"{name}_axis{axis}" if axis else "batch" for axis in range(len(shape)))
    sizes = tuple(
        symbol if size is None else size for size, symbol in zip(shape, free, strict=True)
    )
    return InputSpec(name, dtype, sizes)


def with_inputs(network: Network, request: ExportRequest) -> ExportRequest:
    """The request with the network's inputs added for those that the user does not declare.

    Raises ExportError for an input that the network does not have.
    """
    given = {item.name: item for item in request.inputs}
    known = [item.name for item in network.inputs]
    for name in given:
        if name not in known:
            raise ExportError(
                f"it has no input {name!r}",
                where=network.target,
                remedy=f"It has {'; '.join(map(str, network.inputs))}",
            )
    inputs = (given.get(item.name, item) for item in network.inputs)
    named = tuple(_free(item, request) for item in inputs)
    return replace(request, inputs=named)


def _free(item: InputSpec, request: ExportRequest) -> InputSpec:
    """The input with a free batch; a fixed batch is unchanged, and the later check reports it."""
    free = bool(item.shape) and isinstance(item.shape[0], str)
    return free_batch(item, request.batch) if free else item


def samples(network: Network, request: ExportRequest) -> list[Sample]:
    """The framework's outputs at the requested batch sizes, without those that it refuses."""
    computed = (_sample(network, batch, feeds) for batch, feeds in trials(request))
    return [sample for sample in computed if sample is not None]


def _sample(network: Network, batch: int, feeds: Sequence[Arrays]) -> Sample | None:
    """Outputs for the first of the feeds that the network accepts; None if it accepts none."""
    for fed in feeds:
        outputs = _outputs(network, fed)
        if outputs is not None:
            return Sample(batch, fed, outputs)
    return None


def _outputs(network: Network, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    import numpy as np
    import tensorflow as tf

    try:
        tensors = [tf.constant(array) for array in values.values()]
        return tuple(np.asarray(tensor) for tensor in network.call(*tensors))
    except (ValueError, TypeError, tf.errors.OpError):
        return None
