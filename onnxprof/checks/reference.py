"""A run's outputs against onnxruntime's on the CPU with its optimisations off."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.checks.parity import Noise, compare, parts_of_one, slack
from onnxprof.errors import OnnxprofError
from onnxprof.model.graph.operators import RANDOM_OPERATORS
from onnxprof.model.graph.read import light
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend, Workload
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.step import USUAL, Granularity
from onnxprof.records.warning import RunWarning, WarningKind

Values = Mapping[str, NDArray[Any]]

#: Relative changes of the inputs that show the effect of rounding on a network: less than a step
#: of 8 bits, or a unit of half precision's rounding.
_STEPS, _HALVES = (1e-4, 1e-3, 1e-2), (1e-3, 1e-3)
_TRAINING_MODE = 2  # the input of Dropout that switches it on, since opset 12


def check(workload: Workload, values: Values, expected: Values | None = None) -> Parity:
    """Compare a session's outputs with those of the reference on the same inputs.

    Where the reference's outputs are not given as `expected` it is loaded here, so the measured
    session should have been closed before. Without a reference or outputs to compare, the record
    has the reason; that is no failure.
    """
    if layer := _random(workload.table):
        return Parity(reason=f"{layer.op_type} {layer.name} draws random numbers")
    if not values:
        return Parity(reason="the backend hands out no outputs to compare")
    gc.collect()
    try:
        reference = registry.reference()
        if expected:
            outputs = tuple(expected)
        else:
            outputs, expected = _infer(reference, workload)
    except (OnnxprofError, MemoryError) as error:
        return Parity(reason=f"there is no reference: {error or 'out of memory'}")
    name = f"{reference.availability()[0].detail}, CPU, optimisations off"
    outcomes = tuple(_compared(outputs, expected, values, workload.table, {}))
    if any(map(_may_be_noise(workload.table), outcomes)):
        noise = _noise(reference, workload, expected)
        outcomes = tuple(_compared(outputs, expected, values, workload.table, noise))
    return Parity(name, outcomes)


def _may_be_noise(table: LayerTable) -> Callable[[OutputParity], bool]:
    """A test whether an output that failed may differ by the network's rounding alone."""
    narrow = slack(table).whole

    def failed(output: OutputParity) -> bool:
        is_integer = output.rms_rel is not None and output.cosine is None
        return output.passed is False and not output.note and (narrow or is_integer)

    return failed


def _noise(reference: Backend, workload: Workload, expected: Values) -> Mapping[str, Noise | None]:
    """The largest error of each reference output when the inputs change a little.

    None for every output where no input can be changed, or the reference fails to run again, and
    for an output of floats that none of them moves, such as the logits of a prompt behind a cache
    that is there and not read.
    """
    sizes = _STEPS if slack(workload.table).steps else _HALVES
    if not any(array.dtype.kind == "f" and array.size for array in workload.inputs.values()):
        return dict.fromkeys(expected)
    moved = dict.fromkeys(expected, Noise())
    for seed, size in enumerate(sizes):
        inputs = {n: shaken(array, size, seed) for n, array in workload.inputs.items()}
        try:
            _, values = _infer(reference, replace(workload, inputs=inputs))
        except (OnnxprofError, MemoryError):
            return dict.fromkeys(expected)
        for name, array in values.items():
            error = compare(name, expected[name], array, slack(workload.table))
            known = moved[name]
            both = max(known.rms_rel, error.rms_rel or 0.0), max(known.max_rel, error.max_rel)
            moved[name] = Noise(*both)
    return {
        name: None if expected[name].dtype.kind == "f" and noise == Noise() else noise
        for name, noise in moved.items()
    }


def shaken(array: NDArray[Any], size: float, seed: int) -> NDArray[Any]:
    """Floats changed by a random part of each, up to `size` or two units of rounding."""
    if array.dtype.kind != "f":
        return array
    noise = np.random.default_rng([seed, array.size]).uniform(-1, 1, array.shape)
    least = max(size, 2 * float(np.finfo(array.dtype).eps))
    return np.asarray(array * (1 + least * noise)).astype(array.dtype)


def warnings_of(parity: Parity) -> Iterator[RunWarning]:
    """A warning where an output failed: the worst error, and the name of that output."""
    failed = [output for output in parity.outputs if output.passed is False]
    if failed:
        worst = max(failed, key=lambda output: (_error(output), output.nan_mismatch))
        value = float("inf") if worst.nan_mismatch else _error(worst)
        yield RunWarning(WarningKind.PARITY_FAILED, value, worst.name, _bound(worst))


def _error(output: OutputParity) -> float:
    """The error that was compared with the tolerance."""
    return (output.rms_rel or 0.0) if _is_off_as_a_whole(output) else output.max_rel


def _bound(output: OutputParity) -> float:
    """The tolerance of that error for networks of low precision; 0 for others."""
    if not output.whole:
        return 0.0
    return output.tolerance if _is_off_as_a_whole(output) else output.worst_tolerance


def _is_off_as_a_whole(output: OutputParity) -> bool:
    return output.whole and (output.rms_rel or 0.0) > output.tolerance


def _random(table: LayerTable) -> Layer | None:
    return next((layer for layer in table.nodes if draws(layer)), None)


def draws(layer: Layer) -> bool:
    """Whether a layer may draw random numbers; a Dropout that may be switched on counts."""
    if layer.domain:
        return False
    dropping = layer.op_type == "Dropout" and len(layer.inputs) > _TRAINING_MODE
    return dropping or layer.op_type in RANDOM_OPERATORS


def _infer(backend: Backend, workload: Workload) -> tuple[tuple[str, ...], Values]:
    """Names of outputs, and values, on the CPU, whatever device the workload asks for."""
    model = light(workload.model)  # not timed, so weights may stay where they are
    on_cpu = replace(workload, model=model, provider="cpu", device="", timer="auto")
    plain = replace(on_cpu, granularity=Granularity.WRITTEN, setup=USUAL)
    with backend.open(plain) as session:
        session.infer()
        return tuple(output.name for output in session.outputs()), session.values()


def _compared(
    outputs: tuple[str, ...],
    expected: Values,
    values: Values,
    table: LayerTable,
    noise: Mapping[str, Noise | None],
) -> Iterator[OutputParity]:
    allowed = slack(table)
    for output in outputs:
        if output not in expected:
            yield OutputParity(output, note="no tensor of numbers, bools or strings")
        elif output not in values:
            yield OutputParity(output, note="the backend does not hand it out")
        else:
            pair = expected[output], values[output]
            of_one = parts_of_one(table, output)
            moved = noise.get(output, Noise())
            yield compare(output, *pair, allowed, of_one=of_one, noise=moved)
