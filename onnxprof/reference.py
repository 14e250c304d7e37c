"""A run's outputs against onnxruntime's on the CPU with its optimisations off."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from onnxprof import plugins
from onnxprof.contracts import Backend, OnnxprofError, Workload
from onnxprof.outcomes import OutputParity, Parity
from onnxprof.parity import compare, parts_of_one, slack
from onnxprof.records import Granularity, Layer, LayerTable, RunWarning, Tensor, WarningKind

Values = Mapping[str, NDArray[Any]]

#: Operators of ONNX that draw random numbers at run time.
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomUniform")
_TRAINING_MODE = 2  # the input of Dropout that switches it on, since opset 12


def check(workload: Workload, values: Values) -> Parity:
    """Compare what a session gave with the reference on the same inputs.

    It is loaded here, so what was measured should have been let go of before. Where there is
    no reference or nothing to compare, the reason is on the record; that is no failure.
    """
    if layer := _random(workload.table):
        return Parity(reason=f"{layer.op_type} {layer.name} draws random numbers")
    if not values:
        return Parity(reason="the backend hands out no outputs to compare")
    gc.collect()
    try:
        reference = plugins.backend("ort")
        outputs, expected = _infer(reference, workload)
    except (OnnxprofError, MemoryError) as error:
        return Parity(reason=f"there is no reference: {error or 'out of memory'}")
    name = f"{reference.availability()[0].detail}, CPU, optimisations off"
    return Parity(name, tuple(_compared(outputs, expected, values, workload.table)))


def warnings_of(parity: Parity) -> Iterator[RunWarning]:
    """A caveat where an output failed: the worst error, and whose it is."""
    failed = [output for output in parity.outputs if output.passed is False]
    if failed:
        worst = max(failed, key=lambda output: (output.max_rel, output.nan_mismatch))
        value = float("inf") if worst.nan_mismatch else worst.max_rel
        yield RunWarning(WarningKind.PARITY_FAILED, value, worst.name)


def _random(table: LayerTable) -> Layer | None:
    return next((layer for layer in table.nodes if draws(layer)), None)


def draws(layer: Layer) -> bool:
    """Whether a layer may draw random numbers; a Dropout that may be switched on counts."""
    if layer.domain:
        return False
    dropping = layer.op_type == "Dropout" and len(layer.inputs) > _TRAINING_MODE
    return dropping or layer.op_type.removesuffix("Like") in _RANDOM


def _infer(backend: Backend, workload: Workload) -> tuple[tuple[Tensor, ...], Values]:
    """On the CPU, whatever device, provider and timer the workload asks for."""
    on_cpu = replace(workload, provider="cpu", device="", timer="auto")
    plain = replace(on_cpu, granularity=Granularity.WRITTEN)
    with backend.open(plain) as session:
        session.infer()
        return tuple(session.outputs()), session.values()


def _compared(
    outputs: tuple[Tensor, ...], expected: Values, values: Values, table: LayerTable
) -> Iterator[OutputParity]:
    allowed = slack(table)
    for output in outputs:
        if output.name not in expected:
            yield OutputParity(output.name, note="no tensor of numbers, bools or strings")
        elif output.name not in values:
            yield OutputParity(output.name, note="the backend does not hand it out")
        else:
            pair = expected[output.name], values[output.name]
            of_one = parts_of_one(table, output.name)
            yield compare(output.name, *pair, allowed, of_one=of_one)
