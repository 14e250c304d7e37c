"""An onnxruntime profile that came as a file: what the names in it say of ONNX layers.

The optimised graph is not in a profile, so this is less than `ort_graphs.py` knows: a node
called like a layer, or like one of its tensors with what the layout optimiser appends.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from onnxprof.backends.named_evidence import Evidence, Names
from onnxprof.backends.ort_profile import Key, Profile, collect
from onnxprof.backends.ort_walk import INSERTED, SUFFIXES
from onnxprof.contracts import BackendError

#: Operators that may hold an activation, of which a profile says nothing.
_HOLDING = ("Fused", "Conv")
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
    grows = operator.startswith(_HOLDING) or name.endswith("/MatMulAddFusion")
    if found := names.resolved((name,)) or names.resolved((_FUSION.sub("", name),)):
        return Evidence("node's name", found, found[:1], exact=False, grows=grows)
    for suffix in SUFFIXES:
        stem = name.removesuffix(suffix)
        if stem != name and (found := names.producer(stem) or names.resolved((stem,))):
            return Evidence("tensor's name", found, found[:1], exact=False, grows=grows)
    found = names.producer(name)
    plain = _ENDS.get(operator, operator.removeprefix("Fused"))
    return Evidence(
        "tensor's name" if found else "operator and place",
        found,
        found[:1] or (name,),
        exact=False,
        grows=grows,
        operators=(plain, "MatMul") if plain == "Gemm" else (plain,),
    )
