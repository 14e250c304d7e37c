"""An imported onnxruntime profile: evidence for ONNX layers from the names in it.

A profile does not contain the optimised graph, so there is less evidence than in `graphs.py`: a
node named like a layer, or like an output tensor with the layout optimiser's suffix.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from onnxprof.backends.ort.graphs.walk import INSERTED, SUFFIXES
from onnxprof.backends.ort.profile import Key, Profile, collect
from onnxprof.errors import BackendError
from onnxprof.provenance.names import Evidence, Names

#: Operators that may include the operators behind them, which a profile does not list.
_HOLDING = frozenset({"Conv"})
#: Operators that a fusion surely includes behind the layer that it is named after.
_TAKING = {
    "DynamicQuantizeMatMul": ("Cast", "Mul", "Add"),
    "MatMulIntegerToFloat": ("Cast", "Mul", "Add"),
}
_QUANTISING = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "QuantizeLinear")
#: Reshapes around a Gemm that stands for MatMul and Add on more than two axes.
_AROUND = {"gemm_input_reshape": 1, "gemm_output_reshape": -1}
#: Operators that the runtime inserts under made-up names.
_ARRANGING = frozenset({"Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity"})
#: Suffixes that optimisers append to the name of a layer that they replace.
_TOKEN = re.compile(r"_token_\d+$")
#: Suffix of a Reshape merged with another one, which may be one around a Gemm.
_MERGED = "_new_reshape"
#: Suffixes that fusions append to the name of their first or last layer.
_FUSION = re.compile(r"/\w+Fusion/?$")
#: From operators of the runtime to the ONNX operators that they end with.
_ENDS = {"BiasGelu": "Gelu", "FastGelu": "Gelu", "QuickGelu": "Mul", "FusedGemm": "Gemm"}


def parse_events(data: Any, control_flow: Collection[str]) -> Profile:
    """Times by node and inference. Raises BackendError for other data than a profile."""
    if not isinstance(data, list) or not all(isinstance(event, dict) for event in data):
        raise BackendError("not a profile of onnxruntime: the JSON is not a list of events")
    try:
        profile = collect(data, control_flow)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackendError(
            f"not a profile of onnxruntime: {type(error).__name__}: {error}"
        ) from None
    if not profile.inferences:
        raise BackendError(
            "the profile has no complete inference",
            remedy="Call end_profiling() after at least one run(), or set enable_profiling",
        )
    return profile


def durations(data: list[dict[str, Any]], name: str) -> list[int]:
    """Nanoseconds of each event of this name, in order."""
    return [int(e["dur"]) * 1000 for e in data if e.get("name") == name and "dur" in e]


def is_truncated(data: list[dict[str, Any]]) -> bool:
    """Whether the runtime stopped writing at a million events."""
    return any(event.get("name") == "profile_truncated" for event in data)


def evidence(key: Key, names: Names) -> Evidence:
    """The evidence for the layers of a node of the profile."""
    name, operator, _ = key
    if operator in INSERTED:
        return Evidence("inserted copy")
    bare = _TOKEN.sub("", name)
    name = name if names.resolved((name,)) or not names.named(bare) else bare
    holds = operator.startswith("Fused") or operator in _HOLDING
    takes = _taken(name, operator)
    if name.endswith(_MERGED) and (layers := names.named(name.removesuffix(_MERGED))):
        return Evidence("node's name", layers, layers[:1], exact=False, works_for=1)
    if layers := names.resolved((name,)) or names.resolved((_FUSION.sub("", name),)):
        return Evidence("node's name", layers, layers[:1], exact=False, grows=holds, takes=takes)
    for suffix in SUFFIXES:
        stem = name.removesuffix(suffix)
        if stem != name and (layers := names.producer(stem) or names.resolved((stem,))):
            return Evidence(
                "tensor's name", layers, layers[:1], exact=False, grows=holds, takes=takes
            )
    layers = names.producer(name)
    way = next((way for stem, way in _AROUND.items() if name.startswith(stem)), 0)
    if way and not layers and not name.endswith(_MERGED):
        return Evidence("a Reshape around a Gemm", exact=False, works_for=way)
    plain = _ENDS.get(operator, operator.removeprefix("Fused"))
    return Evidence(
        "tensor's name" if layers else "operator and place",
        layers,
        layers[:1] or _given(name, operator),
        exact=False,
        grows=holds,
        takes=takes,
        fills=not layers and operator not in _ARRANGING,
        operators=(plain, "MatMul") if plain == "Gemm" else (plain,),
    )


def _taken(name: str, operator: str) -> tuple[str, ...]:
    if name.endswith("/MatMulAddFusion"):
        return ("Add",)
    return _QUANTISING if operator.startswith("QLinear") else _TAKING.get(operator, ())


def _given(name: str, operator: str) -> tuple[str, ...]:
    """The name, if an ONNX file may have it; empty for names that the runtime makes up."""
    own = (operator, "_inlfunc_", *_AROUND)
    return () if name.startswith(own) or not name else (name,)
