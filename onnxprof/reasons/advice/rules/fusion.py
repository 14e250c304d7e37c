"""Layers that ran as steps of their own though the step before them could take them in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Finding, Rewrite
from onnxprof.reasons.advice.base.rule import REMOVED, Rule
from onnxprof.records.layer import Layer

_NORM = "BatchNormalization"
_TAKING = ("Conv", "Gemm", "ConvTranspose")
_ACTIVATIONS = frozenset(
    ("Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu")
)
#: The parts of a step's time that a fusion saves: a fused activation still computes.
_ACTIVATION_PARTS = (0.5, 1.05)


def producer(case: Case, layer: Layer) -> Layer | None:
    """The layer whose output this one reads first, if nothing else reads that."""
    if not layer.inputs or layer.domain not in ("", "ai.onnx"):
        return None
    tensor = layer.inputs[0].name
    maker = case.makers.get(tensor)
    alone = len(case.readers.get(tensor, ())) == 1 and maker and len(maker.outputs) == 1
    return maker if alone else None


def foldable(case: Case, norm: Layer) -> Layer | None:
    """The convolution or product that a BatchNormalization could be folded into."""
    maker = producer(case, norm)
    fixed = case.constants
    if maker is None or maker.op_type not in _TAKING or len(norm.outputs) != 1:
        return None
    weights = [*norm.inputs[1:], *maker.inputs[1:]]
    return maker if all(tensor.name in fixed for tensor in weights) else None


def _norms(case: Case) -> Iterator[Finding]:
    found: dict[str, list[int]] = defaultdict(list)
    for number in range(len(case.step_ns)):
        layer = case.sole(number)
        maker = foldable(case, layer) if layer and layer.op_type == _NORM else None
        if maker is not None:
            found[maker.op_type].append(number)
    for op_type, steps in found.items():
        yield Finding(
            "unfused-batchnorm",
            f"{len(steps)} × BatchNormalization behind {op_type} as a step of its own",
            f"Fold them into the weights and bias of the {op_type}, which changes no result beyond"
            " rounding; exporters do so in evaluation mode",
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain_of_removal(steps),
            rewrite=Rewrite.BATCHNORM if op_type == "Conv" else None,
        )


def _activations(case: Case) -> Iterator[Finding]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in range(len(case.step_ns)):
        layer = case.sole(number)
        if layer is None or layer.op_type not in _ACTIVATIONS:
            continue
        taking = _taking(case, layer)
        if taking is not None:
            found[layer.op_type, taking.op_type].append(number)
    for (activation, op_type), steps in found.items():
        yield Finding(
            "unfused-activation",
            f"{len(steps)} × {activation} behind {op_type} as a step of its own",
            _elsewhere(case, activation, op_type),
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain(steps, *_ACTIVATION_PARTS),
        )


def _elsewhere(case: Case, activation: str, op_type: str) -> str:
    if case.run.request.backend in ("ort", "openvino"):
        return (
            f"See why its {op_type} does not take it in (a type, a shape, the level of"
            " optimisation), and whether another runtime's does"
        )
    return (
        f"Use a runtime or mode that computes {activation} as part of the {op_type}: ort and"
        " openvino do for most activations, torch with --provider compile"
    )


def _taking(case: Case, layer: Layer) -> Layer | None:
    """The convolution or product before an activation, behind a normalisation as well."""
    maker = producer(case, layer)
    if maker is not None and maker.op_type == _NORM:
        return foldable(case, maker)
    return maker if maker is not None and maker.op_type in _TAKING else None


RULES = (
    Rule(
        "unfused-batchnorm",
        "BatchNormalization steps whose input comes from a Conv, ConvTranspose or Gemm alone, with"
        " constant parameters",
        REMOVED,
        _norms,
    ),
    Rule(
        "unfused-activation",
        "activation steps behind a Conv, ConvTranspose or Gemm that nothing else reads",
        "0.5 to 1.05 of their time",
        _activations,
    ),
)
