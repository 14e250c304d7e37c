"""An onnxruntime profile that came as a file: what the names in it say of ONNX layers.

The optimised graph is not in a profile, so this is less than `ort_graphs.py` knows: a node
called like a layer, or like one of its tensors with what the layout optimiser appends.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from onnxprof.backends.ort.graphs.walk import INSERTED, SUFFIXES
from onnxprof.backends.ort.profile import Key, Profile, collect
from onnxprof.errors import BackendError
from onnxprof.provenance.names import Evidence, Names

#: Operators that may hold what follows them, of which a profile says nothing.
_HOLDING = frozenset({"Conv"})
#: What operators are sure to have taken in after the layer that they are called after.
_TAKING = {
    "DynamicQuantizeMatMul": ("Cast", "Mul", "Add"),
    "MatMulIntegerToFloat": ("Cast", "Mul", "Add"),
}
_QUANTISING = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "QuantizeLinear")
#: Reshapes around a Gemm that stands for MatMul and Add on more than two axes.
_AROUND = {"gemm_input_reshape": 1, "gemm_output_reshape": -1}
#: Operators that the runtime inserts under names of its own.
_ARRANGING = frozenset({"Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity"})
#: What optimisers append to the name of a layer that they replace.
_TOKEN = re.compile(r"_token_\d+$")
#: A Reshape that took another in, which may be one around a Gemm.
_MERGED = "_new_reshape"
#: What fusions append to the name of a layer that they began or ended with.
_FUSION = re.compile(r"/\w+Fusion/?$")
#: Operators of the runtime's own, and the ones that they end with.
_ENDS = {"BiasGelu": "Gelu", "FastGelu": "Gelu", "QuickGelu": "Mul", "FusedGemm": "Gemm"}


def parse_events(data: Any, control_flow: Collection[str]) -> Profile:
    """Times by node and inference. Raises BackendError for what is no profile of onnxruntime."""
    if not isinstance(data, list) or not all(isinstance(event, dict) for event in data):
        raise BackendError("no profile of onnxruntime: it is no list of events")
    try:
        profile = collect(data, control_flow)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackendError(f"no profile of onnxruntime: {type(error).__name__}: {error}") from None
    if not profile.inferences:
        raise BackendError(
            "no inference in it that ran to its end",
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
    """Which layers a node of the profile stands for."""
    name, operator, _ = key
    if operator in INSERTED:
        return Evidence("inserted copy")
    bare = _TOKEN.sub("", name)
    name = name if names.resolved((name,)) or not names.named(bare) else bare
    holds = operator.startswith("Fused") or operator in _HOLDING
    takes = _taken(name, operator)
    if name.endswith(_MERGED) and (found := names.named(name.removesuffix(_MERGED))):
        return Evidence("node's name", found, found[:1], exact=False, works_for=1)
    if found := names.resolved((name,)) or names.resolved((_FUSION.sub("", name),)):
        return Evidence("node's name", found, found[:1], exact=False, grows=holds, takes=takes)
    for suffix in SUFFIXES:
        stem = name.removesuffix(suffix)
        if stem != name and (found := names.producer(stem) or names.resolved((stem,))):
            return Evidence(
                "tensor's name", found, found[:1], exact=False, grows=holds, takes=takes
            )
    found = names.producer(name)
    way = next((way for stem, way in _AROUND.items() if name.startswith(stem)), 0)
    if way and not found and not name.endswith(_MERGED):
        return Evidence("a Reshape around a Gemm", exact=False, works_for=way)
    plain = _ENDS.get(operator, operator.removeprefix("Fused"))
    return Evidence(
        "tensor's name" if found else "operator and place",
        found,
        found[:1] or _given(name, operator),
        exact=False,
        grows=holds,
        takes=takes,
        fills=not found and operator not in _ARRANGING,
        operators=(plain, "MatMul") if plain == "Gemm" else (plain,),
    )


def _taken(name: str, operator: str) -> tuple[str, ...]:
    if name.endswith("/MatMulAddFusion"):
        return ("Add",)
    return _QUANTISING if operator.startswith("QLinear") else _TAKING.get(operator, ())


def _given(name: str, operator: str) -> tuple[str, ...]:
    """A name that an ONNX file may have; none for what the runtime calls nodes of its own."""
    own = (operator, "_inlfunc_", *_AROUND)
    return () if name.startswith(own) or not name else (name,)
